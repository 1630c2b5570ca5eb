"""Look for secrets in all files of the repository; exit 1 where one is found that nobody has reviewed. Asks no network.

What was reviewed and is none, such as a password of a test, is in .secrets.baseline. To review again:
``detect-secrets scan --no-verify --baseline .secrets.baseline``, then ``detect-secrets audit .secrets.baseline``.
"""

import subprocess
import sys
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection

BASELINE = ".secrets.baseline"


def main():
    """Scan what git would commit."""
    listed = files()
    if listed is None:
        print("Not scanned for secrets: this is no clone.")
        return 0
    reviewed = baseline.load(baseline.load_from_file(BASELINE), BASELINE)
    found = SecretsCollection()
    found.scan_files(*listed)
    # Where a line stands does not matter: secrets are told apart by file, kind and digest.
    new = sorted((secret.filename, secret.line_number, secret.type) for _path, secret in found - reviewed)
    for path, line, kind in new:
        print(f"{path}:{line}: {kind}")
    unreviewed = [path for path, secret in reviewed if secret.is_secret is not False]
    for path in unreviewed:
        print(f"{BASELINE} has a finding in {path} that nobody has called harmless.")
    print(f"Scanned for secrets: {len(listed)} files, {len(new)} findings that were not reviewed.")
    return 1 if new or unreviewed else 0


def files():
    """Return the files that git has or would take; None where there is no repository."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        ran = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [path for path in ran.stdout.split("\0") if path and path != BASELINE and Path(path).is_file()]


if __name__ == "__main__":
    sys.exit(main())
