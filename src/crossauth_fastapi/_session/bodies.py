"""The fields of requests and answers, as OpenAPI shows them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CsrfBody(BaseModel):
    """Every form carries a CSRF token, unless the header `X-CROSSAUTH-CSRF` does."""

    csrfToken: str | None = Field(None, description="CSRF token, where the header does not carry it.")


class LoginBody(CsrfBody):
    """Logging in."""

    username: str
    password: str
    next: str | None = Field(None, description="Where the page sends the browser afterwards; a path of this site.")
    persist: bool | None = Field(None, description="Whether the login outlives the browser.")


class SignupBody(LoginBody):
    """Signing up; further fields of the user have the prefix `user_`."""

    model_config = ConfigDict(extra="allow")
    repeat_password: str | None = Field(None, description="Compared with `password` where it is sent.")
    factor1: str | None = Field(None, description="First factor, where several are offered.")
    user_email: str | None = None


class LogoutBody(CsrfBody):
    """Logging out."""

    next: str | None = Field(None, description="Where the page sends the browser afterwards.")


class ChangePasswordBody(CsrfBody):
    """Changing a password."""

    old_password: str
    new_password: str
    repeat_password: str | None = Field(None, description="Compared with `new_password` where it is sent.")
    next: str | None = Field(None, description="Where the page sends the browser afterwards.")


class UpdateUserBody(CsrfBody):
    """Changing a profile: fields of the user with the prefix `user_`."""

    model_config = ConfigDict(extra="allow")
    user_email: str | None = None


class DeleteUserBody(CsrfBody):
    """Deleting one's account."""

    next: str | None = Field(None, description="Where the page's link leads afterwards.")


class UserView(BaseModel):
    """A user, as its owner sees it; further fields are those the user may edit."""

    model_config = ConfigDict(extra="allow")
    id: int | str
    username: str
    email: str | None
    state: str
    factor1: str
    factor2: str = Field(description="Empty where there is none.")
    admin: bool


class Ok(BaseModel):
    """It was done."""

    model_config = ConfigDict(extra="allow")
    ok: bool


class UserAnswer(Ok):
    """It was done, and this is the user; `null` where nobody is logged in."""

    user: UserView | None


class SignupAnswer(UserAnswer):
    """The account exists and its user is logged in."""

    emailVerificationNeeded: bool


class UpdateUserAnswer(Ok):
    """The profile is changed."""

    emailVerificationRequired: bool


class CsrfAnswer(Ok):
    """A CSRF token; its cookie comes with the response."""

    csrfToken: str
