"""What every factor can be asked. A factor may serve as the first (a password) or the second (a code) of a login.

The life of a second factor, in the order in which its methods are called:

1. The user chooses it: `prepare_configuration` says what is shown (such as a QR code) and what is kept, encrypted, in the
   session until the set-up is done. `reprepare_configuration` shows it again.
2. The user answers: `validate_secrets` judges what the user chose, if anything (see `setup_fields`), then `confirm_configuration`
   checks the answer and returns the secrets. Those that `secret_names` names are stored, in one step with the choice.
3. At a login `create_one_time_secrets` may send a code; `authenticate_user` checks the answer against what is stored.

A first factor is asked for its secrets at once: `validate_secrets`, then `create_persistent_secrets`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict, cast

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import problems_of
from crossauth_backend.core.options import option, read_options
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.services import FactorServices, NoServices
from crossauth_backend.users.record import User, UserSecrets

Params = Mapping[str, Any]


class AuthenticationParameters(TypedDict, total=False):
    """What a login form may carry."""

    password: str
    totpsecret: str
    otp: str
    expiry: int


class AuthenticatorOptions(TypedDict, total=False):
    """Options of every authenticator."""

    friendly_name: str


@dataclass(frozen=True, slots=True)
class AuthenticatorCapabilities:
    """What an authenticator can keep for a user."""

    can_create_user: bool
    can_update_user: bool
    can_update_secrets: bool


@dataclass(frozen=True, slots=True)
class CodeField:
    """How a page asks for what proves this factor.

    Parameters:
        label: the label of the field.
        hint: where the user finds what is asked for.
        keyboard: the kind of keyboard a telephone shows (HTML `inputmode`).
    """

    label: str = "Code"
    hint: str = ""
    keyboard: Literal["text", "numeric"] = "text"


@dataclass(frozen=True, slots=True)
class SetupField:
    """A secret that the user chooses when setting a factor up.

    Parameters:
        name: the name of the form field; best that of the secret.
        label: the label of the field.
        hint: what makes a good one.
        repeat: whether the page asks for it twice; the second time as `repeat_` and the name.
        hidden: whether the page hides what is typed, as it does for a password.
    """

    name: str
    label: str
    hint: str = ""
    repeat: bool = True
    hidden: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorSettings:
    """`AuthenticatorOptions`, parsed."""

    friendly_name: str | None = option(None, doc="The name of this factor on pages.")


class Authenticator(ABC):
    """One factor. `factor_name` is the key under which the application gave it to the server.

    Parameters:
        options: `friendly_name`, and what the class itself documents.
    """

    default_friendly_name: ClassVar[str] = mark("Authenticator")
    test_only: ClassVar[bool] = False
    # Names of RFC 8176 §2 for what this factor proves, such as `("hwk", "user")`; sessions and tokens say them as `amr`. Where a
    # class says none it counts as `pwd` for a first factor and as `otp` for a second one. A login has two factors, as
    # `require(factor2=True)` asks, where the names of both are of different kinds: a second secret to be known is `kba` or `pin`
    # and is none beside a password.
    amr: ClassVar[tuple[str, ...]] = ()
    settings_table: ClassVar[type] = AuthenticatorSettings

    def __init__(self, options: AuthenticatorOptions | None = None) -> None:
        self.settings: Any = read_options(self.settings_table, options or {}, component=type(self).__name__)
        self.friendly_name: str = self.settings.friendly_name or self.default_friendly_name
        self.factor_name = ""
        self.services: FactorServices = cast(FactorServices, NoServices(type(self).__name__))
        """What the server hands to its factors. Of a factor that was given to no server only the clock can be asked for."""

    def attach(self, services: FactorServices) -> None:
        """Called once by the server that the factor was given to.

        Raises:
            CrossauthError: `Configuration` where the server lacks what this factor needs.
        """
        self.services = services

    @abstractmethod
    async def authenticate_user(self, user: User | None, secrets: UserSecrets | Params | None, params: Params) -> None:
        """Return if `params` prove that somebody is `user`; `None` for `user` must take as long as a wrong secret.

        Raises:
            CrossauthError: `UsernameOrPasswordInvalid`, `PasswordInvalid`, `InvalidToken` or `Expired`.
        """

    @abstractmethod
    async def create_persistent_secrets(
        self, username: str, params: Params, repeat_params: Params | None = None
    ) -> dict[str, Any]:
        """The secrets to store for `username`.

        Raises:
            CrossauthError: `PasswordMatch` where `repeat_params` differ.
        """

    async def secret_problems(self, params: Params) -> list[str]:
        """What is wrong with secrets that are to be stored: what `validate_secrets` says, plain or `async`."""
        return await problems_of(self.validate_secrets, params)

    async def prepare_configuration(self, user: Params | User) -> dict[str, dict[str, Any]] | None:
        """`{"userData", "sessionData"}` for setting this factor up, or `None` where nothing is to be shown."""
        return None

    async def reprepare_configuration(self, username: str, session_data: Params) -> dict[str, dict[str, Any]] | None:
        """As `prepare_configuration`, for a set-up that was interrupted."""
        return None

    def setup_fields(self) -> list[SetupField]:
        """The secrets that the user chooses when setting this factor up; none by default, the user answers with a code then.

        A factor that names some overrides `confirm_configuration` as well, or the server does not start.
        """
        return []

    async def confirm_configuration(self, user: User, prepared: Params, params: Params) -> dict[str, Any]:
        """Check the answer that ends the set-up of this factor as a second factor, and return the secrets to store.

        By default the answer is a code, which `authenticate_user` checks against what `prepare_configuration` kept, and the
        secrets are those that it kept. A factor whose secret the user chooses returns instead what
        `create_persistent_secrets` makes of `params`; `chosen_secrets` does that.

        Parameters:
            user: whose factor it will be; nobody's, with the name that was asked for, where an account must not be disclosed.
            prepared: the `sessionData` of `prepare_configuration`.
            params: what the form sent: codes, and the fields that `setup_fields` names, also those that begin with `repeat_`.
                What is wrong with these by `validate_secrets` has been refused before.

        Raises:
            CrossauthError: `InvalidToken` or `Expired` for a wrong code, which counts as an attempt; `PasswordMatch` or
                `PasswordFormat` for a secret that cannot be taken, which does not.
        """
        await self.authenticate_user(user, prepared, params)
        return {name: prepared.get(name) for name in self.secret_names()}

    async def chosen_secrets(self, user: User, params: Params) -> dict[str, Any]:
        """Return the secrets to store, made by `create_persistent_secrets` of what the user chose and repeated.

        Raises:
            CrossauthError: `PasswordMatch` where the repetition differs.
        """
        names = [field.name for field in self.setup_fields()]
        chosen = {name: params[name] for name in names if name in params}
        repeated = {name: params[f"repeat_{name}"] for name in names if f"repeat_{name}" in params}
        if any(chosen.get(name) != value for name, value in repeated.items()):
            raise CrossauthError(ErrorCode.PasswordMatch)
        return await self.create_persistent_secrets(user.username, chosen, repeated or None)

    async def create_one_time_secrets(self, user: User) -> dict[str, Any]:
        """What this login's code will be compared with; may send the code to the user."""
        return {}

    @abstractmethod
    def secret_names(self) -> list[str]:
        """Names of the secrets that are stored. A storage that has no place for one of them stops the start.

        The storages of this library have a place for any name. `password` is the first factor's.
        """

    @abstractmethod
    def transient_secret_names(self) -> list[str]:
        """Names of the fields that are sent once and not stored."""

    @abstractmethod
    def validate_secrets(self, params: Params) -> list[str]:
        """What is wrong with new secrets, as texts for the user; empty where nothing is."""

    def can_create_user(self) -> bool:
        """Whether users may be created with this factor."""
        return True

    def can_update_user(self) -> bool:
        """Whether users with this factor may be changed."""
        return True

    def can_update_secrets(self) -> bool:
        """Whether the stored secrets may be changed."""
        return True

    def skip_email_verification_on_signup(self) -> bool:
        """Whether setting this factor up proves the email address already."""
        return False

    def require_user_entry(self) -> bool:
        """Whether a user must be in the user storage before this factor can be checked."""
        return True

    def mfa_type(self) -> Literal["none", "oob", "otp"]:
        """How a code travels: not at all, out of band, or from the user's own generator."""
        return "none"

    def mfa_channel(self) -> Literal["none", "email", "sms"]:
        """The out-of-band channel."""
        return "none"

    def user_fields(self) -> list[str]:
        """Names of the text fields that a user needs for this factor; a storage without them stops the start.

        By default what the out-of-band channel needs: `email` or `phone`. A factor that reads others overrides this.
        """
        return {"email": ["email"], "sms": ["phone"]}.get(self.mfa_channel(), [])

    def code_field(self) -> CodeField:
        """How pages ask for what proves this factor; a factor of an application's own says it here."""
        return CodeField(hint=mark("Enter what %(factor)s asks for.", factor=self.friendly_name))

    def capabilities(self) -> AuthenticatorCapabilities:
        """The three `can_*` answers as one record."""
        return AuthenticatorCapabilities(self.can_create_user(), self.can_update_user(), self.can_update_secrets())


class PasswordAuthenticator(Authenticator):
    """A factor whose one stored secret is a password."""

    default_friendly_name = mark("Password")
    amr = ("pwd",)

    def secret_names(self) -> list[str]:
        """`["password"]`."""
        return ["password"]

    def transient_secret_names(self) -> list[str]:
        """`[]`."""
        return []
