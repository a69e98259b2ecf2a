"""The bodies of requests and answers, to be derived from by the application."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, EmailStr, StrictBool, WithJsonSchema

from crossauth_fastapi.fastapi_users.models import ID

SCHEMA = TypeVar("SCHEMA", bound=BaseModel)

_NEVER_SET = {"id", "hashed_password"}
_NEVER_FROM_USERS = _NEVER_SET | {"is_superuser", "is_active", "is_verified", "oauth_accounts"}


class CreateUpdateDictModel(BaseModel):
    """A body, as the fields that were sent."""

    def create_update_dict(self) -> dict[str, Any]:
        """What users may set of themselves: every field that was sent but id, hash, flags and linked accounts.

        A field that the application adds to its schema may be set by every user; fields that are not theirs to set belong
        into a schema of their own. What the schema does not name is not set, whatever its `extra` says.
        """
        return self.model_dump(exclude_unset=True, exclude=_NEVER_FROM_USERS | set(self.model_extra or ()))

    def create_update_dict_superuser(self) -> dict[str, Any]:
        """What superusers may set: everything that was sent but id and hash."""
        return self.model_dump(exclude_unset=True, exclude=_NEVER_SET)


class BaseUser(CreateUpdateDictModel, Generic[ID]):
    """A user as the answers show it."""

    id: ID
    # What is stored is shown, also where it could not be registered today.
    email: Annotated[str, WithJsonSchema({"type": "string", "format": "email"})]
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False

    model_config = ConfigDict(from_attributes=True, hide_input_in_errors=True)


class BaseUserCreate(CreateUpdateDictModel):
    """A registration. The flags are ignored where users register themselves; `2` or `"yes"` is neither true nor false."""

    email: EmailStr
    password: str
    is_active: StrictBool | None = True
    is_superuser: StrictBool | None = False
    is_verified: StrictBool | None = False


class BaseUserUpdate(CreateUpdateDictModel):
    """A change of a user. What is not sent stays, and so does what is sent as null."""

    password: str | None = None
    email: EmailStr | None = None
    is_active: StrictBool | None = None
    is_superuser: StrictBool | None = None
    is_verified: StrictBool | None = None


U = TypeVar("U", bound="BaseUser[Any]")
UC = TypeVar("UC", bound=BaseUserCreate)
UU = TypeVar("UU", bound=BaseUserUpdate)


class BaseOAuthAccount(BaseModel, Generic[ID]):
    """An account at a provider, with its tokens."""

    id: ID
    oauth_name: str
    access_token: str
    expires_at: int | None = None
    refresh_token: str | None = None
    account_id: str
    account_email: str

    model_config = ConfigDict(from_attributes=True, hide_input_in_errors=True)


class BaseOAuthAccountMixin(BaseModel):
    """Adds a user's accounts at providers to its schema."""

    oauth_accounts: list[BaseOAuthAccount[Any]] = []
