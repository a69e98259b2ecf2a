"""The names under which endpoints are switched on (contract 1.0.1), and which of them are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode

SignupPageEndpoints: Final = ["signup"]
SignupApiEndpoints: Final = ["api/signup"]
SessionPageEndpoints: Final = ["login", "logout", "changepassword", "updateuser", "deleteuser"]
SessionApiEndpoints: Final = [
    "api/login", "api/logout", "api/changepassword", "api/userforsessionkey", "api/getcsrftoken",
    "api/updateuser", "api/deleteuser",
]  # fmt: skip
SessionAdminPageEndpoints: Final = [
    "admin/createuser", "admin/changepassword", "admin/selectuser", "admin/updateuser", "admin/deleteuser",
]  # fmt: skip
SessionAdminApiEndpoints: Final = [
    "admin/api/createuser", "admin/api/changepassword", "admin/api/updateuser", "admin/api/deleteuser",
]  # fmt: skip
SessionAdminClientPageEndpoints: Final = [
    "admin/selectclient", "admin/createclient", "admin/deleteclient", "admin/updateclient",
]  # fmt: skip
SessionAdminClientApiEndpoints: Final = [
    "admin/api/createclient", "admin/api/deleteclient", "admin/api/updateclient",
]  # fmt: skip
SessionClientPageEndpoints: Final = ["selectclient", "createclient", "updateclient", "deleteclient"]
SessionClientApiEndpoints: Final = ["api/deleteclient", "api/updateclient", "api/createclient"]
Factor2PageEndpoints: Final = ["configurefactor2", "loginfactor2", "changefactor2", "factor2"]
Factor2ApiEndpoints: Final = [
    "api/configurefactor2", "api/loginfactor2", "api/changefactor2", "api/factor2", "api/cancelfactor2",
]  # fmt: skip
EmailVerificationPageEndpoints: Final = ["verifyemail", "emailverified"]
EmailVerificationApiEndpoints: Final = ["api/verifyemail"]
PasswordResetPageEndpoints: Final = ["requestpasswordreset", "resetpassword"]
PasswordResetApiEndpoints: Final = ["api/requestpasswordreset", "api/resetpassword"]

_CLIENTS: Final = [
    *SessionAdminClientPageEndpoints,
    *SessionAdminClientApiEndpoints,
    *SessionClientPageEndpoints,
    *SessionClientApiEndpoints,
]
_HERE: Final = [*SignupPageEndpoints, *SignupApiEndpoints, *SessionPageEndpoints, *SessionApiEndpoints]
AllEndpointsMinusOAuth: Final = [
    *_HERE,
    *SessionAdminPageEndpoints,
    *SessionAdminApiEndpoints,
    *Factor2PageEndpoints,
    *Factor2ApiEndpoints,
    *EmailVerificationPageEndpoints,
    *EmailVerificationApiEndpoints,
    *PasswordResetPageEndpoints,
    *PasswordResetApiEndpoints,
]
AllEndpoints: Final = [*AllEndpointsMinusOAuth, *_CLIENTS]


def enabled_endpoints(given: Sequence[str] | None) -> frozenset[str]:
    """The endpoints to create: those named, or sign-up and sessions where none are.

    Raises:
        CrossauthError: `Configuration` for a name that is no endpoint; `NotImplemented` for endpoints of parts that are not
            built yet, naming them, so that nothing an application relies on is missing in silence.
    """
    if given is None:
        return frozenset(_HERE)
    wanted: set[str] = set()
    for name in given:
        if name == "all":
            wanted.update(AllEndpoints)
        elif name in ("allMinusOAuth", ""):
            wanted.update(AllEndpointsMinusOAuth)
        elif name in AllEndpoints:
            wanted.add(name)
        else:
            raise CrossauthError(
                ErrorCode.Configuration, f"FastApiSessionServer: option 'endpoints': {name!r} is no endpoint"
            )
    missing = sorted(wanted - set(_HERE))
    if missing:
        raise CrossauthError(
            ErrorCode.NotImplemented,
            f"FastApiSessionServer: option 'endpoints': not available in this version: {', '.join(missing)}",
        )
    return frozenset(wanted)
