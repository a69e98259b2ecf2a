"""What is said of an action is said once, and whole: each thing that could be forgotten of one is found here."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from fastapi.routing import iter_route_contexts

import crossauth_fastapi
from crossauth_backend import DEFAULT_LIMITS, EventName
from crossauth_fastapi._actions.action import Action
from crossauth_fastapi._api_keys.actions import ACTIONS as KEY_ACTIONS
from crossauth_fastapi._api_keys.actions import GROUPS as KEY_GROUPS
from crossauth_fastapi._api_keys.options import ApiKeyServerSettings, FastApiApiKeyServerOptions
from crossauth_fastapi._oauth_client.links import ACTIONS as LINK_ACTIONS
from crossauth_fastapi._oauth_client.links import GROUP as LINK_GROUP
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.endpoints import AllEndpoints, AllEndpointsMinusOAuth
from crossauth_fastapi._session.groups import GROUPS
from crossauth_fastapi._session.options import FastApiSessionServerOptions, SessionServerSettings
from tests.accounts import World

ROOT = Path(__file__).parents[2]
OTHERS = (*KEY_ACTIONS, *LINK_ACTIONS)
EVERY = (*ACTIONS, *OTHERS)
NAMES = [f"{action.group.name}-{action.name}" for action in EVERY]
each_action = pytest.mark.parametrize("action", EVERY, ids=NAMES)
# Contract 1.0.1.
DOCUMENTED = """
signup api/signup login logout changepassword updateuser deleteuser api/login api/logout api/changepassword
api/userforsessionkey api/getcsrftoken api/updateuser api/deleteuser admin/createuser admin/changepassword admin/selectuser
admin/updateuser admin/deleteuser admin/api/createuser admin/api/changepassword admin/api/updateuser admin/api/deleteuser
configurefactor2 loginfactor2 changefactor2 factor2 api/configurefactor2 api/loginfactor2 api/changefactor2 api/factor2
api/cancelfactor2 verifyemail emailverified api/verifyemail requestpasswordreset resetpassword api/requestpasswordreset
api/resetpassword
""".split()  # noqa: SIM905
CLIENTS = """
admin/selectclient admin/createclient admin/deleteclient admin/updateclient admin/api/createclient admin/api/deleteclient
admin/api/updateclient selectclient createclient updateclient deleteclient api/deleteclient api/updateclient api/createclient
""".split()  # noqa: SIM905
# Told by no action of its own: by every limit, by what sends mail in the background, and where an API key is checked.
# Of OAuth's servers and clients.
OTHER_SERVERS = ("token_", "client_", "consent_", "signing_key")
OTHER_LIMITS = {
    "client_secret", "user_code", "device_poll", "registration", "par", "introspection", "api_key", "bff", "interaction_address",
    "oauth_flow_address", "logout_token_address",
}  # fmt: skip
TOLD_ELSEWHERE = {
    EventName.attempts_limited, EventName.mail_failed, EventName.api_key_used, EventName.api_key_refused,
}  # fmt: skip
# Everything that some option or feature has to be on for.
SWITCHED_ON: dict[str, Any] = {
    "enable_admin_endpoints": True, "enable_email_verification": True, "enable_password_reset": True,
    "allowed_factor2": ["none", "totp"],
}  # fmt: skip


def defined() -> dict[str, Action[Any, Any]]:
    """Every action that some module of ours defines."""
    found = {}
    for module in pkgutil.walk_packages(crossauth_fastapi.__path__, "crossauth_fastapi."):
        if not module.name.endswith("__main__") and "sqlalchemy" not in module.name:
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, Action):
                    found[f"{module.name}.{name}"] = value
    return found


def test_every_action_that_is_defined_is_listed() -> None:
    assert {name for name, action in defined().items() if action not in EVERY} == set()
    assert len({(action.group.admin, action.name) for action in EVERY}) == len(EVERY)
    assert len({action.operation_id for action in EVERY}) == len(EVERY)


@each_action
def test_an_action_belongs_to_a_group_and_is_switched_on_with_it(action: Action[Any, Any]) -> None:
    assert action.group in ((*KEY_GROUPS, LINK_GROUP) if action in OTHERS else GROUPS)
    assert action.endpoints
    assert action in OTHERS or set(action.endpoints) <= set(AllEndpointsMinusOAuth)


def test_every_documented_endpoint_has_a_name() -> None:
    assert set(DOCUMENTED) <= set(AllEndpointsMinusOAuth)
    assert set(AllEndpoints) == set(AllEndpointsMinusOAuth) | set(CLIENTS)
    assert len(AllEndpoints) == len(set(AllEndpoints))


def test_every_action_is_served_where_everything_is_switched_on() -> None:
    routes = iter_route_contexts(World(**SWITCHED_ON, api_key={}).server.app.router.routes)
    served = {getattr(route.original_route, "name", "").partition(":")[0] for route in routes}
    assert {name for action in (*ACTIONS, *KEY_ACTIONS) for name in action.endpoints} <= served


@each_action
def test_a_page_has_an_option_and_a_template(action: Action[Any, Any]) -> None:
    assert action.has_page or action.has_json
    if action.template is not None:
        assert Pages("no such folder", lambda request: {}).has(action.template)
    if action.page_option is None:
        return
    settings: Any = ApiKeyServerSettings if action in KEY_ACTIONS else SessionServerSettings
    options = FastApiApiKeyServerOptions if action in KEY_ACTIONS else FastApiSessionServerOptions
    assert action.page_option in settings.__dataclass_fields__
    assert action.page_option in get_type_hints(options)
    template = settings.__dataclass_fields__[action.page_option].default
    assert Pages("no such folder", lambda request: {}).has(str(template))


@each_action
def test_an_action_is_in_a_table_of_the_documentation(action: Action[Any, Any]) -> None:
    pages = [ROOT / "docs" / "administration.md"] if action.admin else sorted((ROOT / "docs").glob("*.md"))
    # Written by hand: what each field means is not on the page that is generated.
    pages = [page for page in pages if page.name != "endpoints.md"]
    name = re.compile(rf"^\|.*`(?:GET |POST )?(?:api/)?{action.name}(?:[/?][^`]*)?` *\|", re.MULTILINE)
    assert [page for page in pages if name.search(page.read_text())]


@each_action
def test_what_an_action_tells_and_what_limits_it_exists(action: Action[Any, Any]) -> None:
    assert set(action.limits) <= set(DEFAULT_LIMITS)
    assert action.submit is not None or not (action.events or action.limits)


def test_every_event_and_every_limit_belongs_to_an_action() -> None:
    elsewhere = TOLD_ELSEWHERE | {event for event in EventName if event.startswith(OTHER_SERVERS)}
    assert {event for action in EVERY for event in action.events} == set(EventName) - elsewhere
    assert {limit for action in EVERY for limit in action.limits} == set(DEFAULT_LIMITS) - OTHER_LIMITS


@each_action
def test_a_get_as_json_says_what_it_does(action: Action[Any, Any]) -> None:
    both = action.get_json is not None and action.submit is not None
    assert bool(action.json_summary) == bool(action.json_operation_id) == both


@each_action
def test_what_a_form_shows_again_is_a_field_of_it_and_no_secret(action: Action[Any, Any]) -> None:
    known = {*action.body.model_fields, "next", "required", "search"}
    assert set(action.echo) <= known
    assert not [name for name in action.echo if "password" in name or "token" in name or "secret" in name]


@each_action
def test_an_action_that_may_ask_for_the_password_says_in_which_field(action: Action[Any, Any]) -> None:
    if "password_account" in action.limits:
        assert {action.own_password, "old_password"} & set(action.body.model_fields)
