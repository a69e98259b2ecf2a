"""How long a login is, measured by a trace; it may get shorter."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_FILES = 47
MOST_LINES = 6_300


def test_a_login_with_password_and_totp_runs_through_no_more_code_than_it_did() -> None:
    """In a process of its own: what measures coverage traces, too."""
    command = [sys.executable, str(ROOT / "scripts" / "trace_login.py"), "--files"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = re.search(r"(\d+) files, (\d+) lines, (\d+) functions, (\d+) lines ran", done.stdout)
    assert figures is not None, done.stdout
    files, lines, functions, ran = map(int, figures.groups())
    for name in ("accounts/login.py", "accounts/stages.py", "factors/totp/authenticator.py", "core/hash_pool.py"):
        assert f"crossauth_backend/{name}" in done.stdout, "what every login runs through, also in a worker's thread"
    assert files <= MOST_FILES
    assert lines <= MOST_LINES
    assert functions < ran < lines
