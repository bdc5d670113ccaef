"""Files of at most 500 lines, functions of at most 60, and a project that speaks of itself alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import ROOT, files_of, name_of, project_files

MAX_FILE, MAX_FUNCTION = 500, 60
CODE = files_of(".", ".py", ".hpp", ".h", ".cpp", ".inc", ".c", ".sv", ".v")


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_length(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= MAX_FILE, f"{lines} lines: a concept is missing"
    functions = _python_functions(text) if path.suffix == ".py" else _cxx_functions(text)
    assert [(line, n) for line, n in functions if n > MAX_FUNCTION] == [], "functions that are too long: (line, lines)"


def _python_functions(text: str) -> Iterator[tuple[int, int]]:
    """First line and number of lines of every function, decorators included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield node.lineno, (node.end_lineno or start) - start + 1


_NO_CODE = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])'|R\"(\w*)\(.*?\)\1\"|\"(?:\\.|[^\"\\\n])*\"|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
    re.DOTALL | re.MULTILINE,
)
_NO_FUNCTION = re.compile(r"^\s*(?:if|for|while|switch|catch|else|do|namespace|struct|class|enum|union|return)\b")
_SIGNATURE = re.compile(r"\)\s*(?:const|noexcept|override|final|mutable|&|->[^{;]*|:[^{;]*|\s)*$", re.DOTALL)


def _cxx_functions(text: str) -> Iterator[tuple[int, int]]:
    """First line and number of lines of every function and lambda, found by braces that follow a parameter list."""
    text = _NO_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    stack: list[tuple[int | None, int]] = []
    header = depth = 0
    for match in re.finditer(r"[(){};]", text):
        at, what = match.start(), match[0]
        depth += (what == "(") - (what == ")")
        if what in "()" or (what == ";" and depth):
            continue  # a semicolon inside for (...) ends no header
        if what == "{":
            before = text[header:at]
            is_function = _SIGNATURE.search(before) and not _NO_FUNCTION.match(before)
            start = header + len(before) - len(before.lstrip())
            stack.append((start if is_function else None, depth))
            depth = 0
        elif what == "}" and stack:
            opened, depth = stack.pop()
            if opened is not None:
                yield text.count("\n", 0, opened) + 1, text.count("\n", opened, at) + 1
        header = at + 1


def test_cxx_functions_are_found() -> None:
    code = """
namespace a {
struct S { int x = 0; };
int f(int a,
      int b) const noexcept {  // }
    if (a) { return 1; }
    for (int i = 0; i < 3; ++i) { a += "}"[0]; }
    auto g = [&](int x) { return x; };
    return '}';
}
Thing::Thing(int a) : a_(a), b_(2) {
}
}  // namespace a
"""
    assert sorted(_cxx_functions(code)) == [(4, 7), (8, 1), (11, 2)]


def test_python_functions_are_found() -> None:
    assert list(_python_functions("@d\ndef f():\n    def g():\n        pass\n    return g\n")) == [(2, 5), (3, 2)]


# Written so that this file does not hold them itself.
FORBIDDEN = {
    "a machine's path": re.compile(r"(?<![\w.])/(?:work|home|root|farm|mnt|Users)/\w"),
    "a plan beside the repository": re.compile(r"DESIGN" + r"\.md|DEVELOPERS" + r"\.md|\.\./shared"),
    "how the project is made, not what it is": re.compile(r"\bissue\s#?\d+\b|\bthis session\b|\bhelper agent\b", re.I),
    "unfinished work": re.compile(r"\b(?:TODO|FIXME|XXX)\b"),
}
TEXT = set(".py .md .hpp .h .cpp .c .toml .txt .cmake .in .json .yml .yaml .csv .sh".split()) | {""}
LARGEST = 5_000_000  # bytes of a file: the demo's ONNX file, a million weights in float32, is the largest


def test_the_project_speaks_of_itself_alone() -> None:
    found = []
    for path in project_files():
        if path.suffix not in TEXT or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        for what, pattern in FORBIDDEN.items():
            found += [f"{name_of(path)}: {what}: {match[0]!r}" for match in pattern.finditer(text)]
    assert found == []


def test_no_large_files() -> None:
    large = {name_of(path): path.stat().st_size for path in project_files() if path.stat().st_size > LARGEST}
    assert large == {}


def test_every_package_says_what_it_is() -> None:
    for path in files_of("pyspike", ".py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{name_of(path)}: say in a docstring what this module is"


def test_the_two_commands_come_first() -> None:
    screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40]
    assert any("make demo" in line for line in screen)
    assert any("make test" in line for line in screen)
