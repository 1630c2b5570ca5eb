"""Look for secrets in the files of this repository; exit 1 where something looks like one and was not reviewed.

What was reviewed and is none, such as the password of a user that a test makes, is in .secrets.baseline by its hash;
``--reviewed`` writes that file anew. Nothing is asked of a network: what is found is sent nowhere.
"""

import json
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

from detect_secrets import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ".secrets.baseline"
GIT = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
ADVICE = "Take it out and make another, for this one was written down. Is it none: scripts/find_secrets.py --reviewed"


def main(arguments, root=ROOT):
    """Look through every file that is committed, or would be by ``git add``."""
    files = listed(root)
    if files is None:
        print("Not searched for secrets: this is no clone of the repository.")
        return 0
    baseline = json.loads((root / BASELINE).read_text())
    found = look(root, files, baseline)
    if "--reviewed" in arguments:
        (root / BASELINE).write_text(json.dumps({**baseline, "results": kept(found)}, indent=2) + "\n")
        return 0
    # What is none in one file is none in another.
    known = {(one["type"], one["hashed_secret"]) for ones in baseline["results"].values() for one in ones}
    unknown = [one for ones in found.values() for one in ones if (one["type"], one["hashed_secret"]) not in known]
    for one in unknown:
        print(f"{one['filename']}:{one['line_number']}: {one['type']}. {ADVICE}")
    print(f"Searched for secrets: {len(files)} files, {len(unknown)} findings.")
    return 1 if unknown else 0


def listed(root):
    """Return the paths of the files that git has or does not ignore; None where there is no git."""
    try:
        ran = subprocess.run(GIT, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return sorted(path for path in ran.stdout.split("\0") if path != BASELINE and (root / path).is_file())


def look(root, files, baseline):
    """Return by path what looks like a secret to the detectors and filters that a baseline names."""
    chosen = {name: baseline[name] for name in ("plugins_used", "filters_used")}
    with chdir(root), transient_settings(chosen):
        found = SecretsCollection()
        found.scan_files(*files)
        return found.json()


def kept(found):
    """Return what a baseline says of what was found: not the lines, which move."""
    told = ("type", "filename", "hashed_secret", "is_verified")
    return {path: [{name: one[name] for name in told} for one in ones] for path, ones in found.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
