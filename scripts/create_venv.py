"""Create the virtual environment named on the command line, or say plainly what is missing."""

import sys
from importlib.util import find_spec

OLDEST = (3, 11)


def main(folder):
    """Create the folder; return what to print where that is impossible."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return (
            f"This project needs Python {wanted} or newer, but {sys.executable} is {found}.\n"
            f"Name another one: make PYTHON=python{wanted} setup"
        )
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        return (
            f"{sys.executable} lacks {' and '.join(missing)}, so it cannot create a virtual environment.\n"
            "On Debian and Ubuntu: apt-get install python3-venv"
        )
    import venv  # noqa: PLC0415 - only now it is known to be there

    print(f"Creating {folder} with Python {found}", flush=True)
    venv.create(folder, with_pip=True, clear=True, symlinks=True)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
