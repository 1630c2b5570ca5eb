"""Print docs/guarantees.md; exit 1 where a path has no test or a marker no path."""

from __future__ import annotations

import sys

from tests.guarantees import matrix


def main() -> int:
    """Print the document, or what is wrong with the markers, and return the exit status."""
    found = matrix.collect()
    if problems := matrix.problems(found):
        sys.stderr.write("\n".join(problems) + "\n")
        return 1
    sys.stdout.write(matrix.document(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
