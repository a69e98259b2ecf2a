"""Routes that take who is asking from the request instead of from its credential"""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from crossauth_backend import CrossauthError, ErrorCode, User
from crossauth_fastapi import CurrentUser, Principal, require
from tests.shop import Shopper
from tests.support import make_server


def in_body(user: User) -> None: ...
def own_in_body(user: Shopper) -> None: ...
def maybe_in_body(user: User | None = None) -> None: ...
def embedded(user: Annotated[Shopper, Body(embed=True)]) -> None: ...
def principal(user: Principal) -> None: ...
def own_principal(user: Principal[Shopper]) -> None: ...
def in_query(user: Annotated[Shopper, Depends()]) -> None: ...
def named(user: Annotated[Any, Depends(User)]) -> None: ...
def inner(found: Annotated[None, Depends(in_body)]) -> None: ...


FORGOTTEN = require()
WRONG: list[Callable[..., Any]] = [
    in_body, own_in_body, maybe_in_body, embedded, principal, own_principal, in_query, named, inner,
]  # fmt: skip


@pytest.mark.parametrize("handler", WRONG, ids=lambda handler: handler.__name__)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_route_that_would_believe_a_user_who_is_sent_does_not_start(handler: Callable[..., Any], method: str) -> None:
    """Send a user in the body, or in the query, of a route whose author forgot `require`."""
    app = make_server().app
    # A router that asks for somebody does not make it better: the handler would still act for whoever was sent.
    router = APIRouter(dependencies=[Depends(require())])
    router.add_api_route("/pay", handler, methods=[method])
    app.include_router(router)
    with (
        pytest.raises(CrossauthError, match=r"/pay: parameter 'user' .*Depends\(require\(") as refused,
        TestClient(app),
    ):
        pass
    assert refused.value.code is ErrorCode.Configuration


def test_a_requirement_that_nobody_would_ask_does_not_start() -> None:
    """Call a route whose author forgot `Depends` around `require`."""
    app = make_server().app

    @app.get("/pay")
    async def pay(user: Any = FORGOTTEN) -> None: ...

    with pytest.raises(CrossauthError, match=r"/pay: parameter 'user' .*Depends\(require"), TestClient(app):
        pass


def test_what_an_application_may_be_sent_and_answers_is_its_own_affair() -> None:
    """A model of the fields that may be sent, and a user in an answer, are no faults."""
    app: FastAPI = make_server().app

    class NewUser(BaseModel):
        username: str

    @app.post("/people")
    async def people(sent: NewUser, others: list[NewUser], user: CurrentUser) -> NewUser:
        return sent

    @app.get("/mine")
    async def mine(user: Annotated[User, Depends(require(User))]) -> User:
        return user

    with TestClient(app) as client:
        assert client.get("/mine").status_code == 401
