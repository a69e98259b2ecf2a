"""Reading what an authorization server answers: bounded, typed, and with nothing in it that was not asked for.

Everything here is a pure function over what came. What does not read as an answer is an error of the server's, in our words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.core.fetch import FetchResponse, is_secure_url
from crossauth_backend.core.jose import MAX_TOKEN
from crossauth_backend.core.jose.verify import read_json
from crossauth_backend.core.text import is_storable
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client.responses import (
    OAuthDeviceAuthorizationResponse,
    OAuthMfaAuthenticator,
    OAuthMfaAuthenticatorsResponse,
    OAuthMfaChallengeResponse,
    OAuthTokenResponse,
)
from crossauth_backend.oauth.wire.text import as_description, parse_scope

# A hundred years; what is longer is a slip, and leaves what dates can express.
MAX_SECONDS: Final = 3_153_600_000
MAX_AUTHENTICATORS: Final = 100
MAX_DESCRIPTION: Final = 500
DEFAULT_INTERVAL: Final = 5
_MAX_INTERVAL: Final = 3600
_MAX_TEXT: Final = 4096
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_TEXT: Final = re.compile(r"[\x20-\x7e]+")
_ERROR: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
_DIGITS: Final = re.compile(r"[0-9]{1,12}")
# What GitHub calls errors that have a name in RFC 6749 §5.2.
_NAMES: Final = {
    "bad_verification_code": "invalid_grant", "bad_refresh_token": "invalid_grant",
    "incorrect_client_credentials": "invalid_client", "incorrect_device_code": "invalid_grant",
}  # fmt: skip
# RFC 6749 §5.2 has 400 and 401, Auth0 403, and GitHub says everything with 200. An error page of something in between is none.
_SAYS_ERRORS: Final = (200, 400, 401, 403)
_BUSY: Final = (429, 502, 503, 504)


class Nonsense(ValueError):
    """An answer that is none; its text names what is wrong, and holds nothing of what came."""


def failed(error: str, description: str = "") -> OAuthTokenResponse:
    """An error as flows return it."""
    response: OAuthTokenResponse = {"error": error, "error_description": description or error}
    return response


def unavailable() -> OAuthTokenResponse:
    """The authorization server does not answer."""
    return failed("temporarily_unavailable", mark("The authorization server isn't responding. Try again later."))


def unusable() -> OAuthTokenResponse:
    """The authorization server answers, and nobody can make anything of it."""
    return failed("server_error", mark("The authorization server sent an invalid response"))


def foreign_error(error: object, description: object) -> OAuthTokenResponse:
    """An error that another server names, held to the characters of RFC 6749 §5.2 and to a length.

    Parameters:
        error: its name; what cannot be one is `server_error`.
        description: its text, which is for people and can say anything.
    """
    if not isinstance(error, str) or not _ERROR.fullmatch(error):
        return unusable()
    text = as_description(description[:_MAX_TEXT])[:MAX_DESCRIPTION].strip() if isinstance(description, str) else ""
    return failed(_NAMES.get(error, error), text)


def read_answer(response: FetchResponse, *, may_be_list: bool = False) -> dict[str, Any] | OAuthTokenResponse:
    """The JSON object of a successful answer, or an error, which has the member `error`.

    Parameters:
        response: what came.
        may_be_list: whether a list is an answer too; it is then the member `list`.

    Raises:
        Nonsense: it is neither.
    """
    if response.status in _BUSY or response.status >= 500:
        return _of_busy(response)
    document = _document(response, may_be_list)
    if response.status not in _SAYS_ERRORS:
        raise Nonsense(f"status {response.status}")
    if document.get("error") is not None:
        return _of_error(document)
    if response.status != 200:
        raise Nonsense(f"status {response.status}")
    # Whoever reads it tells an error by this member.
    return {name: value for name, value in document.items() if name != "error"}


def read_token_response(document: Mapping[str, Any]) -> OAuthTokenResponse:
    """The tokens of a successful answer (RFC 6749 §5.1).

    Raises:
        Nonsense: naming the member that is wrong.
    """
    kind = document.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise Nonsense("token_type")
    token = _text(document, "access_token", _VISIBLE, MAX_TOKEN)
    if token is None:
        raise Nonsense("access_token")
    found: OAuthTokenResponse = {"access_token": token, "token_type": "Bearer"}
    refresh_token = _text(document, "refresh_token", _TEXT, MAX_TOKEN)
    if refresh_token is not None:
        found["refresh_token"] = refresh_token
    id_token = _text(document, "id_token", _VISIBLE, MAX_TOKEN)
    if id_token is not None:
        found["id_token"] = id_token
    seconds = _seconds(document, "expires_in")
    if seconds is not None:
        found["expires_in"] = seconds
    scope = _scope(document)
    if scope is not None:
        found["scope"] = scope
    return found


def read_device_response(document: Mapping[str, Any]) -> OAuthDeviceAuthorizationResponse:
    """The codes of a device authorization endpoint (RFC 8628 §3.2).

    Raises:
        Nonsense: naming the member that is wrong.
    """
    device_code = _text(document, "device_code", _TEXT, _MAX_TEXT)
    user_code = _text(document, "user_code", _TEXT, 100)
    # Google says `verification_url`.
    uri = _url(document, "verification_uri") or _url(document, "verification_url")
    expires_in = _seconds(document, "expires_in")
    if device_code is None or user_code is None or uri is None or not expires_in:
        raise Nonsense("a member that is required")
    found: OAuthDeviceAuthorizationResponse = {
        "device_code": device_code, "user_code": user_code, "verification_uri": uri, "expires_in": expires_in,
        "interval": min(_seconds(document, "interval") or DEFAULT_INTERVAL, _MAX_INTERVAL),
    }  # fmt: skip
    complete = _url(document, "verification_uri_complete")
    if complete is not None:
        found["verification_uri_complete"] = complete
    return found


def decrypt(document: Mapping[str, Any]) -> OAuthMfaChallengeResponse:
    """The answer of an MFA challenge endpoint.

    Raises:
        Nonsense: naming the member that is wrong.
    """
    kind = document.get("challenge_type")
    if kind not in ("otp", "oob"):
        raise Nonsense("challenge_type")
    found: OAuthMfaChallengeResponse = {"challenge_type": kind}
    oob_code = _text(document, "oob_code", _TEXT, _MAX_TEXT)
    if oob_code is not None:
        found["oob_code"] = oob_code
    elif kind == "oob":
        raise Nonsense("oob_code")
    binding = _text(document, "binding_method", _TEXT, 100)
    if binding is not None:
        found["binding_method"] = binding
    channel = _text(document, "oob_channel", _TEXT, 100)
    if channel is not None:
        found["oob_channel"] = channel
    name = _name(document)
    if name is not None:
        found["name"] = name
    return found


def read_authenticators(entries: object) -> OAuthMfaAuthenticatorsResponse:
    """The list of an MFA authenticators endpoint; entries that are no authenticators are left out.

    Raises:
        Nonsense: it is no list, or longer than any user's.
    """
    if not isinstance(entries, list) or len(entries) > MAX_AUTHENTICATORS:
        raise Nonsense("authenticators")
    found = [_authenticator(entry) for entry in entries if isinstance(entry, dict)]
    return {"authenticators": [one for one in found if one is not None]}


def _authenticator(entry: Mapping[str, Any]) -> OAuthMfaAuthenticator | None:
    try:
        kind, name = _text(entry, "authenticator_type", _TEXT, 100), _text(entry, "id", _TEXT, 255)
        channel, title = _text(entry, "oob_channel", _TEXT, 100), _name(entry)
    except Nonsense:
        return None
    if kind is None or name is None:
        return None
    found: OAuthMfaAuthenticator = {
        "authenticator_type": kind,
        "id": name,
        "active": entry.get("active", True) is True,
    }
    if channel is not None:
        found["oob_channel"] = channel
    if title is not None:
        found["name"] = title
    return found


def _of_busy(response: FetchResponse) -> OAuthTokenResponse:
    # A device that polls too often may be told so with 429.
    if response.status == 429:
        try:
            error = _document(response).get("error")
        except Nonsense:
            error = None
        if error in ("slow_down", "authorization_pending"):
            return failed(error)
    return unavailable() if response.status in _BUSY else unusable()


def _of_error(document: Mapping[str, Any]) -> OAuthTokenResponse:
    found = foreign_error(document["error"], document.get("error_description"))
    if found["error"] == "mfa_required":
        token = _text(document, "mfa_token", _VISIBLE, MAX_TOKEN)
        if token is not None:
            found["mfa_token"] = token
    return found


def _document(response: FetchResponse, may_be_list: bool = False) -> dict[str, Any]:
    if not response.is_json:
        raise Nonsense(f"status {response.status}, and the content type is not JSON")
    try:
        value = read_json(response.body)
    except (ValueError, RecursionError) as e:
        raise Nonsense(f"status {response.status}, and no JSON ({type(e).__name__})") from None
    if may_be_list and isinstance(value, list):
        return {"list": value}
    if not isinstance(value, dict):
        raise Nonsense(f"status {response.status}, and no JSON object")
    return value


def _text(document: Mapping[str, Any], name: str, pattern: re.Pattern[str], longest: int) -> str | None:
    """A text; nothing, `null` and an empty one are the same."""
    value = document.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > longest or not pattern.fullmatch(value):
        raise Nonsense(name)
    return value


def _name(document: Mapping[str, Any]) -> str | None:
    """What people call a factor, in any language."""
    value = document.get("name")
    return value[:255] if isinstance(value, str) and value and is_storable(value) else None


def _url(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_secure_url(value):
        raise Nonsense(name)
    return value


def _seconds(document: Mapping[str, Any], name: str) -> int | None:
    """A number of seconds, which some servers write as text. What is no such number is refused: taken for an end that is not
    known, it would make a token good for ever."""
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Nonsense(name)
    if not 0 <= value <= MAX_SECONDS or not math.isfinite(value):
        raise Nonsense(name)
    return int(value)


def _scope(document: Mapping[str, Any]) -> str | None:
    """What was granted; some servers send a list."""
    value = document.get("scope")
    if isinstance(value, list) and len(value) <= _MAX_TEXT and all(isinstance(one, str) for one in value):
        value = " ".join(value)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise Nonsense("scope")
    return " ".join(parse_scope(value))
