"""The module `crossauth_fastapi.fastapioauthclient` as it is documented: names, bases, keys, parameters and methods, typed."""

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import pytest

from crossauth_backend import KeyStorage
from crossauth_backend.oauth.client import OAuthClient, OAuthClientOptions, OAuthTokenResponse
from crossauth_fastapi import fastapioauthclient
from crossauth_fastapi.fastapioauthclient import (
    BffEndpoint,
    DeviceCodeBodyType,
    DeviceCodeFlowResponse,
    DeviceCodePollBodyType,
    FastApiOAuthClient,
    FastApiOAuthClientOptions,
    OAuthTokenResponseWithExpiry,
)

SPEC: dict[str, Any] = json.loads((Path(__file__).parent / "crossauth_fastapi.json").read_text())
DOCUMENTED: dict[str, Any] = SPEC["crossauth_fastapi.fastapioauthclient"]
TEXTS = (
    "api_delete_tokens_post_url", "audience", "auth_server_base_url", "authorized_page", "authorized_url", "bff_base_url",
    "bff_endpoint_name", "client_id", "client_secret", "delete_tokens_get_url", "delete_tokens_page", "delete_tokens_post_url",
    "device_authorization_url", "device_code_flow_page", "device_code_flow_url", "device_code_poll_url", "error_page",
    "id_token_match_field", "jwt_key_type", "jwt_public_key", "jwt_public_key_file", "jwt_secret_key", "jwt_secret_key_file",
    "mfa_oob_page", "mfa_otp_page", "password_flow_page", "password_flow_url", "password_oob_url", "password_otp_url", "prefix",
    "redirect_uri", "session_data_name", "siteUrl", "user_match_field",
)  # fmt: skip
LITERALS: dict[str, set[str]] = {
    "code_challenge_method": {"plain", "S256"},
    "error_response_type": {"json_error", "page_error", "custom"},
    "oauth_post_type": {"json", "form"},
    "token_response_type": {
        "send_json", "save_in_session_and_load", "save_in_session_and_redirect", "send_in_page", "custom",
    },
    "user_creation_type": {"idToken", "merge", "embed", "custom"},
}  # fmt: skip
LISTS: dict[str, set[str]] = {
    "jwt_tokens": {"access", "id", "refresh"},
    "token_endpoints": {
        "access_token", "refresh_token", "id_token", "have_access_token", "have_refresh_token", "have_id_token",
    },
}  # fmt: skip
BODIES: dict[Any, set[str]] = {
    DeviceCodeBodyType: {"scope", "csrfToken"},
    DeviceCodePollBodyType: {"device_code", "csrfToken"},
    DeviceCodeFlowResponse: {
        "device_code", "user_code", "verification_uri", "verification_uri_complete", "verification_uri_qrdata", "expires_in",
        "interval", "error", "error_description",
    },
}  # fmt: skip


def test_the_list_is_the_whole_module() -> None:
    assert set(DOCUMENTED["classes"]) == {
        "BffEndpoint", "FastApiOAuthClient", "FastApiOAuthClientOptions", "OAuthTokenResponseWithExpiry",
    }  # fmt: skip
    assert {*DOCUMENTED["classes"], *DOCUMENTED["functions"]} <= set(fastapioauthclient.__all__)
    assert len(DOCUMENTED["functions"]) == 13
    assert len(DOCUMENTED["classes"]["FastApiOAuthClientOptions"]["keys"]) == 54
    for body in BODIES:
        assert body.__name__ in fastapioauthclient.__all__


def test_the_bases_are_the_documented_ones() -> None:
    assert issubclass(FastApiOAuthClient, OAuthClient)
    # The bases of a TypedDict are its keys.
    assert get_type_hints(OAuthClientOptions).items() <= get_type_hints(FastApiOAuthClientOptions).items()
    assert get_type_hints(OAuthTokenResponse).items() <= get_type_hints(OAuthTokenResponseWithExpiry).items()


def test_a_bff_endpoint_is_a_tuple_of_its_documented_fields() -> None:
    assert issubclass(BffEndpoint, tuple)
    assert BffEndpoint._fields == ("url", "methods", "match_sub_urls")
    hints = get_type_hints(BffEndpoint)
    (methods,) = get_args(hints["methods"])
    assert (hints["url"], hints["match_sub_urls"]) == (str, bool)
    assert set(get_args(methods)) == {"GET", "POST", "PUT", "DELETE", "PATCH"}
    endpoint = BffEndpoint("/orders", ["GET"], True)
    assert (endpoint.url, endpoint.methods, endpoint.match_sub_urls) == ("/orders", ["GET"], True)


def test_options_have_the_documented_types() -> None:
    hints = get_type_hints(FastApiOAuthClientOptions)
    for name in TEXTS:
        assert str in (hints[name], *get_args(hints[name])), name
    for name, values in LITERALS.items():
        assert set(get_args(hints[name])) >= values, name
    for name, values in LISTS.items():
        assert set(get_args(get_args(hints[name])[0])) == values, name
    for name in ("clock_tolerance", "state_length", "verifier_length"):
        assert hints[name] is int, name
    for name in ("oauth_use_user_info_endpoint", "persist_access_token"):
        assert hints[name] is bool, name
    assert hints["bff_endpoints"] == list[BffEndpoint]
    assert hints["valid_flows"] == list[str]
    assert KeyStorage in (hints["key_storage"], *get_args(hints["key_storage"]))
    for name in ("error_fn", "receive_token_fn", "user_creation_fn"):
        assert Callable in (getattr(hints[name], "__origin__", None), hints[name]) or callable(hints[name])
    assert hints["oidc_config"] is not None
    assert str in (hints["oauth_authorize_redirect"], *get_args(hints["oauth_authorize_redirect"]))


def test_a_token_response_with_expiry_has_the_documented_types() -> None:
    hints = get_type_hints(OAuthTokenResponseWithExpiry)
    documented = DOCUMENTED["classes"]["OAuthTokenResponseWithExpiry"]["keys"]
    kinds: Mapping[str, Any] = {"expires_in": int, "expires_at": int}
    for name in documented:
        if name != "id_payload":
            assert hints[name] == kinds.get(name, str), name
    assert getattr(hints["id_payload"], "__origin__", None) in (dict, Mapping)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_bodies_have_the_documented_fields(body: Any) -> None:
    assert BODIES[body] <= set(body.model_fields)


def test_the_constructor_has_the_documented_defaults() -> None:
    parameters = inspect.signature(FastApiOAuthClient).parameters
    assert list(parameters)[:4] == ["server", "auth_server_base_url", "options", "have_session_server"]
    assert not parameters["options"].default
    assert parameters["have_session_server"].default is False


def test_functions_that_answer_may_be_called_without_a_response() -> None:
    for name in (
        "send_json",
        "send_in_page",
        "save_in_session_and_load",
        "save_in_session_and_redirect",
        "update_session_data",
    ):
        function = getattr(fastapioauthclient, name)
        assert inspect.signature(function).parameters["response"].default is None, name


def test_small_functions_do_what_their_names_say() -> None:
    assert fastapioauthclient.decode_payload("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.") == {"sub": "a"}
    for text in (None, "", "opaque", "a.b.c", "é.é.é"):
        assert fastapioauthclient.decode_payload(text) is None
    assert [fastapioauthclient.string_is_true(text) for text in ("true", "1", "on", "false", "0", "")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


_HOOK = Callable[[dict[str, Any], Any, str, str], Awaitable[Any]]
_KIND = Literal["idToken", "merge", "embed"]


@pytest.mark.parametrize("kind", get_args(_KIND))
def test_the_functions_that_make_users_can_stand_for_the_applications_own(kind: _KIND) -> None:
    made: _HOOK = getattr(fastapioauthclient, f"{kind}UserCreateFn")
    assert inspect.iscoroutinefunction(made)
