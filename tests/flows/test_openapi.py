"""What the OpenAPI page says."""

import json
import re
from typing import Any

import pytest
from fastapi.responses import HTMLResponse
from fastapi.routing import iter_route_contexts

from crossauth_fastapi._session.actions import ACTIONS
from tests.accounts import World
from tests.support import make_server

API = ("signup", "login", "logout", "changepassword", "updateuser", "deleteuser")


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    spec: dict[str, Any] = make_server().app.openapi()
    return spec


def resolve(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return spec["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


@pytest.mark.parametrize("name", API)
def test_every_call_says_what_it_reads_answers_and_refuses(spec: dict[str, Any], name: str) -> None:
    call = spec["paths"][f"/api/{name}"]["post"]
    assert call["summary"]
    assert set(call["requestBody"]["content"]) == {
        "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
    }  # fmt: skip
    ok = resolve(spec, call["responses"]["200"]["content"]["application/json"]["schema"])
    assert "ok" in ok["properties"]
    for status in ("400", "401", "403", "413", "415"):
        refusal = resolve(spec, call["responses"][status]["content"]["application/json"]["schema"])
        assert {"ok", "errorMessage", "errorMessages", "errorCode", "errorCodeName"} <= set(refusal["properties"])
    assert "422" not in call["responses"]


@pytest.mark.parametrize("name", API)
def test_a_page_is_served_and_stays_out_of_the_schema(spec: dict[str, Any], name: str) -> None:
    """OpenAPI describes an API; a generated client has no use for forms."""
    assert f"/{name}" not in spec["paths"]
    pages = [c for c in iter_route_contexts(make_server().app.routes) if c.path == f"/{name}"]
    assert {method for page in pages for method in page.methods or ()} == {"GET", "POST"}
    assert {page.response_class for page in pages} == {HTMLResponse}


def test_the_cookie_and_the_csrf_header_are_security_schemes(spec: dict[str, Any]) -> None:
    schemes = spec["components"]["securitySchemes"]
    kinds = {(scheme["type"], scheme["in"], scheme["name"]) for scheme in schemes.values()}
    assert ("apiKey", "header", "X-CROSSAUTH-CSRF") in kinds
    assert any(kind[:2] == ("apiKey", "cookie") for kind in kinds)
    assert spec["paths"]["/me"]["get"]["security"], "an application's own protected route says so too"
    assert spec["paths"]["/api/deleteuser"]["post"]["security"] == [{"Session": [], "CSRF": []}]
    assert spec["paths"]["/api/login"]["post"]["security"] == [{"CSRF": []}]


def test_an_operation_has_the_short_name_that_its_action_gives_it() -> None:
    spec = World(
        enable_admin_endpoints=True, enable_email_verification=True, enable_password_reset=True
    ).server.app.openapi()
    named = {action.operation_id for action in ACTIONS if action.has_json}
    named |= {action.json_operation_id for action in ACTIONS if action.json_operation_id}
    ids = {
        (method, path): call["operationId"] for path, calls in spec["paths"].items() for method, call in calls.items()
    }
    assert ids["post", "/api/login"] == "account_login"
    assert ids["get", "/api/sessions"] == "account_list_sessions"
    assert ids["post", "/api/verifyemail"] == "account_verify_email"
    assert ids["post", "/api/verifyemail/{token}"] == "account_verify_email_of_path"
    assert ids["get", "/api/userforsessionkey"] == "account_current_user"
    assert named <= set(ids.values())
    assert all(re.fullmatch("(account|admin)_[a-z0-9_]+", name) for name in named)


def test_a_call_says_what_it_tells_and_what_limits_it(spec: dict[str, Any]) -> None:
    description = spec["paths"]["/api/signup"]["post"]["description"]
    assert description == "Events: `signed_up`, `login_succeeded`. Limits: `signup_address`, `mail_target`."


def test_no_operation_has_the_name_of_another(spec: dict[str, Any]) -> None:
    ids = [operation["operationId"] for path in spec["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    json.dumps(spec)
