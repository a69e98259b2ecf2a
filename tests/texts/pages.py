"""Every page with made-up variables, whose values have no letter of the English alphabet."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any, Final

import crossauth_fastapi._pages as pages

FOLDER: Final = Path(pages.__path__[0]) / "templates"
# Parts of pages begin with an underscore.
TEMPLATES: Final = sorted(
    str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.jinja2") if not path.name.startswith("_")
)
SOME: Final = "ñóñé"
AT: Final = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
ENDPOINTS: Final = (
    "login", "signup", "logout", "updateuser", "changepassword", "changefactor2", "sessions", "apikeys",
    "linkedaccounts", "deleteuser", "recoverycodes", "requestpasswordreset", "requestemailverification",
    "admin/selectuser", "admin/audit", "admin/createuser", "admin/apikeys",
)  # fmt: skip
USER: Final = Thing(
    id=1, username=SOME, email=SOME, state="disabled", factor2="totp", admin=True, get=lambda name, default=None: SOME
)
KEY: Final = Thing(
    id=1, name="", hint="1", scope=(), created=AT, lastactive=AT, ends=AT, replaced_until=None,
    limit=Thing(attempts=1, seconds=1),
)  # fmt: skip
FIELD: Final = Thing(
    name="user_1", label=SOME, type="text", value=SOME, hint=SOME, autocomplete="off", hidden=True, repeat=True
)
_FACTORS: Final = [{"name": name, "friendlyName": SOME} for name in ("none", "1")]
_URLS: Final = dict.fromkeys(
    (
        "list",
        "edit",
        "rotate",
        "revoke",
        "password",
        "otp",
        "oob",
        "device",
        "devicepoll",
        "deletetokens",
        "logoutoidc",
    ),
    "/",
)

# What is shown when everything is there.
FULL: Final[dict[str, Any]] = {
    "user": USER, "sessionUser": USER, "isAdministrator": True, "haveAudit": True, "haveOutbox": True,
    "endpoints": ENDPOINTS, "siteName": SOME, "factorNames": {}, "urls": _URLS, "next": "/", "username": SOME,
    "allowedFactor2": _FACTORS, "factor2InForm": True, "passwordNeeded": True, "passwordMinLength": 8,
    "userEditableFields": [FIELD], "form_fields": lambda *given: [FIELD], "states": ["active", "disabled"], "missingFields": [],
    "users": [USER], "search": SOME, "skip": 10, "take": 5, "haveNext": True, "havePrevious": True,
    "actors": {1: SOME},
    "events": [
        Thing(name=Thing(value="login_failed"), at=AT, username=None, address=None, reason="UserNotActive", actor=1),
        Thing(name=Thing(value="password_changed"), at=AT, username=SOME, address="1", reason=None, actor=2),
    ],
    "sessions": [
        Thing(handle="1", agent="", browser=None, current=current, created=AT, last_active=AT, address=None)
        for current in (True, False)
    ],
    "apiKeys": [KEY, Thing(**{**vars(KEY), "replaced_until": AT}), Thing(**{**vars(KEY), "ends": None, "lastactive": None})],
    "apiKey": KEY, "newKey": "1", "newName": SOME, "overlaps": [(0, SOME), (60, SOME)], "overlap": 60,
    "lifetimes": [(60, SOME)], "lifetime": 60, "scopes": ["1"], "chosenScopes": [],
    "linkedAccounts": [Thing(handle="1", title=SOME, identity=Thing(name=SOME, created=AT))],
    "providers": [Thing(client="1", title=SOME)], "provider": SOME, "title": SOME, "lead": SOME, "fields": [FIELD],
    "button": SOME, "steps": [{"title": SOME, "text": SOME, "href": "/"}, {"title": SOME, "text": SOME, "done": True}],
    "tips": [{"title": SOME, "text": SOME, "href": "/", "action": "/"}], "version": "1", "protectedUrl": "/",
    "sent": [(Thing(subject=SOME, to=SOME, text=SOME, html=SOME, message_id="1"), AT)], "sessionCreated": AT,
    "device_code": "1", "verification_uri": "/", "user_code": "1", "qrSvg": "<svg></svg>", "expires_text": SOME,
    "access_token": "1", "refresh_token": "1", "id_token": "1", "expires_in": 60, "id_payload": {"name": SOME},
    "scope": "1", "totpsecret": "1", "left": 3, "canResend": True, "resendIn": 30, "token": "1", "address": SOME,
    "email": SOME, "codeSentTo": SOME, "factor2Label": SOME, "oob_channel": "sms", "binding_method": "prompt",
    "name": SOME, "leaves": True, "action": "loginfactor2", "httpStatus": 403, "isChange": True,
}  # fmt: skip
# What changes in other states of the page.
STATES: Final[dict[str, dict[str, Any]]] = {
    "full": {},
    "done": {"message": SOME, "recoveryCodes": ["1"], "ok": True, "already": True, "otherUser": True, "goOn": "/"},
    "refused": {"errorMessages": [SOME, SOME], "httpStatus": 401, "errorCodeName": "Expired", "badLink": True,
                "fieldErrors": {"username": [SOME]}, "focusField": "username"},
    "administrator": {"isAdmin": True, "required": True, "isChange": False, "totpsecret": None, "codeUnsent": True},
    "nobody": {"user": None, "sessionUser": None, "token": None, "httpStatus": 404, "provider": None, "search": "",
               "begin": True, "totpsecret": None, "access_token": None, "leaves": False, "binding_method": None},
    "nothing": {"users": [], "events": [], "apiKeys": [], "linkedAccounts": [], "sent": [], "sessions": [], "steps": [],
                "userEditableFields": [], "allowedFactor2": [], "siteName": "", "device_code": None, "left": 1,
                "passwordMinLength": 0, "totpsecret": None, "factor2Fields": [FIELD], "version": "", "urls": {}},
}  # fmt: skip
