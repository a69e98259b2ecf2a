"""An OpenID provider for tests, on a real socket of this machine: well-behaved, or misbehaving in one way at a time.

    async with FakeProvider() as provider:
        client = OAuthClient(provider.url, {**provider.client_options, "redirect_uri": "http://localhost:8000/authzcode"})
        url = (await client.start_authorization_code_flow("the state", "openid email", nonce="the nonce"))["url"]
        back = dict(parse_qsl(urlsplit(provider.sign_in(url, "alice")).query))
        tokens = await client.redirect_endpoint(back["code"], back["state"], nonce="the nonce", iss=back["iss"])
        assert tokens["id_payload"]["email"] == "alice@example.com"
        provider.faults["refresh_token"] = ProviderFault.WRONG_SUB
        refreshed = await client.refresh_token_flow(tokens["refresh_token"], id_payload=tokens["id_payload"])
        assert refreshed["error"] == "access_denied"

Nobody is asked for a password at the authorization endpoint: it takes `user` for who sits at the browser, and agrees.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.fetch import FetchResponse
from crossauth_backend.core.jose import TokenType
from crossauth_backend.core.secrets import random_value
from crossauth_backend.testing.fake_provider_base import CLIENT_ID, CLIENT_SECRET, ProviderBase, failed
from crossauth_backend.testing.fake_provider_device import DEVICE_GRANT, Devices
from crossauth_backend.testing.fake_provider_faults import ProviderFault, spoiled
from crossauth_backend.testing.fake_provider_grants import (
    GrantType,
    answer,
    client_credentials,
    exchange_code,
    use_refresh_token,
)
from crossauth_backend.testing.fake_provider_logout import (
    end_session,
    log_out,
    logout_token,
    post_logout_token,
    revocation,
)
from crossauth_backend.testing.fake_provider_password import OOB_GRANT, OTP_GRANT, SecondFactors
from crossauth_backend.testing.provider import AnyFault, Handler
from crossauth_backend.testing.wire import Received, Reply


class FakeProvider(ProviderBase):
    """An OpenID provider with every endpoint that a client uses. Use it as an async context manager.

    What it does wrong is in `fault`, or for one endpoint in `faults`, by its name: `metadata`, `jwks`, `authorize`, `token`,
    `userinfo`, `introspect`, `revoke`, `device_authorization`, `device`, `mfa/authenticators`, `mfa/challenge`, `end_session`;
    for a single grant by the grant type (`faults["refresh_token"]`). `requests` counts by the same names, `received` keeps
    every request, `delays` says how many seconds an answer takes.

    Parameters:
        path: of its URL after host and port.
        algorithms: its keys, one for each; the first is the default.
        clock: what time it is.
    """

    def __init__(self, path: str = "", algorithms: tuple[str, ...] = ("ES256",), clock: Clock = utc_now) -> None:
        super().__init__(path, algorithms, clock)
        self.delays: dict[str, float] = {}
        self.devices = Devices(self)
        self.mfa = SecondFactors(self)
        self.grants: dict[str, GrantType] = {
            "authorization_code": exchange_code, "refresh_token": use_refresh_token, "client_credentials": client_credentials,
            "password": self.mfa.password, OTP_GRANT: self.mfa.by_otp, OOB_GRANT: self.mfa.by_oob,
            DEVICE_GRANT: self.devices.grant,
        }  # fmt: skip
        """What it can do, by grant type; leave one out to be a provider that cannot."""

    @property
    def client_options(self) -> dict[str, Any]:
        """The options `client_id` and `client_secret` of a client that it knows."""
        return {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

    def sign_in(self, authorization_url: str, user: str | None = None) -> str:
        """Where the browser of a user is sent, after the user came to `authorization_url` and agreed.

        Parameters:
            authorization_url: of the client.
            user: `sub` of the user; otherwise whoever is in `user`.

        Raises:
            ValueError: where the browser is not sent back, with what it is shown.
        """
        query = dict(parse_qsl(urlsplit(authorization_url).query, keep_blank_values=True))
        reply = self._authorize(Received(endpoint="authorize", query=query), user or self.user)
        if "Location" not in reply.headers:
            raise ValueError(f"the browser stays at the provider: {reply.document}")
        return reply.headers["Location"]

    def approve_device(self, user_code: str, user: str | None = None) -> None:
        """A user types the code of a device and agrees.

        Parameters:
            user_code: as the device shows it.
            user: `sub` of the user; otherwise whoever is in `user`.

        Raises:
            LookupError: where no device waits with this code.
        """
        self.devices.decide(user_code, user or self.user)

    def deny_device(self, user_code: str) -> None:
        """A user types the code of a device and refuses.

        Raises:
            LookupError: where no device waits with this code.
        """
        self.devices.decide(user_code, None)

    def logout_token(
        self,
        *,
        sub: str | None = None,
        sid: str | None = None,
        client_id: str = CLIENT_ID,
        fault: AnyFault | None = None,
        **claims: Any,
    ) -> str:
        """A logout token (OpenID Connect Back-Channel Logout §2.4).

        Parameters:
            sub: the user.
            sid: the session at the provider, as the ID token named it.
            client_id: for whom it is.
            fault: what is wrong with it.
            claims: further ones, or other values; `None` leaves a claim out.
        """
        return logout_token(self, client_id, sub, sid, fault, claims)

    async def send_logout_token(self, url: str, **said: Any) -> FetchResponse:
        """Send a logout token to the back-channel URL of a client.

        Parameters:
            url: of the client.
            said: as `logout_token` takes it.

        Raises:
            CrossauthError: `Connection` where the client does not answer.
        """
        return await post_logout_token(url, self.logout_token(**said))

    async def log_out(self, user: str) -> None:
        """End the session of a user at the provider; `settings.backchannel_logout` says which clients are told.

        Parameters:
            user: by `sub`.
        """
        await log_out(self, user)

    def _routes(self) -> dict[str, tuple[str, Handler]]:
        base = self._path.removesuffix("/")
        return {
            **super()._routes(),
            "authorize": (f"{base}/authorize", lambda received: self._authorize(received, self.user)),
            "token": (f"{base}/token", self._token),
            "userinfo": (f"{base}/userinfo", self._userinfo),
            "revoke": (f"{base}/revoke", lambda received: revocation(self, received)),
            "end_session": (f"{base}/end_session", lambda received: end_session(self, received)),
            "device_authorization": (
                f"{base}/device_authorization",
                lambda received: self.devices.authorization(received, self._fault_of(received)),
            ),
            "device": (f"{base}/device", self.devices.page),
            "mfa/authenticators": (f"{base}/mfa/authenticators", self.mfa.authenticators),
            "mfa/challenge": (f"{base}/mfa/challenge", self.mfa.challenge),
        }

    async def _answer(self, received: Received) -> Reply:
        self.received.append(received)
        await asyncio.sleep(self.delays.get(received.endpoint, 0))
        return await super()._answer(received)

    def _fault_of(self, received: Received) -> AnyFault | None:
        return self.faults.get(received.fields.get("grant_type", ""), super()._fault_of(received))

    def _metadata(self) -> dict[str, Any]:
        offered = {
            "authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo",
            "revocation_endpoint": "revoke", "end_session_endpoint": "end_session",
            "device_authorization_endpoint": "device_authorization",
        }  # fmt: skip
        document = {
            **super()._metadata(), **{name: f"{self.base}/{path}" for name, path in offered.items()},
            "grant_types_supported": list(self.grants), "code_challenge_methods_supported": ["S256"],
            "response_modes_supported": ["query", "form_post"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "token_endpoint_auth_methods_supported": self.settings.token_auth_methods,
            "authorization_response_iss_parameter_supported": self.settings.iss_parameter or None,
            "backchannel_logout_supported": True, "backchannel_logout_session_supported": True,
            **self.settings.metadata,
        }  # fmt: skip
        return {name: value for name, value in document.items() if value is not None}

    def _authorize(self, received: Received, user: str | None) -> Reply:
        """RFC 6749 §4.1.1, OpenID Connect Core §3.1.2."""
        asked, allowed = received.parameters, self.settings.redirect_uris
        back = asked.get("redirect_uri", "")
        if asked.get("client_id") not in self.clients or not back or (allowed is not None and back not in allowed):
            return Reply(400, "<p>Unknown client, or it may not send browsers there.</p>")
        return self._sent_back(asked, self._authorized(asked, user), self._fault_of(received))

    def _authorized(self, asked: Mapping[str, str], user: str | None) -> dict[str, str | None]:
        challenge = asked.get("code_challenge")
        if asked.get("response_type") != "code":
            return {"error": "unsupported_response_type"}
        if (challenge is None and self.settings.require_pkce) or asked.get("code_challenge_method", "S256") != "S256":
            return {"error": "invalid_request", "error_description": "PKCE with S256 is needed"}
        if user is None:
            return {"error": "access_denied", "error_description": "The user refused"}
        code = random_value(24)
        self.codes[code] = self.grant(
            asked["client_id"], user, asked.get("scope", ""), asked.get("resource") or asked.get("audience"),
            nonce=asked.get("nonce"), redirect_uri=asked["redirect_uri"], challenge=challenge,
        )  # fmt: skip
        return {"code": code}

    def _sent_back(self, asked: Mapping[str, str], said: dict[str, str | None], fault: AnyFault | None) -> Reply:
        said |= {"state": asked.get("state"), "iss": self.url if self.settings.iss_parameter else None}
        changes: Mapping[AnyFault | None, dict[str, str | None]] = {
            ProviderFault.WRONG_STATE: {"state": "of another browser"},
            ProviderFault.NO_STATE: {"state": None},
            ProviderFault.WRONG_ISS: {"iss": "https://elsewhere.example.com"},
            ProviderFault.NO_ISS: {"iss": None},
            ProviderFault.NO_CODE: {"code": None},
            ProviderFault.ERROR: {
                "code": None,
                "error": "server_error",
                "error_description": "<script>alert(1)</script>",
            },
        }
        sent = {name: value for name, value in {**said, **changes.get(fault, {})}.items() if value is not None}
        if asked.get("response_mode") == "form_post":
            return Reply(200, _form(asked["redirect_uri"], sent))
        uri = asked["redirect_uri"]
        return Reply(302, "", {"Location": f"{uri}{'&' if '?' in uri else '?'}{urlencode(sent)}"})

    def _token(self, received: Received) -> Reply:
        return answer(self, received, self._fault_of(received), self.grants)

    def _userinfo(self, received: Received) -> Reply:
        """OpenID Connect Core §5.3."""
        token, fault = received.bearer or "", self._fault_of(received)
        grant = self.access_tokens.get(token)
        if grant is None or grant.sub is None or "openid" not in grant.scope or self.expiries[token] <= self.now:
            return failed("invalid_token", status=401)
        claims = {"sub": grant.sub, **self.claims_of(grant)}
        if self.settings.signed_userinfo:
            declared = {"iss": self.url, "aud": grant.client_id, "iat": self.now, "exp": self.now + 60, **claims}
            return Reply(200, self.sign(declared, TokenType.JWT, fault), content_type="application/jwt")
        return Reply(200, spoiled(claims, fault))


def _form(url: str, fields: Mapping[str, str]) -> str:
    """A page that posts itself (OAuth 2.0 Form Post Response Mode §2)."""
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    return f'<body onload="document.forms[0].submit()"><form method="post" action="{html.escape(url)}">{inputs}</form></body>'
