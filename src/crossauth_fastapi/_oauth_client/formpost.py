"""Answers of an authorization server that come as a form (OAuth 2.0 Form Post Response Mode).

Such a form is sent by a page of another site, so a browser sends no cookie along that is not open to all sites. Instead of
opening ours, the form is answered with a redirect to the same URL, which a browser follows with its cookies. What was sent is
in it, encrypted, so that no code stands in a log or a history.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.secrets import KeyRing, equal
from crossauth_backend.core.texts import mark
from crossauth_fastapi._http.bodies import bad_request
from crossauth_fastapi._http.jsonbody import BadFields, parse_fields

PURPOSE: Final = "oauth client form post"
PARAMETER: Final = "answer"
FIELDS: Final = ("code", "state", "iss", "error", "error_description")
_LASTS: Final = timedelta(minutes=1)
# What becomes longer is not taken from a URL by every server and proxy.
_LONGEST: Final = 4500


class FormPosts:
    """Turns a form into a parameter of a URL, and back.

    Parameters:
        ring: encrypts.
        client: names the client; what was meant for another is refused.
        clock: what time it is.
    """

    def __init__(self, ring: KeyRing, client: str, clock: Callable[[], datetime]) -> None:
        self._ring, self._client, self._clock = ring, client, clock

    def close(self, form: Mapping[str, Any]) -> str:
        """The value of the parameter for the fields of a form.

        Raises:
            CrossauthError: `BadRequest` for fields that are no text, or too long.
        """
        fields = {name: form[name] for name in FIELDS if form.get(name) is not None}
        if not all(isinstance(value, str) for value in fields.values()):
            raise bad_request("The fields of the form must be text")
        if sum(map(len, fields.values())) > _LONGEST:
            raise bad_request("The form is too long", 413)
        until = int((self._clock() + _LASTS).timestamp())
        return self._ring.encrypt(json.dumps({**fields, "client": self._client, "until": until}, ensure_ascii=False))

    def open(self, value: str) -> dict[str, str]:
        """The fields of the form.

        Raises:
            CrossauthError: `BadRequest` for anything that `close` has not made just now.
        """
        try:
            fields = parse_fields(self._ring.decrypt(value).encode())
        except (BadFields, CrossauthError):
            raise _over() from None
        until, client = fields.pop("until", 0), fields.pop("client", "")
        if not equal(str(client), self._client) or not isinstance(until, int) or until < self._clock().timestamp():
            raise _over()
        return fields


def _over() -> CrossauthError:
    return bad_request(mark("The authorization server's response is too old. Start again."))
