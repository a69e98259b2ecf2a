"""The options of `LocalPasswordAuthenticator`, as an application writes them and as they are read at the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crossauth_backend.core.hash_cost import Argon2Parameters
from crossauth_backend.core.hash_pool import MAX_WAITING
from crossauth_backend.core.options import option
from crossauth_backend.factors.base import AuthenticatorOptions, AuthenticatorSettings, Params
from crossauth_backend.factors.password.rules import default_password_validator


class LocalPasswordAuthenticatorOptions(AuthenticatorOptions, total=False):
    """Options of `LocalPasswordAuthenticator`."""

    secret: str
    enable_secret_for_password_hash: bool
    validate_password_fn: Callable[[Params], list[str]]
    argon2: Argon2Parameters
    hashing_threads: int
    hashing_queue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPasswordSettings(AuthenticatorSettings):
    """`LocalPasswordAuthenticatorOptions`, parsed."""

    secret: str | None = option(None, env="HASHER_SECRET", doc="Pepper, see `enable_secret_for_password_hash`.")
    enable_secret_for_password_hash: bool = option(
        False,
        env="ENABLE_SECRET_FOR_PASSWORDS",
        doc="Mix `secret` into every password hash, so that a stolen database alone cannot be attacked.",
    )
    validate_password_fn: Callable[[Params], list[str]] = option(
        default_password_validator, doc="What a new password must be.", shown="default_password_validator"
    )
    argon2: Argon2Parameters = option(Argon2Parameters(), doc="Cost of one hash.", shown="19 MiB, 2 passes, 1 lane")
    hashing_threads: int | None = option(
        None, at_least=1, at_most=1024, doc="How many passwords are hashed at once.", shown="cores - 1, at least 1"
    )
    hashing_queue: int = option(
        MAX_WAITING,
        at_least=1,
        at_most=100_000,
        doc="How many passwords may wait to be hashed, of trusted browsers and of others; beyond it the answer is 503.",
    )
