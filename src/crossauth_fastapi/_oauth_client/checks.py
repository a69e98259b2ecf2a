"""What is wrong with the options of an OAuth client taken together: found at the start, said by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.fetch import is_secure_url
from crossauth_backend.oauth.client.flownames import OAuthFlows
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.options import ClientServerSettings, wrong
from crossauth_fastapi._pages.environment import Pages

_F: Final = OAuthFlows
_CODE_FLOWS: Final = (_F.AuthorizationCode, _F.AuthorizationCodeWithPKCE, _F.OidcAuthorizationCode)
_PASSWORD_FLOWS: Final = (_F.Password, _F.PasswordMfa)


class Whole(NamedTuple):
    """The options of a client, and what else they are judged by.

    Parameters:
        options: the options.
        flows: the flows that are on.
        given: names of the options that the application gave.
        has_sessions: whether there are sessions.
    """

    options: ClientServerSettings
    flows: frozenset[str]
    given: frozenset[str]
    has_sessions: bool

    def has_flow(self, *flows: str) -> bool:
        """Whether one of these flows is on."""
        return not self.flows.isdisjoint(flows)


def read_flows(option: str, names: list[str]) -> frozenset[str]:
    """The flows that an option names.

    Raises:
        CrossauthError: `Configuration` for a name that is none.
    """
    try:
        return frozenset(OAuthFlows.expand(names))
    except CrossauthError:
        known = ", ".join(map(repr, [*OAuthFlows.all_flows(), OAuthFlows.All]))
        unknown = [name for name in names if name != OAuthFlows.All and not OAuthFlows.is_valid_flow(name)]
        raise wrong(f"option {option!r}: {', '.join(map(repr, unknown))} is no flow; they are {known}") from None


def check_options(whole: Whole) -> None:
    """Refuse options that cannot take effect, or not together.

    Raises:
        CrossauthError: `Configuration`, naming the option, what is wrong with it and what would be right.
    """
    _check_functions(whole.options)
    _check_sessions(whole)
    _check_protected(whole)
    for names, has_effect, needed in _NEEDS:
        idle = sorted(name for name in names if name in whole.given)
        if idle and not has_effect(whole):
            raise wrong(f"option {', '.join(map(repr, idle))} has no effect without {needed}")


def check_site(options: ClientServerSettings) -> None:
    """Refuse a site that no redirect URI can be made of, and a name that no entry of session data can have.

    Raises:
        CrossauthError: `Configuration`.
    """
    if not is_secure_url(options.site_url) or urlsplit(options.site_url).query:
        raise wrong("option 'site_url' must be an https URL without query, or http on localhost")
    after = options.post_logout_redirect_uri
    if after is not None and not is_secure_url(after):
        raise wrong("option 'post_logout_redirect_uri' must be an https URL without fragment, or http on localhost")
    if "." in options.session_data_name or '"' in options.session_data_name:
        raise wrong("option 'session_data_name' must have no dot and no quotation mark")


def check_templates(options: ClientServerSettings, pages: Pages) -> None:
    """Refuse templates that answers of every flow need, and that are not there.

    Raises:
        CrossauthError: `Configuration`.
    """
    needed = {
        "error_page": options.errors_as == "page_error",
        "authorized_page": options.token_response_type in ("save_in_session_and_load", "send_in_page"),
    }
    for option, is_needed in needed.items():
        name = options.page(option)
        if is_needed and not pages.has(name):
            raise wrong(f"option {option!r}: there is no template {name!r} in {options.template_dir!r}")


def _check_functions(options: ClientServerSettings) -> None:
    for kind, value, name, function in (
        ("token_response_type", options.token_response_type, "receive_token_fn", options.receive_token_fn),
        ("error_response_type", options.errors_as, "error_fn", options.error_fn),
        ("user_creation_type", options.user_creation_type, "user_creation_fn", options.user_creation_fn),
    ):
        if value == "custom" and function is None:
            raise wrong(f"option {kind!r} is 'custom', which needs option {name!r}")
        if value != "custom" and function is not None:
            raise wrong(f"option {name!r} has no effect unless option {kind!r} is 'custom'")


def _check_sessions(whole: Whole) -> None:
    options = whole.options
    needing = {
        "token_response_type": options.saves_tokens,
        "token_endpoints": bool(options.token_endpoints),
        "bff_endpoints": bool(options.bff_endpoints),
        "delete_tokens_get_url": options.delete_tokens_get_url is not None,
        "delete_tokens_post_url": options.delete_tokens_post_url is not None,
        "api_delete_tokens_post_url": options.api_delete_tokens_post_url is not None,
        "login_protected_flows": bool(options.login_protected_flows),
        "local_login": options.local_login,
        "link_accounts": options.link_accounts,
    }
    asked = [name for name, is_asked in needing.items() if is_asked]
    if asked and not whole.has_sessions:
        raise wrong(
            f"option {', '.join(map(repr, asked))} needs sessions: give {{'session': …}} or {{'session_adapter': …}} in the "
            "parameters"
        )
    stored = [name for name in asked if name.startswith(("token_endpoints", "bff", "delete", "api_delete"))]
    if stored and not options.saves_tokens and options.token_response_type != "custom":
        raise wrong(
            f"option {', '.join(map(repr, stored))} has no effect where no tokens are kept: set 'token_response_type' to "
            "'save_in_session_and_load' or 'save_in_session_and_redirect'"
        )


def _check_protected(whole: Whole) -> None:
    named = whole.options.login_protected_flows
    idle = read_flows("login_protected_flows", named) - whole.flows
    if idle and OAuthFlows.All not in named:
        raise wrong(
            f"option 'login_protected_flows': {', '.join(map(repr, sorted(idle)))} is not among the flows of 'valid_flows'"
        )


_Needed = tuple[tuple[str, ...], Callable[[Whole], bool], str]
# Options that are for one thing only, and what that is.
_NEEDS: Final[tuple[_Needed, ...]] = (
    (
        ("authorized_url",),
        lambda whole: whole.options.token_response_type == "save_in_session_and_redirect",
        "'token_response_type': 'save_in_session_and_redirect'",
    ),
    (
        ("authorized_page",),
        lambda whole: whole.options.token_response_type in ("save_in_session_and_load", "send_in_page"),
        "'token_response_type': 'save_in_session_and_load' or 'send_in_page'",
    ),
    (("login_url",), lambda whole: bool(whole.options.login_protected_flows), "'login_protected_flows'"),
    (
        ("password_flow_page", "password_flow_url"),
        lambda whole: whole.has_flow(*_PASSWORD_FLOWS),
        "'password' or 'passwordMfa' in 'valid_flows'",
    ),
    (
        ("password_otp_url", "password_oob_url", "mfa_otp_page", "mfa_oob_page"),
        lambda whole: whole.has_flow(OAuthFlows.PasswordMfa),
        "'passwordMfa' in 'valid_flows'",
    ),
    (
        ("device_code_flow_page", "device_code_flow_url", "device_code_poll_url"),
        lambda whole: whole.has_flow(OAuthFlows.DeviceCode),
        "'device_code' in 'valid_flows'",
    ),
    (
        ("delete_tokens_page",),
        lambda whole: bool(whole.options.delete_tokens_get_url or whole.options.delete_tokens_post_url),
        "'delete_tokens_get_url' or 'delete_tokens_post_url'",
    ),
    (("bff_endpoint_name",), lambda whole: bool(whole.options.bff_endpoints), "'bff_endpoints'"),
    (
        ("default_scope",),
        lambda whole: bool(whole.flows - {OAuthFlows.RefreshToken}),
        "a flow in 'valid_flows' that asks for a scope",
    ),
    (
        (
            "logout_oidc_url",
            "backchannel_logout_url",
            "post_logout_redirect_uri",
            "logout_id_token_hint",
            "confirm_logout_page",
            "logged_out_page",
        ),
        lambda whole: whole.has_flow(OAuthFlows.OidcAuthorizationCode),
        "'oidcAuthorizationCode' in 'valid_flows'",
    ),
    (
        ("backchannel_logout_url",),
        lambda whole: whole.options.saves_tokens or whole.options.token_response_type == "custom",
        "'token_response_type': 'save_in_session_and_load' or 'save_in_session_and_redirect'",
    ),
    (
        ("redirect_uri",),
        lambda whole: whole.has_flow(*_CODE_FLOWS),
        "a flow in 'valid_flows' with an authorization code",
    ),
)


def names_given(given: Mapping[str, Any]) -> frozenset[str]:
    """Names of the options that an application gave."""
    return frozenset(name for name, value in given.items() if value is not None)


def check_several(clients: Sequence[ClientContext]) -> None:
    """Refuse several clients that would answer each other's requests, or keep their tokens in one place.

    A redirect URI of its own for every issuer is what keeps one of them from passing off its code as another's, where it does not
    say who answers (RFC 9700 §4.4).

    Parameters:
        clients: all of them.

    Raises:
        CrossauthError: `Configuration`.
    """
    seen = {
        "prefix": [client.prefix for client in clients],
        "session_data_name": [client.name for client in clients],
        "redirect_uri": [client.redirect_uri for client in clients],
    }
    for name, values in seen.items():
        if len(set(values)) != len(values):
            raise wrong(f"option {name!r} must be another one for each of several clients ('oauth_clients')")
