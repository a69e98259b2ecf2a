"""What sends a text message, and what a phone number is."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Final, Protocol, runtime_checkable

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark

_E164: Final = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII)


@runtime_checkable
class SmsSender(Protocol):
    """Sends text messages."""

    async def send(self, to: str, body: str) -> str:
        """Send `body` to the E.164 number `to`; returns the provider's id of the message.

        Raises:
            CrossauthError: `Connection` where the provider does not take it.
        """
        ...


def valid_phone(number: object) -> str:
    """`number` in E.164 form (ITU-T E.164 §6: `+`, country code, at most 15 digits).

    Where phonenumberslite is installed (`crossauth[sms]`), the number must also be one that its country could give out.

    Raises:
        CrossauthError: `InvalidPhoneNumber`.
    """
    text = re.sub(r"[\s().-]", "", number) if isinstance(number, str) else ""
    if not _E164.fullmatch(text):
        raise CrossauthError(
            ErrorCode.InvalidPhoneNumber, mark("Enter the phone number with its country code, such as +441632960961")
        )
    try:
        phonenumbers = import_module("phonenumbers")
    except ModuleNotFoundError:
        return text
    try:
        possible = phonenumbers.is_possible_number(phonenumbers.parse(text))
    except phonenumbers.NumberParseException:
        possible = False
    if not possible:
        raise CrossauthError(ErrorCode.InvalidPhoneNumber)
    return text
