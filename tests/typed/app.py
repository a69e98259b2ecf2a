"""An application as its author types it, for two type checkers: `tests/unit/test_typing.py` says what they are to find."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Request

from crossauth_backend import (
    EmailAuthenticator,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    SessionManager,
    TotpAuthenticator,
    TwilioAuthenticator,
    User,
)
from crossauth_fastapi import AdminUser, CurrentUser, FastApiServer, OptionalUser, Principal, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper(User):
    id: int
    nickname: str


app = FastAPI()
Buyer = Annotated[Shopper, Depends(require(Shopper, scope="orders", verified=True))]


@app.get("/orders")
async def orders(user: Buyer) -> list[int]:
    reveal_type(user)
    reveal_type(user.id)
    reveal_type(user.nickname)
    return [user.id]


@app.get("/jobs")
async def jobs(asking: Annotated[Principal[Shopper], Depends(require(Principal[Shopper], scope=["jobs"]))]) -> str:
    reveal_type(asking)
    reveal_type(asking.user)
    reveal_type(asking.scopes)
    return asking.sub or ""


@app.get("/plain")
async def plain(
    asking: Annotated[Principal, Depends(require(Principal))],
    user: CurrentUser,
    other: OptionalUser,
    admin: AdminUser,
) -> None:
    reveal_type(asking.user)
    reveal_type(user.id)
    reveal_type(other)
    reveal_type(admin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(User):
    id: UUID


@app.get("/account")
async def account(user: Annotated[Account, Depends(require(Account))]) -> UUID:
    reveal_type(user.id)
    return user.id


server = FastApiServer({"session": {"key_storage": InMemoryKeyStorage()}}, {"app": app, "enable_admin_endpoints": True})
reveal_type(server.session_manager)


@app.get("/count")
async def count(request: Request) -> int:
    return (await server.get_session_data(request, "visits") or 0) + 1


reveal_type(require(Shopper))
reveal_type(require())
reveal_type(require(Principal[Shopper], credentials=["bearer"]))
reveal_type(require(Principal))

users = InMemoryUserStorage({"record": Shopper, "user_editable_fields": ["nickname"]})
SessionManager(
    InMemoryKeyStorage(),
    {
        "localpassword": LocalPasswordAuthenticator(users, {"secret": "s" * 40, "friendly_name": "Password"}),
        "totp": TotpAuthenticator("Shop", {"friendly_name": "Code"}),
        "email": EmailAuthenticator({"smtp_host": "localhost", "email_from": "shop@example.com"}),
        "sms": TwilioAuthenticator({"sms_authenticator_from": "+4930123456"}),
    },
    {"secret": "s" * 40, "user_storage": users, "session_cookie_options": {"secure": True}},
)
