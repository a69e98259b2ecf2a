"""The error and record names, under the path that documented code imports them from."""

from crossauth_backend.api_keys.record import ApiKey
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.data import KeyDataEntry, get_json_data
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.users.record import (
    User,
    UserAndSecrets,
    UserInputFields,
    UserSecrets,
    UserSecretsInputFields,
)
from crossauth_backend.users.states import UserState

__all__ = [
    "ApiKey",
    "CrossauthError",
    "ErrorCode",
    "Key",
    "KeyDataEntry",
    "KeyPrefix",
    "User",
    "UserAndSecrets",
    "UserInputFields",
    "UserSecrets",
    "UserSecretsInputFields",
    "UserState",
    "get_json_data",
]
