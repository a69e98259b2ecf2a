"""The script of the default pages: what they can do better where scripts run. They all work without."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from crossauth_backend.core.secrets import hash_token

SCRIPT: Final = "crossauth.js"


@cache
def script() -> tuple[bytes, str]:
    """Return the script, and a short hash of it that makes its URL change when it changes."""
    content = (files("crossauth_fastapi") / "_pages" / "static" / SCRIPT).read_bytes()
    return content, hash_token(content)[:12]


def script_url(prefix: str) -> str:
    """Return the URL of the script."""
    return f"{prefix}{SCRIPT}?v={script()[1]}"
