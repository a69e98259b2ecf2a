"""Catch email and text messages instead of sending them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import FastAPI

from crossauth_backend.delivery.queue import Channel, DeliveryQueue
from crossauth_fastapi.testing.applications import app_of, manager_of

_CODE: Final = re.compile(r"(?<![\w-])[0-9]{6}(?![\w-])", re.ASCII)
_LINK: Final = re.compile(r"https?://[^\s<>\"')]+")
T = TypeVar("T")


class _HasText:
    """What is read from the text of a message."""

    text: str

    @property
    def code(self) -> str:
        """The code of six digits.

        Raises:
            LookupError: where there is none.
        """
        found: list[str] = _CODE.findall(self.text)
        if not found:
            raise LookupError(f"there is no code in this message: {self.text}")
        return found[0]

    @property
    def link(self) -> str:
        """The link with a token: the longest one.

        Raises:
            LookupError: where there is none.
        """
        found: list[str] = [link.rstrip(".,;:!?") for link in _LINK.findall(self.text)]
        if not found:
            raise LookupError(f"there is no link in this message: {self.text}")
        return max(found, key=len)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedMail(_HasText):
    """An email that would have been sent.

    Parameters:
        to: the address it goes to.
        subject: its subject.
        text: the text part.
        html: the HTML part; `None` where there is none.
    """

    to: str
    subject: str
    text: str
    html: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedText(_HasText):
    """A text message that would have been sent.

    Parameters:
        to: the phone number it goes to.
        text: what it says.
    """

    to: str
    text: str


@contextmanager
def captured_mail(target: Any) -> Iterator[list[CapturedMail]]:
    """Catch email in the block, oldest first; nothing is sent, whatever mailer is configured.

    What a request sends is in the list when the test gets its response.

    Parameters:
        target: the application, or a client of it.

    Raises:
        CrossauthError: `Configuration` where the application has no session server.
    """
    with _captured(app_of(target), _mail_of) as mails:
        yield mails


@contextmanager
def captured_texts(target: Any) -> Iterator[list[CapturedText]]:
    """Catch text messages; otherwise as `captured_mail`."""
    with _captured(app_of(target), _text_of) as texts:
        yield texts


def _mail_of(content: Mapping[str, Any]) -> CapturedMail | None:
    if "subject" not in content:
        return None
    return CapturedMail(to=content["to"], subject=content["subject"], text=content["text"], html=content.get("html"))


def _text_of(content: Mapping[str, Any]) -> CapturedText | None:
    return CapturedText(to=content["to"], text=content["body"]) if "body" in content else None


@contextmanager
def _captured(app: FastAPI, read: Callable[[Mapping[str, Any]], T | None]) -> Iterator[list[T]]:
    """Catch the messages that `read` knows."""
    found: list[T] = []

    def catch(send: Channel) -> Channel:
        async def instead(content: Mapping[str, Any]) -> object:
            message = read(content)
            if message is None:
                return await send(content)
            found.append(message)
            return None

        return instead

    queue = manager_of(app).queue
    with queue.diverted(catch), _awaited(app, queue):
        yield found


@contextmanager
def _awaited(app: FastAPI, queue: DeliveryQueue) -> Iterator[None]:
    """Let a response wait for what its request sends in the background."""
    before = app.middleware_stack
    served = before or app.build_middleware_stack()

    async def with_messages(scope: Any, receive: Any, send: Any) -> None:
        await served(scope, receive, send)
        if scope["type"] == "http":
            await queue.idle()

    app.middleware_stack = with_messages
    try:
        yield
    finally:
        app.middleware_stack = before
