"""Options of a provider by name, as the package exports them."""

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.oauth.client.providers import PROVIDERS
from crossauth_fastapi import FastApiOAuthClientOptions, provider_options
from crossauth_fastapi._oauth_client import providers


def test_what_is_exported_makes_options_of_a_client() -> None:
    assert provider_options is providers.provider_options
    options: FastApiOAuthClientOptions = provider_options("google", client_id="a", client_secret="b", prefix="/in/")
    assert options["provider"] is PROVIDERS["google"]
    assert (options["prefix"], options["session_data_name"], options["default_scope"]) == (
        "/in/", "google", "openid profile email",
    )  # fmt: skip
    assert set(options) <= FastApiOAuthClientOptions.__annotations__.keys()


@pytest.mark.parametrize("name", ["", "Google", "facebook"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(CrossauthError, match="there is no provider"):
        provider_options(name)
