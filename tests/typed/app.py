"""An application as its author types it, for two type checkers: `tests/unit/test_typing.py` says what they are to find."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI

from crossauth_backend import User
from crossauth_fastapi import AdminUser, CurrentUser, OptionalUser, Principal, require


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


reveal_type(require(Shopper))
reveal_type(require())
reveal_type(require(Principal[Shopper], credentials=["bearer"]))
reveal_type(require(Principal))
