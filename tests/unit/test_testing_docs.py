"""The example of a test suite, and the tests on docs/testing.md, pass as they stand, in a process of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import SECRET

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL)


def test_the_tests_of_the_page_and_of_the_example_pass(tmp_path: Path) -> None:
    for name in ("shop.py", "test_shop.py"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    (tmp_path / "test_page.py").write_text("\n\n".join(BLOCKS))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    environment = {**os.environ, "CROSSAUTH_SECRET": SECRET}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{6 + sum(block.count('def test_') for block in BLOCKS)} passed" in done.stdout
