"""The command `pyspike`: one file a subcommand, put together in `pyspike.cli.app`."""

from __future__ import annotations

import sys
from pathlib import Path

from pyspike._foreign import refuse_foreign_package
from pyspike.errors import Error, missing_extra


def main() -> None:
    """Run the command line. Exit code 0; 1 where `verify` or the demo finds a difference; 2 for an error."""
    try:
        # Once more here: files of a foreign package may have replaced the check that runs at import.
        refuse_foreign_package(Path(__file__).parents[1], sys.path)
        _run()
    except (Error, OSError) as error:
        print(f"pyspike: error: {_one_line(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("pyspike: interrupted", file=sys.stderr)
        sys.exit(130)


def _run() -> None:
    for package in ("typer", "rich"):
        try:
            __import__(package)
        except ImportError as error:
            raise missing_extra(package, "cli") from error
    from pyspike.cli.app import app

    app()


def _one_line(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{error.filename}: no such file"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
