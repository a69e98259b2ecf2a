"""Every example holds what its OpenAPI says: no status that is not there, no server error, short names of operations."""

import asyncio
import itertools
import re
import runpy
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from crossauth_backend.testing import FakeProvider
from crossauth_fastapi.testing import create_user
from tests.resource import bearer
from tests.services.processes import free_port, running
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if not path.stem.startswith("test_"))
CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip
# Each of them for each operation, mode and credential.
TRIES = 3
ADMIN = "root"
Credential = Callable[[httpx2.Client], dict[str, str]]
# What ends the credential that all the others are tried with.
LAST = re.compile("logout|delete|password|sessions|revoke")


@contextmanager
def an_issuer() -> Iterator[FakeProvider]:
    """An issuer in a thread of its own."""
    loop, issuer = asyncio.new_event_loop(), FakeProvider()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(issuer.__aenter__(), loop).result(20)
    yield issuer
    asyncio.run_coroutine_threadsafe(issuer.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


def by_session(client: httpx2.Client, user: str = "alice") -> dict[str, str]:
    """Sign up, or log in again: the cookies and the CSRF token."""

    def csrf() -> dict[str, str]:
        return {CSRF: client.get("/api/getcsrftoken").json()["csrfToken"]}

    client.cookies.clear()
    fields = {"username": user, "user_email": "alice@example.com", "password": PASSWORD, "repeat_password": PASSWORD}
    if not client.post("/api/login", json=fields, headers=csrf()).is_success:
        assert client.post("/api/signup", json=fields, headers=csrf()).is_success
    token = csrf()
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items()), **token}


def by_administrator(client: httpx2.Client) -> dict[str, str]:
    """The session of the administrator that the environment names."""
    return by_session(client, ADMIN)


def by_key(client: httpx2.Client) -> dict[str, str]:
    """A new API key of the same user."""
    fields = {"name": "script", "scope": "notes:read notes:write", "password": PASSWORD}
    made = client.post("/api/apikeys", json=fields, headers=by_session(client))
    return {"Authorization": f"ApiKey {made.json()['token']}"}


def by_adapter(client: httpx2.Client) -> dict[str, str]:
    """A session of another framework."""
    client.post("/enter/alice")
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


def by_jwt(client: httpx2.Client) -> dict[str, str]:
    """A login at the routes of FastAPI Users."""
    fields = {"email": "alice@example.com", "password": PASSWORD}
    client.post("/auth/register", json=fields)
    answer = client.post("/auth/jwt/login", data={"username": fields["email"], "password": PASSWORD})
    return bearer(answer.json()["access_token"])


def by_provider(client: httpx2.Client) -> dict[str, str]:
    """A login at the provider, whose tokens the session keeps."""
    client.cookies.clear()
    away = client.get("/authzcodeflow?scope=openid email offline_access").headers["location"]
    back = urlsplit(httpx2.get(away, trust_env=False).headers["location"])
    assert client.get(f"{back.path}?{back.query}").is_redirect
    token = client.get("/api/getcsrftoken").json()["csrfToken"]
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items()), CSRF: token}


CREDENTIALS: dict[str, list[Credential]] = {
    "accounts": [by_administrator], "api_keys": [by_session, by_key, by_administrator],
    "fastapi_users_routes": [by_jwt], "oauth_client": [by_provider, by_session], "resource_server": [],
    "session_adapter": [by_adapter], "session_server": [by_session], "shop": [by_session, by_administrator],
}  # fmt: skip


def test_every_example_is_tried() -> None:
    assert sorted(CREDENTIALS) == NAMES


@contextmanager
def a_shop() -> Iterator[str]:
    """The shop has no program of its own, for it is there to be tested: its application, with a customer and an administrator."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CROSSAUTH_SECRET", "s" * 40)
        app: FastAPI = runpy.run_path(str(EXAMPLES / "shop.py"))["create_app"]()
    create_user(app, "alice", PASSWORD, email="alice@example.com", company="Acme")
    create_user(app, ADMIN, PASSWORD, email="root@example.com", admin=True)
    with serve(app) as url:
        yield url


@dataclass(frozen=True)
class Running:
    """An example as somebody runs it, and what lets one in."""

    name: str
    client: httpx2.Client
    credentials: list[Credential]


@pytest.fixture(scope="module", params=NAMES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    name, folder = request.param, tmp_path_factory.mktemp("example")
    with an_issuer() as issuer:
        port = free_port()
        resource = f"http://localhost:{port}"
        environment = {"ISSUER": issuer.url, "RESOURCE": resource, "CROSSAUTH_ADMIN": f"{ADMIN}:{PASSWORD}"}
        if name == "oauth_client":
            client_options = issuer.client_options.items()
            environment |= {f"CROSSAUTH_OAUTH_{option.upper()}": value for option, value in client_options}

        def by_token(client: httpx2.Client) -> dict[str, str]:
            return bearer(issuer.issue_token(resource, scope="orders:write"))

        program = [str(EXAMPLES / f"{name}.py")]
        with (
            a_shop() if name == "shop" else running(program, folder, environment, port=port) as url,
            httpx2.Client(base_url=url, trust_env=False, timeout=20) as client,
        ):
            yield Running(name, client, CREDENTIALS[name] or [by_token])


def test_an_example_answers_as_its_schema_says(example: Running) -> None:
    """Whatever fits the description of an operation, and what does not; without a credential, and with each."""
    client, answered = example.client, Counter[str]()
    document = client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    operations = [schema[path][method] for path in document["paths"] for method in schema[path]]
    for operation in sorted(operations, key=lambda found: bool(LAST.search(found.path))):
        sent = {"nobody": {}, **{credential.__name__: credential(client) for credential in example.credentials}}
        for mode, (who, headers) in itertools.product(GenerationMode, sent.items()):
            if mode is GenerationMode.POSITIVE or operation.body or operation.query:
                seen = statuses(operation, mode, headers, str(client.base_url))
                answered[who] += bool({401, 403}.isdisjoint(seen))
    # Or the credentials were none.
    assert all(count > answered["nobody"] for who, count in answered.items() if who != "nobody"), answered


def statuses(operation: Any, mode: GenerationMode, headers: dict[str, str], url: str) -> set[int]:
    """Send what fits, or what does not, and look at the answers."""
    seen: set[int] = set()

    @settings(
        max_examples=TRIES, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True,
        phases=[Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        seen.add(case.call_and_validate(base_url=url, headers=headers, checks=CHECKS).status_code)

    call()
    return seen


def test_the_operations_of_an_example_have_short_names_and_no_page_is_among_them(example: Running) -> None:
    """Operation ids of ours are short, in one spelling and each there once; HTML pages are out of the schema."""
    name, document = example.name, example.client.get("/openapi.json").json()
    operations = [call for calls in document["paths"].values() for call in calls.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    for operation in operations:
        assert "text/html" not in str(operation["responses"])
        # An application names its own routes as it likes, and those of FastAPI Users are called as they always were.
        if name != "fastapi_users_routes" and operation.get("tags", ["sample"]) != ["sample"]:
            assert re.fullmatch("(account|admin|bff|oauth)_[a-z0-9_]{2,40}", operation["operationId"]), operation[
                "operationId"
            ]
    if name == "fastapi_users_routes":
        assert {"auth_jwt_login_auth_jwt_login_post", "users_patch_current_user_users_me_patch"} <= set(ids)
