"""A process that runs one network when told to, and the end of the pipe that tells it.

Commands and answers are lines of JSON. The process blocks between commands, so that of many only one computes:

    {"do": "load"}                 -> {"seconds": s}       imports and opens; the first command
    {"do": "run", "times": n}      -> {"seconds": [s, ...]}
    {"do": "outputs", "path": p}   -> {}                   what the last run returned, as .npz
    {"do": "each", "images": p, "path": q} -> {}           runs each of a stack (.npy); outputs stacked, .npz
    {"do": "memory"}               -> {"peak": b, "baseline": b}   bytes, `VmHWM`; the baseline is that of this
                                                           process with its input before `load`

An answer {"error": text} says what went wrong; an end of the input ends the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[np.ndarray], Sequence[np.ndarray]]
ROOT = Path(__file__).parents[2]


class PeerError(Exception):
    """A contestant's process ended, or answered with an error; the text says what it said."""


def peak_memory() -> int:
    """Bytes of the largest resident set that this process had so far."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM")


def serve(load: Callable[[dict[str, Any]], Run]) -> None:
    """The process' own side: answer commands until the input ends. Options are the first argument, in JSON.

    Whatever else is printed goes to the standard error.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    options: dict[str, Any] = json.loads(sys.argv[1])
    server = _Server(load, options)
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except Exception as error:  # whatever a peer raises is the answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


class _Server:
    def __init__(self, load: Callable[[dict[str, Any]], Run], options: dict[str, Any]) -> None:
        self.load, self.options = load, options
        self.x = np.load(options["x"])
        self.baseline = peak_memory()
        self.outputs: Sequence[np.ndarray] = ()

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "load":
                began = time.perf_counter()
                self.run = self.load(self.options)
                return {"seconds": time.perf_counter() - began}
            case "run":
                return {"seconds": [self._once() for _ in range(command["times"])]}
            case "outputs":
                np.savez(command["path"], *self.outputs)
                return {}
            case "each":
                runs = [[np.array(a) for a in self.run(x)] for x in np.load(command["images"])]
                np.savez(command["path"], *(np.stack(arrays) for arrays in zip(*runs, strict=True)))
                return {}
            case "memory":
                return {"peak": peak_memory(), "baseline": self.baseline}
        raise PeerError(f"unknown command {command!r}")

    def _once(self) -> float:
        began = time.perf_counter()
        self.outputs = self.run(self.x)
        return time.perf_counter() - began


class Process:
    """The racing side of one contestant. A context manager: leaving it ends the process."""

    def __init__(self, module: str, options: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(dict(options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if options.get("quiet", True) else None,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )

    def ask(self, do: str, **rest: Any) -> dict[str, Any]:
        """Send one command and wait for its answer. Raises `PeerError`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # the answer, or its absence, tells
            print(json.dumps({"do": do, **rest}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise PeerError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self.process.kill()
        _, said = self.process.communicate()
        lines = [line for line in (said or "").splitlines() if line.strip()]
        return lines[-1] if lines else f"the process ended with code {self.process.returncode}"

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()
