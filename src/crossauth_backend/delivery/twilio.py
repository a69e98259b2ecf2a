"""Text messages through Twilio's HTTP interface."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import Fetcher, FetchRequest, FetchResponse, fetch_with
from crossauth_backend.core.http_client import HttpClient, check_aiohttp
from crossauth_backend.delivery.mailer import DeliveryRefused

_TIMEOUT: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSender:
    """Sends by Twilio's "Messages" resource.

    Parameters:
        account_sid, auth_token: the credentials.
        sender: the number or name that messages come from.
        base_url: Twilio, or what stands for it in a test.
        fetcher: what sends requests, instead of our client.

    Raises:
        CrossauthError: `Configuration` where our client would send, and aiohttp is missing.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    sender: str
    base_url: str = "https://api.twilio.com"
    fetcher: Fetcher | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.fetcher is None:
            check_aiohttp(extra="sms")

    async def send(self, to: str, body: str) -> str:
        """Send it; returns the message's SID.

        Raises:
            DeliveryRefused: for a number or text that Twilio refuses.
            CrossauthError: `Connection` where Twilio does not take it.
        """
        answer = await self._post(urlencode({"To": to, "From": self.sender, "Body": body}).encode())
        if answer.status == 400:
            raise DeliveryRefused("refused", "Twilio answered 400")
        if not 200 <= answer.status < 300:
            raise CrossauthError(ErrorCode.Connection, detail=f"Twilio answered {answer.status}")
        try:
            return str(json.loads(answer.body)["sid"])
        except (ValueError, KeyError, TypeError, RecursionError) as e:
            raise CrossauthError(ErrorCode.Connection, detail=f"Twilio: {type(e).__name__}") from e

    async def _post(self, body: bytes) -> FetchResponse:
        credentials = b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        request = FetchRequest(
            url=f"{self.base_url}/2010-04-01/Accounts/{self.account_sid}/Messages.json",
            method="POST",
            headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"},
            body=body,
            timeout=_TIMEOUT,
        )
        if self.fetcher is not None:
            return await fetch_with(self.fetcher, request)
        # Messages are rare, and a sender is not closed when the server stops: no connection is kept.
        client = HttpClient()
        try:
            return await client.fetch(request)
        finally:
            await client.aclose()
