"""What OpenAPI calls fields and groups of routes."""

from typing import Any

from fastapi import FastAPI

from tests.support import make_server


def schema() -> dict[str, Any]:
    app = FastAPI()
    make_server(app=app)
    return app.openapi()


def test_fields_have_titles_for_people() -> None:
    models = schema()["components"]["schemas"]
    error, view = models["ErrorBody"]["properties"], models["UserView"]["properties"]
    assert {name: field["title"] for name, field in error.items()} == {
        "ok": "Ok", "errorMessage": "Error message", "errorMessages": "Error messages", "errorCode": "Error code",
        "errorCodeName": "Error code name", "csrfToken": "CSRF token",
    }  # fmt: skip
    assert view["id"]["title"] == "ID"


def test_groups_of_routes_are_described_if_they_are_used() -> None:
    document = schema()
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert "Accounts" in tags
    assert all(tags.values())
    used = {
        tag for path in document["paths"].values() for operation in path.values() for tag in operation.get("tags", ())
    }
    assert set(tags) <= used
