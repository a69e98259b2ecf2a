"""Make the pictures in `docs/pictures/pages` anew, by the test that checks the pages: `tests/browser/test_pictures.py`."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Run the test that takes the pictures.

    Returns:
        its exit code.
    """
    command = [sys.executable, "-m", "pytest", "-q", "tests/browser/test_pictures.py"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "CROSSAUTH_PICTURES": "1"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
