"""Who runs the points of a sweep: this process, processes of this machine, or a Ray cluster.

All three yield (number, outcome) in the order in which points end, and hold no more points than there are workers, so
that a crash costs little. Closing one of the generators ends its workers at once.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from pyspike.chip.config import Chip
from pyspike.chip.sweep_point import Job, Outcome, evaluate, failed
from pyspike.errors import missing_extra

Task = tuple[int, Chip]
Outcomes = Generator[tuple[int, Outcome], None, None]
LOCAL = "local"
PATIENCE = 5.0  # seconds


def in_process(job: Job, tasks: Iterable[Task]) -> Outcomes:
    """One point after the other, here."""
    for number, chip in tasks:
        yield number, evaluate(job, chip)


def in_processes(job: Job, tasks: Iterable[Task], workers: int) -> Outcomes:
    """Processes of this machine, spawned afresh.

    When a process dies, all points under way are lost and none says whose fault it was: each of them runs once more,
    alone, and the one that kills its process again is the one that failed.
    """
    waiting, suspects = deque(tasks), deque[Task]()
    while waiting or suspects:
        alone = bool(suspects)
        crowd = deque([suspects.popleft()]) if alone else waiting
        running: dict[Future[Outcome], Task] = {}
        try:
            with _pool(1 if alone else workers) as pool:
                yield from _drain(pool, job, crowd, running, workers)
        except BrokenProcessPool:
            if alone:
                yield next(iter(running.values()))[0], failed("the process died: it was killed, or crashed")
            else:
                suspects.extend(running.values())


def _drain(
    pool: ProcessPoolExecutor, job: Job, waiting: deque[Task], running: dict[Future[Outcome], Task], most: int
) -> Outcomes:
    """Run all that waits, at most `most` at once; `running` holds what is lost where the pool breaks."""
    while waiting or running:
        while waiting and len(running) < most:
            with _deaf():
                running[pool.submit(evaluate, job, waiting[0][1])] = waiting[0]
            waiting.popleft()
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            outcome = future.result()
            yield running.pop(future)[0], outcome


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Spawned workers that live as long as this process holds on to them."""
    context = get_context("spawn")
    hears, lifeline = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(hears,))
    try:
        yield pool
    except BaseException:
        lifeline.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        lifeline.close()
        hears.close()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that begin in here never hear Ctrl-C, which is their parent's to handle; it does so on leaving."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(hears: Connection) -> None:
    """A worker ends when the other end of its lifeline closes, even if by the parent's death."""

    def watch() -> None:
        hears.poll(None)
        os._exit(1)  # from a thread, amid native code: nothing else ends the process now

    threading.Thread(target=watch, daemon=True).start()


def on_ray(job: Job, tasks: Iterable[Task], address: str, workers: int | None) -> Outcomes:
    """A Ray cluster: a new one on this machine (`address` "local"), or the one at `address`; one CPU for each point.

    workers: most points at once; by default as many as the cluster has CPUs. A cluster that this process has joined
    already is used as it is.
    Raises `MissingExtraError` without Ray, `ConnectionError` where there is no cluster.
    """
    try:
        import ray as package
        from ray.exceptions import RayError
    except ModuleNotFoundError as error:
        raise missing_extra("ray", "ray") from error
    ray: Any = package  # half of it has types
    waiting, joined = deque(tasks), ray.is_initialized()
    if not joined:
        _join(address, workers)
    try:
        most = workers or int(ray.cluster_resources().get("CPU", 1))
        remote = ray.remote(num_cpus=1, max_retries=0)(evaluate)
        held = ray.put(job)
        running: dict[Any, int] = {}
        while waiting or running:
            while waiting and len(running) < most:
                number, chip = waiting.popleft()
                running[remote.remote(held, chip)] = number
            for reference in ray.wait(list(running), num_returns=1)[0]:
                try:
                    outcome = ray.get(reference)
                except RayError as error:
                    outcome = failed(f"the worker was lost: {type(error).__name__}")
                yield running.pop(reference), outcome
    finally:
        if not joined:
            ray.shutdown()


def _join(address: str, workers: int | None) -> None:
    """Start or join the cluster, quietly, and without Ray's reports of usage to its makers."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {}
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConnectionError(f"no Ray cluster at {address!r} ('ray start --head' starts one): {reason}") from error


def _knock(address: str) -> None:
    """See that somebody listens at host:port; Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE):
            pass
