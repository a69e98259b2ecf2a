"""What OpenAPI says of our routes: bodies that may be JSON or a form, and what proves who is asking."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from typing import Any, Final

from fastapi.security import APIKeyCookie, APIKeyHeader
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, ConfigDict

_SESSION: Final = "Session"
_CSRF: Final = "CSRF"
_FORM: Final = "application/x-www-form-urlencoded"
_BODY_KINDS: Final = ("application/json", _FORM, "multipart/form-data")
_COOKIE: Final = "SESSIONID"


def field_title(name: str, info: object = None) -> str:
    """What OpenAPI calls a field: `errorMessage` is "Error message"."""
    words = re.sub("(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").capitalize()
    return re.sub(r"\b([Cc]srf|[Ii]d|[Uu]rl|[Ii]p)\b", lambda found: found[0].upper(), words)


TITLED: Final = ConfigDict(field_title_generator=field_title)


def session_scheme(name: str = _COOKIE, secure_name: str = f"__Host-{_COOKIE}") -> dict[str, Any]:
    """How the session cookie is described.

    Parameters:
        name: its name on http://localhost.
        secure_name: its name on https.
    """
    more = "" if name == secure_name else "; on https its name begins with `__Host-`"
    description = f"The session cookie that logging in sets{more}."
    return {"name": name, "scheme_name": _SESSION, "description": description, "auto_error": False}


SESSION_SCHEME: Final[dict[str, Any]] = session_scheme()


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def form_or_json(model: type[BaseModel], *, form_only: bool = False) -> dict[str, Any]:
    """The description of a body that may be JSON or a form.

    Parameters:
        model: its fields.
        form_only: whether JSON is refused.
    """
    schema, kinds = deepcopy(_schema(model)), (_FORM,) if form_only else _BODY_KINDS
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}}


def security_requirement(*, session: bool = False, csrf: bool = False) -> dict[str, Any]:
    """The description of what a call must carry: all of it, which dependencies cannot say."""
    names = ([_SESSION] if session else []) + ([_CSRF] if csrf else [])
    return {"security": [{name: [] for name in names}]}


def schemes(csrf_header: str, session: dict[str, Any]) -> list[Any]:
    """Dependencies that do nothing but make the names known that `security_requirement` uses.

    Parameters:
        csrf_header: the header with the CSRF token.
        session: see `session_scheme`.
    """
    token = APIKeyHeader(
        name=csrf_header,
        scheme_name=_CSRF,
        description=(
            "A CSRF token from `api/getcsrftoken`, sent with its cookie; or the field `csrfToken` of the body. To log in on this "
            "page, get a token there, enter it here, and call `api/login`, whose answer has the token to enter next."
        ),
        auto_error=False,
    )
    return [APIKeyCookie(**session), token]


class Guarded(SecurityBase):
    """A dependency that lets requests in by some credentials.

    FastAPI has one scheme for one dependency, and knows no servers: that of sessions is a stand-in for what
    `_middleware/described.py` writes.

    Parameters:
        scopes: all that are needed.
        credentials: names of those that are accepted; `None` for any.
        required: whether one is needed at all.
    """

    def __init__(self, scopes: tuple[str, ...], credentials: frozenset[str] | None, required: bool) -> None:
        scheme = APIKeyCookie(**SESSION_SCHEME)
        self.model, self.scheme_name = scheme.model, scheme.scheme_name
        self.scopes, self.credentials, self.required = scopes, credentials, required
