"""What OpenAPI says of API keys."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from crossauth_fastapi._actions.routes import endpoint_of
from crossauth_fastapi._http.openapi import SESSION_SCHEME

_NAME: Final = "ApiKey"


def describe_keys(app: FastAPI, scheme: str) -> None:
    """Let the OpenAPI of `app` say that routes with `CurrentUser` take an API key instead of a session cookie.

    The dependency is the same whichever servers an application has, so it cannot say so itself. Our own actions need a login.

    Parameters:
        app: the application.
        scheme: scheme of keys in the `Authorization` header.
    """
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        described = describe()
        schemes = described.get("components", {}).get("securitySchemes", {})
        session = SESSION_SCHEME["scheme_name"]
        if session in schemes and _NAME not in schemes:
            schemes[_NAME] = {
                "type": "apiKey", "in": "header", "name": "Authorization",
                "description": f"An API key, as `{scheme} xa_…`.",
            }  # fmt: skip
            _add(described, {session: []}, _operations_of_actions(app))
        return described

    app.openapi = openapi  # type: ignore[method-assign]


def _operations_of_actions(app: FastAPI) -> set[str]:
    routes = (context.original_route for context in iter_route_contexts(app.router.routes))
    return {str(getattr(route, "operation_id", "")) for route in routes if endpoint_of(route) is not None}


def _add(described: dict[str, Any], session: dict[str, Any], actions: set[str]) -> None:
    for path in described.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict) and operation.get("operationId") not in actions:
                security = operation.get("security", [])
                if session in security:
                    security.append({_NAME: []})
