"""The project's own files, and how to read what they import."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that is or could be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return tuple(sorted(path for path in set(files) if path.is_file()))


def files_of(folder: str, *suffixes: str) -> list[Path]:
    return [path for path in project_files() if path.is_relative_to(ROOT / folder) and path.suffix in suffixes]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Import:
    """One imported module: its full dotted name, where, and when it is loaded."""

    module: str
    path: Path
    line: int
    at_top: bool  # loaded with the module; False inside functions and under TYPE_CHECKING

    def __str__(self) -> str:
        return f"{name_of(self.path)}:{self.line} imports {self.module}"


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a Python file. `from pyspike import image` counts as pyspike.image; relative ones are refused."""
    yield from _imports_in(ast.parse(path.read_text(encoding="utf-8")), path, True)


def _imports_in(tree: ast.AST, path: Path, at_top: bool) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, path, node.lineno, at_top)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: write imports from the package's root"
            assert node.module is not None
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                is_module = node.module.startswith("pyspike") and _is_module(deeper)
                yield Import(deeper if is_module else node.module, path, node.lineno, at_top)
        else:
            yield from _imports_in(node, path, at_top and not inside)


def _is_module(dotted: str) -> bool:
    place = ROOT / dotted.replace(".", "/")
    native = place.with_suffix(".pyi").is_file()
    return place.is_dir() or place.with_suffix(".py").is_file() or native


@dataclass(frozen=True)
class Include:
    """One #include: what is between the quotes or brackets."""

    header: str
    quoted: bool
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{name_of(self.path)}:{self.line} includes {self.header}"


_INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)\s*(?://.*)?$')


def includes_of(path: Path) -> Iterator[Include]:
    """Every #include of a C or C++ file; one that is not understood fails."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not re.match(r"\s*#\s*include", line):
            continue
        match = _INCLUDE.match(line)
        assert match, f"{name_of(path)}:{number}: an include that cannot be read: {line}"
        yield Include(match[1] or match[2], match[1] is not None, path, number)
