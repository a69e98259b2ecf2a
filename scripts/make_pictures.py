"""Make the pictures in `docs/pictures/pages` and `docs/pictures/client` anew, by the tests that check these pages."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ("tests/browser/test_pictures.py", "tests/browser/test_oauth_client_pages.py")


def main() -> int:
    """Run the tests that take the pictures.

    Returns:
        its exit code.
    """
    command = [sys.executable, "-m", "pytest", "-q", *TESTS]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "CROSSAUTH_PICTURES": "1"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
