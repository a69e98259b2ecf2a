"""The fields of requests and answers, as OpenAPI shows them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from crossauth_fastapi._actions.forms import AsSent, CheckedLater, CsrfBody, Ok
from crossauth_fastapi._http.openapi import TITLED


class PasswordBody(CsrfBody):
    """What a login that is not recent has to confirm."""

    password: AsSent = Field(None, description="Your own, where you logged in some time ago.")


class LoginBody(CsrfBody):
    """Logging in."""

    username: str
    password: CheckedLater
    next: str | None = Field(None, description="Where the page sends the browser afterwards; a path of this site.")
    persist: bool | None = Field(None, description="Whether the login outlives the browser.")


class SignupBody(LoginBody):
    """Signing up; further fields of the user have the prefix `user_`."""

    model_config = ConfigDict(extra="allow")
    username: CheckedLater
    repeat_password: str | None = Field(None, description="Compared with `password` where it is sent.")
    factor1: AsSent = Field(None, description="First factor, where several are offered.")
    factor2: str | None = Field(None, description="Second factor, where several are offered.")
    user_email: AsSent = None


class LogoutBody(CsrfBody):
    """Logging out."""

    next: str | None = Field(None, description="Where the page sends the browser afterwards.")


class ChangePasswordBody(CsrfBody):
    """Changing a password."""

    old_password: CheckedLater
    new_password: CheckedLater
    repeat_password: str | None = Field(None, description="Compared with `new_password` where it is sent.")
    next: str | None = Field(None, description="Where the page sends the browser afterwards.")


class UpdateUserBody(PasswordBody):
    """Changing a profile: fields of the user with the prefix `user_`."""

    model_config = ConfigDict(extra="allow")
    user_email: AsSent = None


class DeleteUserBody(PasswordBody):
    """Deleting one's account."""

    next: str | None = Field(None, description="Where the page's link leads afterwards.")


class UserView(BaseModel):
    """A user, as its owner sees it; further fields are those the user may edit."""

    model_config = TITLED | ConfigDict(extra="allow")
    id: int | str
    username: str
    email: str | None
    state: str
    factor1: str
    factor2: str = Field(description="Empty where there is none.")
    admin: bool


class VerifyBody(CsrfBody):
    """Verifying an email address by the token in a link."""

    token: str | None = Field(None, description="The token, where the path does not carry it.")


class RequestVerificationBody(CsrfBody):
    """Asking for a new link to verify an email address."""

    username: str | None = Field(None, description="Not needed in the browser in which the sign-up began.")
    next: str | None = Field(None, description="Where the page leads afterwards.")


class LoginFactor2Body(CsrfBody):
    """The code of a second factor, or a recovery code."""

    otp: str | None = Field(None, description="The code; a recovery code is taken here too.")
    recovery_code: str | None = None
    next: str | None = Field(None, description="Where the page sends the browser afterwards.")
    persist: bool | None = Field(None, description="Whether the login outlives the browser.")


class ConfigureFactor2Body(PasswordBody):
    """The first code of a second factor; without one its set-up begins anew."""

    otp: str | None = Field(None, description="The code.")
    next: str | None = Field(None, description="Where the page sends the browser afterwards.")


class Factor2Body(CsrfBody):
    """The code that a request waits for."""

    otp: str | None = Field(None, description="The code; a recovery code is taken here too.")
    recovery_code: str | None = None


class ChangeFactor2Body(PasswordBody):
    """Choosing a second factor."""

    factor2: CheckedLater = Field(description='Its name; "none" gives the second factor up.')
    next: str | None = Field(None, description="Where the page sends the browser afterwards.")


class RequestResetBody(CsrfBody):
    """Asking for a link to choose a new password."""

    email: str
    next: str | None = Field(None, description="Where the page leads afterwards.")


class ResetBody(CsrfBody):
    """Choosing a new password by the token in a link."""

    token: CheckedLater
    new_password: CheckedLater
    repeat_password: str | None = Field(None, description="Compared with `new_password` where it is sent.")


class SessionsBody(CsrfBody):
    """Ending sessions."""

    session: str | None = Field(None, description="The session to end, as the list names it.")
    all: bool | None = Field(None, description="End every session but this one.")


class SetPasswordBody(PasswordBody):
    """Giving a user a password."""

    new_password: CheckedLater
    repeat_password: str | None = Field(None, description="Compared with `new_password` where it is sent.")
    next: str | None = Field(None, description="Where the page sends the browser afterwards.")


class AdminCreateBody(CsrfBody):
    """Creating a user; further fields have the prefix `user_`. Without a password a link to choose one is sent."""

    model_config = ConfigDict(extra="allow")
    username: CheckedLater
    password: str | None = None
    repeat_password: str | None = None
    factor1: str | None = None
    factor2: str | None = None
    state: str | None = None
    current_password: AsSent = Field(None, description="Your own, where you logged in some time ago.")
    next: str | None = Field(None, description="Where the page sends the browser afterwards.")


class AdminUpdateBody(PasswordBody):
    """Changing a user; further fields have the prefix `user_`."""

    model_config = ConfigDict(extra="allow")
    username: str | None = None
    state: str | None = None
    factor2: str | None = None


class UserAnswer(Ok):
    """It was done, and this is the user; `null` where nobody is logged in."""

    user: UserView | None


class LoginAnswer(Ok):
    """Logged in; or, with `twoFactorRequired`, the code of `factor2` is waited for at `api/loginfactor2`."""

    user: UserView | None = None
    twoFactorRequired: bool | None = None
    factor2: str | None = None
    message: str | None = Field(None, description="That no code was sent, and why.")
    loginRefused: str | None = Field(
        None, description="A password was changed, and this is why its user is not logged in by that."
    )


class VerifyAnswer(UserAnswer):
    """Whether the address is verified; `user` is whoever is logged in, if it is that user's address."""

    verified: bool
    twoFactorRequired: bool | None = Field(None, description="The login that follows waits for a second factor.")


class ResendAnswer(Ok):
    """A new code was sent, for this factor."""

    factor2: str


class ConfigureAnswer(Ok):
    """What is to be shown to set a factor up, or the user whose factor is set up now, with new recovery codes."""

    user: UserView | None = None
    factor2: str | None = None
    totpsecret: str | None = None
    otpauthUri: str | None = None
    qr: str | None = Field(None, description="The QR code as a `data:` URI.")
    qrSvg: str | None = Field(None, description="The QR code as inline SVG.")
    recoveryCodes: list[str] | None = None


class RecoveryAnswer(Ok):
    """New recovery codes, shown this once; or how many are left."""

    recoveryCodes: list[str] | None = None
    left: int | None = None


class SessionView(BaseModel):
    """One session."""

    model_config = TITLED
    session: str
    created: str
    lastActive: str | None
    agent: str
    address: str
    current: bool


class SessionsAnswer(Ok):
    """Where one is logged in."""

    sessions: list[SessionView]


class UsersAnswer(Ok):
    """A page of users."""

    users: list[UserView]
    skip: int
    take: int
    haveNext: bool


class EventView(BaseModel):
    """One thing that happened."""

    model_config = TITLED
    name: str
    at: str
    userid: int | str | None
    username: str | None
    actor: int | str | None
    address: str
    reason: str


class AuditAnswer(Ok):
    """What happened, newest first."""

    events: list[EventView]
    skip: int
    take: int
    haveNext: bool


class SignupAnswer(UserAnswer):
    """The account exists; `user` is `null` while an address is to be proven or a second factor to be set up."""

    emailVerificationNeeded: bool


class UpdateUserAnswer(Ok):
    """The profile is changed."""

    emailVerificationRequired: bool


class CsrfAnswer(BaseModel):
    """A CSRF token; its cookie comes with the response."""

    model_config = TITLED
    ok: bool
    csrfToken: str
