"""Tokens that say themselves whose they are: nothing is stored, and nothing can be ended before its time."""

from __future__ import annotations

from typing import Any, ClassVar, Generic

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.jose import JwtInvalidError, check_keys
from crossauth_backend.core.secrets import equal
from crossauth_fastapi.fastapi_users._records import credential_fingerprint
from crossauth_fastapi.fastapi_users._rules import fingerprint
from crossauth_fastapi.fastapi_users.authentication.strategy.base import (
    Strategy,
    StrategyDestroyNotSupportedError,
    check_lifetime,
)
from crossauth_fastapi.fastapi_users.exceptions import InvalidID, UserNotExists
from crossauth_fastapi.fastapi_users.jwt import SecretType, decode_jwt, generate_jwt, secret_value
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapi_users.models import ID, UP

PASSWORD_CLAIM = "pwd"


class JWTStrategyDestroyNotSupportedError(StrategyDestroyNotSupportedError):
    """A JWT is good until it expires, or its user's password or second factor changes."""

    def __init__(self) -> None:
        super().__init__("A JWT can't be invalidated: it's valid until it expires.")


class JWTStrategy(Strategy[UP, ID], Generic[UP, ID]):
    """Signed tokens (RFC 7519).

    A token carries a mark of the user's password and second factor, so that a change of them ends every token from before.

    Parameters:
        secret: secret, or private key as PEM.
        lifetime_seconds: seconds a token is good; `None` for ever.
        token_audience: for whom tokens are.
        algorithm: how they are signed; no other is accepted.
        public_key: what verifies them, where `secret` is a private key.
        accept_unmarked_tokens: whether tokens without the mark are good, as older software made them: for as long as the old
            ones live after a change-over. No new password ends such a token.

    Raises:
        CrossauthError: `Configuration` for a lifetime that is not above 0, for no audience, for keys that do not fit the
            algorithm or each other, or for unmarked tokens that would be good for ever.
    """

    checks_login_mark: ClassVar[bool] = True

    def __init__(
        self,
        secret: SecretType,
        lifetime_seconds: int | None,
        token_audience: list[str] | None = None,
        algorithm: str = "HS256",
        public_key: SecretType | None = None,
        *,
        accept_unmarked_tokens: bool = False,
    ) -> None:
        check_lifetime("JWTStrategy", lifetime_seconds)
        self.secret = secret
        self.lifetime_seconds = lifetime_seconds
        self.token_audience = ["fastapi-users:auth"] if token_audience is None else token_audience
        self.algorithm = algorithm
        self.public_key = public_key
        self.accept_unmarked_tokens = accept_unmarked_tokens
        if accept_unmarked_tokens and lifetime_seconds is None:
            raise CrossauthError(
                ErrorCode.Configuration,
                "JWTStrategy: 'accept_unmarked_tokens' needs 'lifetime_seconds', or a token without a mark could never be ended",
            )
        if isinstance(self.token_audience, str) or not self.token_audience or not all(self.token_audience):
            raise CrossauthError(
                ErrorCode.Configuration, "JWTStrategy: 'token_audience' must be a list of texts, with at least one"
            )
        check_keys(secret_value(self.encode_key, algorithm), secret_value(self.decode_key, algorithm), algorithm)

    @property
    def encode_key(self) -> SecretType:
        """What signs."""
        return self.secret

    @property
    def decode_key(self) -> SecretType:
        """What verifies."""
        return self.public_key or self.secret

    async def read_token(self, token: str | None, user_manager: BaseUserManager[UP, ID]) -> UP | None:
        """The user of a token; `None` where it is not good."""
        if token is None:
            return None
        claims = self.read_claims(token)
        if claims is None:
            return None
        try:
            user = await user_manager.get(user_manager.parse_id(claims["sub"]))
        except (KeyError, UserNotExists, InvalidID):
            return None
        mark = claims.get(PASSWORD_CLAIM)
        if mark is None:
            return user if self.accept_unmarked_tokens else None
        return user if equal(str(mark), self._mark(user)) else None

    def read_claims(self, token: str) -> dict[str, Any] | None:
        """See `SupportsClaims`."""
        try:
            return decode_jwt(
                token, self.decode_key, self.token_audience, [self.algorithm],
                needs_exp=self.lifetime_seconds is not None,
            )  # fmt: skip
        except JwtInvalidError:
            return None

    async def write_token(self, user: UP) -> str:
        """A new token."""
        return generate_jwt(self.claims(user), self.encode_key, self.lifetime_seconds, self.algorithm)

    def claims(self, user: UP) -> dict[str, Any]:
        """What a token says of its user. To be overridden for more, such as roles; everybody who holds a token can read it."""
        return {"sub": str(user.id), "aud": self.token_audience, PASSWORD_CLAIM: self._mark(user)}

    async def write_token_of(self, user: UP, sid: str) -> str:
        """See `SupportsLoginIds`."""
        claims = {**self.claims(user), "sid": sid}
        return generate_jwt(claims, self.encode_key, self.lifetime_seconds, self.algorithm)

    async def read_sid(self, token: str) -> str | None:
        """See `SupportsLoginIds`."""
        sid = (self.read_claims(token) or {}).get("sid")
        return sid if isinstance(sid, str) else None

    async def destroy_sid(self, user: UP, sid: str) -> None:
        """See `SupportsLoginIds`: such tokens end by themselves."""

    async def destroy_token(self, token: str, user: UP) -> None:
        """Not supported."""
        raise JWTStrategyDestroyNotSupportedError

    def _mark(self, user: UP) -> str:
        # By the key that verifies: a service that only has the public key can check it too.
        return fingerprint(secret_value(self.decode_key, self.algorithm), credential_fingerprint(user))
