"""What `import pyspike` promises: next to nothing is loaded, names resolve in any order, a foreign package is named."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pyspike

ROOT = Path(__file__).parents[2]


def _python(code: str, *, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter that finds packages in `path` first."""
    head = (
        f"import sys\nsys.path.insert(0, {str(path)!r})\n"
        # An editable install answers before the search path does.
        "sys.meta_path = [f for f in sys.meta_path if 'Redirect' not in type(f).__name__]\n"
    )
    return subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, cwd=path, check=False)


def test_import_loads_no_optional_package() -> None:
    code = (
        "import pyspike\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'onnxscript', 'PIL', 'rich', 'typer', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = _python(code)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize(
    "first", ["pass", "import pyspike.verify", "import pyspike.verify as v", "from pyspike.verify import VerifyReport"]
)
def test_verify_is_a_function_whatever_was_imported_first(first: str) -> None:
    code = (
        f"{first}\nimport pyspike, types\n"
        "assert isinstance(pyspike.verify, types.FunctionType), pyspike.verify\n"
        "from pyspike import verify\nassert verify is pyspike.verify\n"
        "import pyspike.verify\nassert pyspike.verify is verify\n"
        "from pyspike.verify import verify as inner, VerifyReport\nassert inner is verify\n"
        "assert pyspike.VerifyReport is VerifyReport\n"
        "try:\n    pyspike.verify('absent.spk')\nexcept FileNotFoundError:\n    print('called')\n"
    )
    result = _python(code)
    assert result.stdout.strip() == "called", result.stderr


def test_every_public_name_resolves() -> None:
    for name in pyspike.__all__:
        assert callable(getattr(pyspike, name)), name
    assert set(pyspike.__all__) <= set(dir(pyspike))
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_this_name'"):
        _ = pyspike.nothing_of_this_name  # type: ignore[attr-defined]


def test_errors_are_typed() -> None:
    kin = {
        "ModelFormatError": ValueError,
        "ShapeError": ValueError,
        "RangeError": ValueError,
        "UnsupportedOpError": ValueError,
        "BusyError": RuntimeError,
        "MissingExtraError": ImportError,
        "ForeignPackageError": ImportError,
    }
    for name, parent in kin.items():
        error = getattr(pyspike, name)
        assert issubclass(error, pyspike.Error)
        assert issubclass(error, parent)


def _copy_of_the_package(folder: Path) -> Path:
    package = folder / "pyspike"
    package.mkdir()
    for name in ("__init__.py", "_foreign.py", "errors.py"):
        shutil.copy(ROOT / "pyspike" / name, package / name)
    return package


@pytest.mark.parametrize("name", ["SpikeTrain.py", "PieceWiseConstFunc.py", "cython/python_backend.py"])
def test_foreign_files_beside_ours_are_named(tmp_path: Path, name: str) -> None:
    package = _copy_of_the_package(tmp_path)
    assert _python("import pyspike; print(pyspike.__file__)", path=tmp_path).stdout.startswith(str(package))
    (package / name).parent.mkdir(exist_ok=True)
    (package / name).touch()
    result = _python("import pyspike", path=tmp_path)
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("pyspike._foreign.ForeignPackageError: ")
    assert name in last
    assert "pip uninstall pyspike pyspike-runtime; pip install pyspike-runtime" in last


def test_a_foreign_package_elsewhere_on_the_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    _copy_of_the_package(tmp_path / "ours")
    theirs = tmp_path / "theirs" / "pyspike"
    theirs.mkdir(parents=True)
    (theirs / "SpikeTrain.py").touch()
    code = f"sys.path.append({str(theirs.parent)!r})\nimport pyspike"
    result = _python(code, path=tmp_path / "ours")
    assert f"ForeignPackageError: {theirs} holds files of another distribution" in result.stderr


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cmake = re.search(r"project\(pyspike VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert cmake is not None
    assert project["version"] == cmake[1] == pyspike.__version__
