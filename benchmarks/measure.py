"""One run on the database of DATABASE_URL: ``python -m benchmarks.measure RESULT [--quick] [--only WORD]``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import django

from tests import programs


def main(arguments: Sequence[str]) -> int:
    """Measure, write what was found as JSON, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="scenarios with this word in their name")
    options = parser.parse_args(arguments)
    programs.unwind_on_signals(signal.SIGTERM)  # so that writers and servers are stopped
    django.setup()

    from benchmarks import environment, plan
    from benchmarks.sizes import FULL, QUICK

    bench = plan.run(QUICK if options.quick else FULL, options.only)
    found = {
        "environment": {**environment.of_database(), **bench.notes},
        "ratios": {name: asdict(ratio) for name, ratio in bench.ratios.items()},
        "series": bench.series,
        "failures": bench.failures,
    }
    options.result.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
