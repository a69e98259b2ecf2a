"""The names under which endpoints are switched on (contract 1.0.1), and which of them are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
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
# Beyond the documented lists.
SessionListEndpoints: Final = ["sessions", "api/sessions"]
VerificationRequestEndpoints: Final = ["requestemailverification", "api/requestemailverification"]
ResendEndpoints: Final = ["resendcode", "api/resendcode"]
RecoveryEndpoints: Final = ["recoverycodes", "api/recoverycodes"]
AuditEndpoints: Final = ["admin/audit", "admin/api/audit", "admin/api/selectuser"]

_BASIC: Final = [
    *SignupPageEndpoints, *SignupApiEndpoints, *SessionPageEndpoints, *SessionApiEndpoints, *SessionListEndpoints,
]  # fmt: skip
_ADMIN: Final = [*SessionAdminPageEndpoints, *SessionAdminApiEndpoints, *AuditEndpoints]
_FACTOR2: Final = [*Factor2PageEndpoints, *Factor2ApiEndpoints, *RecoveryEndpoints, *ResendEndpoints]
_VERIFY: Final = [*EmailVerificationPageEndpoints, *EmailVerificationApiEndpoints, *VerificationRequestEndpoints]
_RESET: Final = [*PasswordResetPageEndpoints, *PasswordResetApiEndpoints]
AllEndpointsMinusOAuth: Final = [*_BASIC, *_ADMIN, *_FACTOR2, *_VERIFY, *_RESET]
AllEndpoints: Final = [*AllEndpointsMinusOAuth, *_CLIENTS]


@dataclass(frozen=True, slots=True)
class Switches:
    """What the options switch on."""

    admin: bool = False
    factor2: bool = False
    verify: bool = False
    reset: bool = False


def enabled_endpoints(given: Sequence[str] | None, on: Switches) -> frozenset[str]:
    """The endpoints to create: those named, or those of everything that is switched on where none are.

    Raises:
        CrossauthError: `Configuration` for a name that is no endpoint, or one whose option is off; `NotImplemented` for
            endpoints of parts that are not built yet, naming them, so that nothing an application relies on is missing in
            silence.
    """
    wanted: set[str] = set(_BASIC) if given is None else set()
    if given is None and on.admin:
        wanted.update(_ADMIN)
    if given is None or set(given) & {"all", "allMinusOAuth", ""}:
        wanted.update(_VERIFY if on.verify else (), _RESET if on.reset else ())
    for name in given or ():
        wanted.update(_named(name, on))
    if on.factor2:
        wanted.update(_FACTOR2)
    missing = sorted(wanted & set(_CLIENTS))
    if missing:
        raise CrossauthError(
            ErrorCode.NotImplemented,
            f"FastApiSessionServer: option 'endpoints': not available in this version: {', '.join(missing)}",
        )
    return frozenset(wanted)


def _named(name: str, on: Switches) -> list[str]:
    if name == "all":
        return [*_BASIC, *_ADMIN, *_FACTOR2, *_CLIENTS]
    if name in ("allMinusOAuth", ""):
        return [*_BASIC, *_ADMIN, *_FACTOR2]
    if name not in AllEndpoints:
        near = get_close_matches(name, AllEndpoints, n=1, cutoff=0.5)
        advice = f"; did you mean {near[0]!r}?" if near else ""
        raise CrossauthError(
            ErrorCode.Configuration, f"FastApiSessionServer: option 'endpoints': {name!r} is no endpoint{advice}"
        )
    for names, switch, option in (
        (_VERIFY, on.verify, "enable_email_verification"),
        (_RESET, on.reset, "enable_password_reset"),
    ):
        if name in names and not switch:
            raise CrossauthError(
                ErrorCode.Configuration, f"FastApiSessionServer: endpoint {name!r} needs option {option!r} to be true"
            )
    return [name]
