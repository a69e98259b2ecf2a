"""A small shop: sign-up with a verified email address, two-factor authentication, orders. `test_shop.py` tests it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI

from crossauth_backend import (
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    LocalPasswordAuthenticator,
    Outbox,
    TotpAuthenticator,
    User,
    UserStorage,
)
from crossauth_fastapi import AdminUser, FastApiServer, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer(User):
    """A user of the shop, with a column of its own."""

    id: int
    company: str | None = None


Buyer = Annotated[Customer, Depends(require(Customer))]


def create_app(users: UserStorage | None = None, keys: KeyStorage | None = None) -> FastAPI:
    """Create the shop. Without storages it forgets everything when it ends."""
    app = FastAPI()
    users = users or InMemoryUserStorage({"record": Customer, "user_editable_fields": ["email", "company"]})
    FastApiServer(
        {"session": {"key_storage": keys or InMemoryKeyStorage()}},
        {
            "app": app,
            "site_name": "Shop",
            "site_url": "http://localhost:8000",
            "user_storage": users,
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users), "totp": TotpAuthenticator("Shop")},
            "allowed_factor2": ["none", "totp"],
            "enable_email_verification": True,
            "mailer": Outbox(),
        },
    )
    orders: dict[int, list[str]] = {}

    @app.get("/orders")
    async def list_orders(user: Buyer) -> list[str]:
        return orders.get(user.id, [])

    @app.post("/orders")
    async def order(user: Buyer, article: str) -> str:
        orders.setdefault(user.id, []).append(article)
        return f"{article} for {user.company or user.username}"

    @app.get("/report")
    async def report(admin: AdminUser) -> int:
        return sum(map(len, orders.values()))

    return app
