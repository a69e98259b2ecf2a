"""Every action of the server for API keys."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from crossauth_backend.events.record import EventName
from crossauth_fastapi._actions.action import Action, Group, StepUp
from crossauth_fastapi._api_keys.bodies import (
    AdminCreateApiKeyBody,
    ApiKeyAnswer,
    ApiKeysAnswer,
    CreateApiKeyBody,
    NewApiKeyAnswer,
    RenameApiKeyBody,
    RevokeApiKeyBody,
    RotateApiKeyBody,
)
from crossauth_fastapi._api_keys.context import ApiKeyContext, account_of_path, own_account
from crossauth_fastapi._api_keys.manage import KeyHandlers

KeyAction: TypeAlias = Action[ApiKeyContext, Any]

OWN_KEYS: Final = Group("api_keys", "API keys")
ALL_KEYS: Final = Group("admin_api_keys", "Administration", admin=True)
GROUPS: Final = (OWN_KEYS, ALL_KEYS)
_OWN: Final = KeyHandlers(own_account, careful=False)
_ALL: Final = KeyHandlers(account_of_path, careful=True)
_PASSWORD: Final = ("password_account",)

CREATE: Final = Action(
    name="apikeys",
    group=OWN_KEYS,
    operation_id="account_create_api_key",
    events=(EventName.api_key_created,),
    limits=_PASSWORD,
    step_up=StepUp.SUBMIT,
    summary="Create an API key",
    json_summary="List your API keys",
    json_operation_id="account_list_api_keys",
    json_answer=ApiKeysAnswer,
    submit=_OWN.create,
    get_page=_OWN.get_list_page,
    get_json=_OWN.get_list_json,
    page_option="api_keys_page",
    body=CreateApiKeyBody,
    answer=NewApiKeyAnswer,
    session=True,
    echo=("next", "name", "expiry"),
)
RENAME: Final = Action(
    name="updateapikey",
    group=OWN_KEYS,
    operation_id="account_rename_api_key",
    step_up=StepUp.NEVER,
    summary="Rename an API key",
    submit=_OWN.rename,
    get_page=_OWN.get_key_page,
    page_option="api_key_page",
    body=RenameApiKeyBody,
    answer=ApiKeyAnswer,
    session=True,
    echo=("next", "name"),
)
ROTATE: Final = Action(
    name="rotateapikey",
    group=OWN_KEYS,
    operation_id="account_rotate_api_key",
    events=(EventName.api_key_rotated,),
    limits=_PASSWORD,
    step_up=StepUp.SUBMIT,
    summary="Rotate an API key",
    submit=_OWN.rotate,
    get_page=_OWN.get_key_page,
    page_option="api_key_page",
    body=RotateApiKeyBody,
    answer=NewApiKeyAnswer,
    session=True,
)
REVOKE: Final = Action(
    name="revokeapikey",
    group=OWN_KEYS,
    operation_id="account_revoke_api_key",
    events=(EventName.api_key_revoked,),
    step_up=StepUp.NEVER,
    summary="Revoke an API key, or all of them",
    submit=_OWN.revoke,
    get_page=_OWN.get_key_page,
    page_option="api_key_page",
    body=RevokeApiKeyBody,
    answer=ApiKeysAnswer,
    session=True,
)
ADMIN_CREATE: Final = Action(
    name="apikeys",
    group=ALL_KEYS,
    operation_id="admin_create_api_key",
    events=(EventName.api_key_created,),
    limits=_PASSWORD,
    step_up=StepUp.SUBMIT,
    summary="Create an API key for a user",
    json_summary="List the API keys of a user",
    json_operation_id="admin_list_api_keys",
    json_answer=ApiKeysAnswer,
    submit=_ALL.create,
    get_page=_ALL.get_list_page,
    get_json=_ALL.get_list_json,
    parameter="{id}",
    page_option="api_keys_page",
    body=AdminCreateApiKeyBody,
    answer=NewApiKeyAnswer,
    session=True,
    echo=("next", "name", "expiry", "limit_requests", "limit_seconds"),
)
ADMIN_RENAME: Final = Action(
    name="updateapikey",
    group=ALL_KEYS,
    operation_id="admin_rename_api_key",
    limits=_PASSWORD,
    step_up=StepUp.SUBMIT,
    summary="Rename an API key of a user",
    submit=_ALL.rename,
    get_page=_ALL.get_key_page,
    parameter="{id}",
    page_option="api_key_page",
    body=RenameApiKeyBody,
    answer=ApiKeyAnswer,
    session=True,
    echo=("next", "name"),
)
ADMIN_ROTATE: Final = Action(
    name="rotateapikey",
    group=ALL_KEYS,
    operation_id="admin_rotate_api_key",
    events=(EventName.api_key_rotated,),
    limits=_PASSWORD,
    step_up=StepUp.SUBMIT,
    summary="Rotate an API key of a user",
    submit=_ALL.rotate,
    get_page=_ALL.get_key_page,
    parameter="{id}",
    page_option="api_key_page",
    body=RotateApiKeyBody,
    answer=NewApiKeyAnswer,
    session=True,
)
ADMIN_REVOKE: Final = Action(
    name="revokeapikey",
    group=ALL_KEYS,
    operation_id="admin_revoke_api_key",
    events=(EventName.api_key_revoked,),
    limits=_PASSWORD,
    step_up=StepUp.SUBMIT,
    summary="Revoke an API key of a user, or all of them",
    submit=_ALL.revoke,
    get_page=_ALL.get_key_page,
    parameter="{id}",
    page_option="api_key_page",
    body=RevokeApiKeyBody,
    answer=ApiKeysAnswer,
    session=True,
)
ACTIONS: Final[tuple[KeyAction, ...]] = (
    CREATE, RENAME, ROTATE, REVOKE, ADMIN_CREATE, ADMIN_RENAME, ADMIN_ROTATE, ADMIN_REVOKE,
)  # fmt: skip
