"""The module `crossauth_fastapi.fastapiresserver` as it is documented: names, bases, keys and methods with their types."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import pytest

from crossauth_backend import OAuthResourceServer, OAuthResourceServerOptions, User, UserStorage
from crossauth_fastapi import FastApiSessionAdapter, fastapiresserver
from crossauth_fastapi.fastapiresserver import (
    Authorization,
    FastApiOAuthResourceServer,
    FastApiOAuthResourceServerOptions,
    ProtectedEndpoint,
)

SPEC: dict[str, Any] = json.loads((Path(__file__).parent / "crossauth_fastapi.json").read_text())
DOCUMENTED: dict[str, Any] = SPEC["crossauth_fastapi.fastapiresserver"]
KEYS: dict[Any, dict[str, Any]] = {
    Authorization: {
        "authorized": bool, "error": str, "error_description": str, "token_payload": Mapping[str, Any], "user": User | None,
    },
    FastApiOAuthResourceServerOptions: {
        "error_body": Mapping[str, Any], "protected_endpoints": Mapping[str, ProtectedEndpoint],
        "session_adapter": FastApiSessionAdapter, "session_data_name": str,
        "token_locations": list[Literal["header", "beader", "session"]], "user_storage": UserStorage,
    },
    ProtectedEndpoint: {"accept_session_authorization": bool, "scope": list[str], "suburls": bool},
}  # fmt: skip
METHODS = {
    "authenticate_header": str,
    "authorized": Authorization | None,
    "token_from_header": dict[str, Any] | None,
    "token_from_session": dict[str, Any] | None,
}


def test_the_list_is_the_whole_module() -> None:
    classes = {cls.__name__ for cls in KEYS} | {"FastApiOAuthResourceServer"}
    assert set(DOCUMENTED["classes"]) == classes
    assert classes <= set(fastapiresserver.__all__)
    assert DOCUMENTED["functions"] == {}
    for cls, keys in KEYS.items():
        assert set(DOCUMENTED["classes"][cls.__name__]["keys"]) == set(keys)
    assert set(DOCUMENTED["classes"]["FastApiOAuthResourceServer"]["methods"]) == set(METHODS)


@pytest.mark.parametrize("cls", KEYS, ids=lambda cls: cls.__name__)
def test_the_keys_have_the_documented_types(cls: Any) -> None:
    hints = get_type_hints(cls)
    for key, kind in KEYS[cls].items():
        assert hints[key] == kind, key


def test_the_bases_are_the_documented_ones() -> None:
    assert issubclass(FastApiOAuthResourceServer, OAuthResourceServer)
    # The bases of a TypedDict are its keys.
    assert (
        get_type_hints(OAuthResourceServerOptions).items() <= get_type_hints(FastApiOAuthResourceServerOptions).items()
    )


@pytest.mark.parametrize(("name", "returned"), METHODS.items())
def test_a_method_returns_what_is_documented(name: str, returned: Any) -> None:
    method = getattr(FastApiOAuthResourceServer, name)
    assert get_type_hints(method)["return"] == returned
    request = get_type_hints(method)["request"]
    assert "Request" in {c.__name__ for c in (request, *request.__subclasses__())}


def test_options_may_be_left_out() -> None:
    options = inspect.signature(FastApiOAuthResourceServer).parameters["options"]
    assert not options.default
    hint = get_type_hints(FastApiOAuthResourceServer.__init__)["options"]
    assert FastApiOAuthResourceServerOptions in get_args(hint)
