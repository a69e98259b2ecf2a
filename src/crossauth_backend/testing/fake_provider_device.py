"""The device authorization grant of a provider for tests (RFC 8628), with the page that its user opens elsewhere."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, Final

from crossauth_backend.core.secrets import random_bytes, random_value
from crossauth_backend.testing.fake_provider_base import ProviderBase, failed
from crossauth_backend.testing.fake_provider_faults import ProviderFault
from crossauth_backend.testing.provider import AnyFault
from crossauth_backend.testing.wire import Received, Reply

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass(kw_only=True)
class Device:
    """A device that waits for its user.

    Parameters:
        client_id: its client.
        scope: what it asked for.
        audience: the resource that it named.
        user_code: what its user types.
        expires: when the codes are void, in seconds since the epoch.
        user: who agreed, by `sub`.
        denied: whether the user refused.
        next_poll: before this moment a poll is too early.
    """

    client_id: str
    scope: str
    audience: str | None
    user_code: str
    expires: int
    user: str | None = None
    denied: bool = False
    next_poll: float = 0


class Devices:
    """The devices that wait, by device code."""

    def __init__(self, provider: ProviderBase) -> None:
        self._provider = provider
        self.waiting: dict[str, Device] = {}

    def decide(self, user_code: str, user: str | None) -> None:
        """A user has typed the code, and agreed; `None` refused.

        Raises:
            LookupError: where no device waits with this code.
        """
        typed = "".join(c for c in user_code.upper() if c.isalnum())
        device = next((d for d in self.waiting.values() if d.user_code.replace("-", "") == typed), None)
        if device is None:
            raise LookupError("no device waits with this code")
        device.user, device.denied = user, user is None

    def authorization(self, received: Received, fault: AnyFault | None) -> Reply:
        """The device authorization endpoint (RFC 8628 §3.1)."""
        client = self._provider.client_of(received)
        if isinstance(client, Reply):
            return client
        if fault is ProviderFault.ERROR:
            return failed("invalid_scope", "<script>alert(1)</script>")
        settings, fields = self._provider.settings, received.fields
        letters = [_LETTERS[byte % len(_LETTERS)] for byte in random_bytes(8)]
        device = Device(
            client_id=client, scope=fields.get("scope", ""), audience=fields.get("resource") or fields.get("audience"),
            user_code=f"{''.join(letters[:4])}-{''.join(letters[4:])}", expires=self._provider.now + settings.device_lifetime,
        )  # fmt: skip
        device_code = random_value(32)
        self.waiting[device_code] = device
        page = f"{self._provider.base}/device"
        document: dict[str, Any] = {
            "device_code": device_code, "user_code": device.user_code, "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={device.user_code}", "expires_in": settings.device_lifetime,
            "interval": settings.device_interval,
        }  # fmt: skip
        if fault is ProviderFault.WRONG_VERIFICATION_URI:
            document |= {"verification_uri": "javascript:alert(1)", "verification_uri_complete": "javascript:alert(1)"}
        elif fault is ProviderFault.WRONG_TYPES:
            document |= {"device_code": ["a"], "user_code": {}, "interval": "soon", "expires_in": None}
        return Reply(200, document, {"Cache-Control": "no-store"})

    def page(self, received: Received) -> Reply:
        """Where the user types the code: whoever is in `user` agrees by sending it."""
        code = received.parameters.get("user_code", "")
        if received.method != "POST":
            field = f'<input name="user_code" value="{html.escape(code)}">'
            return Reply(200, f'<form method="post">{field}<button>Continue</button></form>')
        try:
            self.decide(code, self._provider.user)
        except LookupError:
            return Reply(400, "<p>No device waits with this code.</p>")
        return Reply(200, "<p>You may return to your device.</p>")

    def grant(self, provider: ProviderBase, received: Received, client: str, fault: AnyFault | None) -> Reply:
        """A poll (RFC 8628 §3.4, §3.5)."""
        code = received.fields.get("device_code", "")
        device = self.waiting.get(code)
        if device is None or device.client_id != client:
            return failed("invalid_grant", "unknown device code")
        moment, interval = provider.now, provider.settings.device_interval
        early, device.next_poll = moment < device.next_poll, moment + interval
        if fault is ProviderFault.SLOW_DOWN or early:
            device.next_poll += interval
            return failed("slow_down")
        if moment >= device.expires:
            return failed("expired_token")
        if device.user is None and not device.denied:
            return failed("authorization_pending")
        del self.waiting[code]
        if device.user is None:
            return failed("access_denied", "The user refused")
        grant = provider.grant(client, device.user, device.scope, device.audience)
        return Reply(200, provider.token_response(grant, fault), {"Cache-Control": "no-store"})
