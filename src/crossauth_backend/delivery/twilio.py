"""Text messages through Twilio's HTTP interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.delivery.mailer import DeliveryRefused

TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSender:
    """Sends by Twilio's "Messages" resource.

    Parameters:
        account_sid, auth_token: the credentials.
        sender: the number or name that messages come from.
        base_url: Twilio, or what stands for it in a test.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    sender: str
    base_url: str = "https://api.twilio.com"

    async def send(self, to: str, body: str) -> str:
        """Send it; returns the message's SID.

        Raises:
            DeliveryRefused: for a number or text that Twilio refuses.
            CrossauthError: `Connection` where Twilio does not take it; `Configuration` where httpx2 is missing.
        """
        try:
            httpx = import_module("httpx2")
        except ModuleNotFoundError as e:
            raise CrossauthError(ErrorCode.Configuration, "Twilio needs httpx2: install crossauth[sms]") from e
        url = f"{self.base_url}/2010-04-01/Accounts/{self.account_sid}/Messages.json"
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
                answer = await client.post(
                    url, data={"To": to, "From": self.sender, "Body": body}, auth=(self.account_sid, self.auth_token)
                )
            if answer.status_code == 400:
                raise DeliveryRefused("refused", "Twilio answered 400")
            if answer.status_code > 400:
                raise CrossauthError(ErrorCode.Connection, detail=f"Twilio answered {answer.status_code}")
            return str(answer.json()["sid"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as e:
            raise CrossauthError(ErrorCode.Connection, detail=f"Twilio: {type(e).__name__}") from e
