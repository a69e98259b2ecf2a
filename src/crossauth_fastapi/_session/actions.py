"""Every action of the session server. What is not in here is not served; see the recipe in ARCHITECTURE.md."""

from __future__ import annotations

from typing import Any, Final

from crossauth_fastapi._actions.action import Action
from crossauth_fastapi._session import admin
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.emailverified import EMAIL_VERIFIED
from crossauth_fastapi._session.factor2 import CHANGE_FACTOR2, CONFIGURE_FACTOR2, RECOVERY_CODES
from crossauth_fastapi._session.login import LOGIN, LOGIN_FACTOR2
from crossauth_fastapi._session.logout import LOGOUT
from crossauth_fastapi._session.password import CHANGE_PASSWORD, REQUEST_RESET, RESET_PASSWORD
from crossauth_fastapi._session.profile import DELETE_USER, UPDATE_USER
from crossauth_fastapi._session.resendcode import RESEND_CODE
from crossauth_fastapi._session.sessions import SESSIONS
from crossauth_fastapi._session.signup import SIGNUP
from crossauth_fastapi._session.stepupcode import CANCEL_FACTOR2, FACTOR2_CODE
from crossauth_fastapi._session.verifyemail import REQUEST_VERIFICATION, VERIFY_EMAIL

ACTIONS: Final[tuple[Action[SessionContext, Any], ...]] = (
    SIGNUP, VERIFY_EMAIL, EMAIL_VERIFIED, REQUEST_VERIFICATION, RESEND_CODE,
    LOGIN, LOGIN_FACTOR2, LOGOUT, CHANGE_PASSWORD, REQUEST_RESET, RESET_PASSWORD, UPDATE_USER, DELETE_USER,
    SESSIONS, CONFIGURE_FACTOR2, CHANGE_FACTOR2, FACTOR2_CODE, CANCEL_FACTOR2, RECOVERY_CODES,
    admin.CREATE, admin.SELECT, admin.UPDATE, admin.PASSWORD, admin.DELETE, admin.AUDIT,
)  # fmt: skip
