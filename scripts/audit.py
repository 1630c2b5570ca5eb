"""Look up the pinned dependencies in PyPI's advisories; exit 1 where one is known to be vulnerable.

Where the advisories cannot be asked, it says so and exits 0: a build must not fail for want of a network.
"""

import json
import subprocess
import sys

FILES = ("base", "mariadb")
AUDIT = (
    *(sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip"),
    *("--progress-spinner", "off", "--format", "json", "--timeout", "10"),
)


def main():
    """Audit what is installed to serve."""
    chosen = [part for name in FILES for part in ("--requirement", f"requirements/{name}.txt")]
    ran = subprocess.run([*AUDIT, *chosen], capture_output=True, text=True, check=False)
    found = judged(ran.stdout)
    if found is None:
        print("Not audited: PyPI's advisories cannot be asked from here.")
        return 0
    audited, vulnerable = found
    for line in vulnerable:
        print(line)
    print(f"Audited: {audited} dependencies, {len(vulnerable)} advisories.")
    return 1 if vulnerable else 0


def judged(report):
    """Return how many dependencies were looked up and a line for each advisory; None where none could be."""
    try:
        dependencies = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return None
    audited = [dependency for dependency in dependencies if "skip_reason" not in dependency]
    if not audited:
        return None
    return len(audited), [
        f"{dependency['name']} {dependency['version']}: {advisory['id']}, "
        f"mended in {', '.join(advisory['fix_versions']) or 'no version yet'}"
        for dependency in audited
        for advisory in dependency["vulns"]
    ]


if __name__ == "__main__":
    sys.exit(main())
