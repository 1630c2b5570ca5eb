"""Write requirements/*.txt from pyproject.toml: exact versions, and no word about where they came from."""

import subprocess
import sys

UV = (
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--upgrade"),
    *("--universal", "--python-version", "3.11", "--fork-strategy", "fewest"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
)
SERVICE = ("--group", "service")
SERVED = ("--extra", "postgres", *SERVICE)
FILES = {
    "base": SERVED,
    "test": (*SERVED, "--group", "test"),
    "check": (*SERVED, "--group", "check"),
    "docs": ("--group", "docs"),
}


def main():
    """Compile each file."""
    known = []
    for name, groups in FILES.items():
        path = f"requirements/{name}.txt"
        # What an earlier file pins, a later one pins alike.
        subprocess.run([*UV, *groups, *known, "--output-file", path], check=True)
        known += ["--constraint", path]
    mariadb = ("--extra", "mariadb", *SERVICE)
    subprocess.run([*UV, *mariadb, *known, "--output-file", "requirements/mariadb.txt"], check=True)


if __name__ == "__main__":
    main()
