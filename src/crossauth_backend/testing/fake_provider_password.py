"""The password grant of a provider for tests (RFC 6749 §4.3), with second factors as Auth0 shapes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from crossauth_backend.core.secrets import equal, random_bytes, random_value
from crossauth_backend.testing.fake_provider_base import ProviderBase, failed
from crossauth_backend.testing.provider import AnyFault
from crossauth_backend.testing.wire import Received, Reply

OTP_GRANT: Final = "http://auth0.com/oauth/grant-type/mfa-otp"
OOB_GRANT: Final = "http://auth0.com/oauth/grant-type/mfa-oob"
_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(kw_only=True)
class Login:
    """A login that waits for its second factor.

    Parameters:
        user: by `sub`.
        client_id: where the password was given.
        scope: what was asked for.
        audience: the resource that was named.
        expires: in seconds since the epoch.
        codes: what was sent for each `oob_code`.
        tries: how many wrong codes may still come.
    """

    user: str
    client_id: str
    scope: str
    audience: str | None
    expires: int
    codes: dict[str, str] = field(default_factory=dict)
    tries: int = 10


class SecondFactors:
    """Users with second factors, and the logins that wait for one.

    `of_user` says which factors a user has, by `sub`, as the endpoint lists them; who has none there gets tokens for a
    password alone. `otp` is the code that every authenticator app shows, `sent` what was sent out of band, the latest last.
    """

    def __init__(self, provider: ProviderBase) -> None:
        self._provider = provider
        self.of_user: dict[str, list[dict[str, Any]]] = {}
        self.otp = "123456"
        self.sent: list[str] = []
        self.lifetime = 600
        self.logins: dict[str, Login] = {}

    def require(self, user: str, *kinds: str) -> None:
        """Give a user second factors.

        Parameters:
            user: by `sub`.
            kinds: `otp`, `sms`, `email`; all of them where none is named.
        """
        factors = {
            "otp": {"id": "totp|dev_1", "authenticator_type": "otp", "active": True},
            "sms": {
                "id": "sms|dev_2", "authenticator_type": "oob", "active": True, "oob_channel": "sms", "name": "+44XXXXXXX89",
            },
            "email": {
                "id": "email|dev_3", "authenticator_type": "oob", "active": True, "oob_channel": "email", "name": "a***@e***",
            },
        }  # fmt: skip
        self.of_user[user] = [factors[kind] for kind in kinds or factors]

    def password(self, provider: ProviderBase, received: Received, client: str, fault: AnyFault | None) -> Reply:
        """The password grant: tokens, or that a second factor is needed."""
        fields = received.fields
        user, scope = fields.get("username", ""), fields.get("scope", "")
        audience = fields.get("resource") or fields.get("audience")
        known = provider.passwords.get(user)
        if known is None or not equal(known, fields.get("password", "")):
            return failed("invalid_grant", "Wrong email or password.", 403)
        if self.of_user.get(user):
            token = random_value(32)
            self.logins[token] = Login(
                user=user, client_id=client, scope=scope, audience=audience, expires=provider.now + self.lifetime
            )
            return failed("mfa_required", "Multifactor authentication required", 403, mfa_token=token)
        return Reply(200, provider.token_response(provider.grant(client, user, scope, audience), fault), _NO_STORE)

    def authenticators(self, received: Received) -> Reply:
        """`GET mfa/authenticators`: the factors of the user whom an `mfa_token` is about."""
        login = self._login(received.bearer)
        return login if isinstance(login, Reply) else Reply(200, self.of_user.get(login.user, []), _NO_STORE)

    def challenge(self, received: Received) -> Reply:
        """`POST mfa/challenge`: begin with one of them."""
        client, fields = self._provider.client_of(received), received.fields
        if isinstance(client, Reply):
            return client
        login = self._login(fields.get("mfa_token"), client)
        if isinstance(login, Reply):
            return login
        kinds = fields.get("challenge_type", "otp oob").split()
        requested = fields.get("authenticator_id")
        for factor in self.of_user.get(login.user, []):
            if factor["authenticator_type"] in kinds and requested in (None, factor["id"]):
                return self._begun(login, factor)
        return failed("unsupported_challenge_type", "User does not have such an authenticator", 401)

    def by_otp(self, provider: ProviderBase, received: Received, client: str, fault: AnyFault | None) -> Reply:
        """Tokens for a code that the user had."""
        return self._finish(received, client, self.otp, received.fields.get("otp", ""), fault)

    def by_oob(self, provider: ProviderBase, received: Received, client: str, fault: AnyFault | None) -> Reply:
        """Tokens for a code that was sent."""
        login = self._login(received.fields.get("mfa_token"), client)
        if isinstance(login, Reply):
            return login
        sent = login.codes.get(received.fields.get("oob_code", ""))
        if sent is None:
            return failed("invalid_grant", "Invalid oob_code.", 403)
        return self._finish(received, client, sent, received.fields.get("binding_code", ""), fault)

    def _begun(self, login: Login, factor: dict[str, Any]) -> Reply:
        if factor["authenticator_type"] == "otp":
            return Reply(200, {"challenge_type": "otp"}, _NO_STORE)
        oob_code = random_value(16)
        digits = "".join(str(byte % 10) for byte in random_bytes(6))
        login.codes[oob_code] = digits
        self.sent.append(digits)
        return Reply(200, {"challenge_type": "oob", "oob_code": oob_code, "binding_method": "prompt"}, _NO_STORE)

    def _finish(self, received: Received, client: str, right: str, given: str, fault: AnyFault | None) -> Reply:
        token = received.fields.get("mfa_token", "")
        login = self._login(token, client)
        if isinstance(login, Reply):
            return login
        if not equal(right, given):
            login.tries -= 1
            if login.tries <= 0:
                del self.logins[token]
            return failed("invalid_grant", "Invalid code.", 403)
        del self.logins[token]
        grant = self._provider.grant(client, login.user, login.scope, login.audience)
        return Reply(200, self._provider.token_response(grant, fault), _NO_STORE)

    def _login(self, token: str | None, client: str | None = None) -> Login | Reply:
        login = self.logins.get(token or "")
        if login is None or client not in (None, login.client_id):
            return failed("invalid_grant", "Malformed mfa_token", 401)
        if self._provider.now >= login.expires:
            return failed("expired_token", "mfa_token is expired", 401)
        return login
