"""`python -m pyspike` is the command `pyspike`."""

from pyspike.cli import main

if __name__ == "__main__":
    main()
