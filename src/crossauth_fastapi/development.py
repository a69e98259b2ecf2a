"""For trying things out on one's own machine. An application in production gives its own secret and never comes here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import random_value

_LOCAL = ("localhost", "127.0.0.1", "::1")


def local_secret(database_url: str, site_url: str) -> str:
    """`CROSSAUTH_SECRET`, or on localhost a secret that is made once and kept beside the database.

    Parameters:
        database_url: the database; a secret made here is kept in a file beside it, so that sessions survive a restart.
        site_url: where the site is.

    Raises:
        CrossauthError: `Configuration` where the site is not on localhost and there is no secret.
    """
    given = os.environ.get("CROSSAUTH_SECRET")
    if given:
        return given
    if urlsplit(site_url).hostname not in _LOCAL:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"Set CROSSAUTH_SECRET: {site_url} is not on localhost, so a made-up secret will not do",
        )
    url = urlsplit(database_url)
    is_file = url.scheme.startswith("sqlite") and len(url.path) > 1
    file = Path(url.path[1:] + ".secret" if is_file else "crossauth.secret")
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(random_value(48))
    except FileExistsError:
        pass
    print(f"CROSSAUTH_SECRET is not set: using the development secret in {file}", file=sys.stderr)
    return file.read_text().strip()
