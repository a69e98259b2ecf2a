"""The class that puts the routes together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic

from fastapi import APIRouter

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.record import EventListener
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.sessionmanager import SessionManager
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users._oauth import CSRF_TOKEN_COOKIE_NAME
from crossauth_fastapi.fastapi_users._oauthanswers import SameSite
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.jwt import SecretType
from crossauth_fastapi.fastapi_users.manager import UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.router import associate, auth, oauth, register, reset, sessions, users, verify
from crossauth_fastapi.fastapi_users.schemas import UC, UU, U


class FastAPIUsers(Generic[UP, ID]):
    """Makes the routers of an application, and its dependency for the current user.

    Parameters:
        get_user_manager: a dependency that gives the user manager.
        auth_backends: the ways to be logged in, asked in this order.
        session_manager: that of a session server whose users these are, with its limits, events and second factors.
        key_storage: where attempts are counted and refresh tokens are kept, when there is no session manager. Without one
            every process counts for itself, in memory.
        attempt_limits: changes to the limits of attempts: `{name: (attempts, seconds)}`, or `None` to switch one off.
        event_listeners: told of every security event.
        trusted_proxies: addresses or networks whose `X-Forwarded-For` is believed.
        site_url: where browsers find the site, such as `https://example.com`; for the URLs that providers send users back to.

    Raises:
        CrossauthError: `Configuration`, saying what to change.
        DuplicateBackendNamesError: two backends have one name.
    """

    authenticator: Authenticator[UP, ID]

    def __init__(
        self,
        get_user_manager: UserManagerDependency[UP, ID],
        auth_backends: Sequence[AuthenticationBackend[UP, ID]],
        *,
        session_manager: SessionManager | None = None,
        key_storage: KeyStorage | None = None,
        attempt_limits: Mapping[str, Any] | None = None,
        event_listeners: Iterable[EventListener] = (),
        trusted_proxies: Iterable[str] = (),
        site_url: str | None = None,
    ) -> None:
        self.authenticator = Authenticator(auth_backends, get_user_manager)
        self.get_user_manager = get_user_manager
        self.current_user = self.authenticator.current_user
        self.current_claims = self.authenticator.current_claims
        self._core = Core(
            session_manager, key_storage=key_storage, attempt_limits=attempt_limits,
            event_listeners=event_listeners, trusted_proxies=trusted_proxies, site_url=site_url,
        )  # fmt: skip
        self._verifies = session_manager is None or session_manager.settings.enable_email_verification
        for backend in auth_backends:
            self._core.check(backend)
        self._core.serve(self.authenticator)

    def get_register_router(self, user_schema: type[U], user_create_schema: type[UC]) -> APIRouter:
        """See `router.register.get_register_router`."""
        return register.get_register_router(self.get_user_manager, user_schema, user_create_schema, core=self._core)

    def get_verify_router(self, user_schema: type[U]) -> APIRouter:
        """See `router.verify.get_verify_router`.

        Raises:
            CrossauthError: `Configuration` where the session server does not verify addresses.
        """
        if not self._verifies:
            raise CrossauthError(
                ErrorCode.Configuration,
                "get_verify_router: switch 'enable_email_verification' of the session server on",
            )
        return verify.get_verify_router(self.get_user_manager, user_schema, core=self._core)

    def get_reset_password_router(self) -> APIRouter:
        """See `router.reset.get_reset_password_router`."""
        return reset.get_reset_password_router(self.get_user_manager, authenticator=self.authenticator, core=self._core)

    def get_auth_router(
        self,
        backend: AuthenticationBackend[UP, ID],
        requires_verification: bool = False,
        *,
        login_status_code: int = 204,
        logout_status_code: int = 200,
    ) -> APIRouter:
        """See `router.auth.get_auth_router`."""
        self._core.check_ids(self)
        return auth.get_auth_router(
            backend, self.get_user_manager, self.authenticator, requires_verification,
            login_status_code=login_status_code, logout_status_code=logout_status_code, core=self._core,
        )  # fmt: skip

    def get_users_router(
        self,
        user_schema: type[U],
        user_update_schema: type[UU],
        requires_verification: bool = False,
        *,
        require_old_password: bool | None = None,
    ) -> APIRouter:
        """See `router.users.get_users_router`."""
        return users.get_users_router(
            self.get_user_manager, user_schema, user_update_schema, self.authenticator, requires_verification,
            require_old_password=require_old_password, core=self._core,
        )  # fmt: skip

    def get_sessions_router(self, requires_verification: bool = False) -> APIRouter:
        """See `router.sessions.get_sessions_router`."""
        self._core.check_ids(self)
        return sessions.get_sessions_router(self.authenticator, requires_verification, core=self._core)

    def get_oauth_router(
        self,
        oauth_client: Any,
        backend: AuthenticationBackend[UP, ID],
        state_secret: SecretType,
        redirect_url: str | None = None,
        associate_by_email: bool | None = None,
        is_verified_by_default: bool = False,
        *,
        csrf_token_cookie_name: str = CSRF_TOKEN_COOKIE_NAME,
        csrf_token_cookie_path: str = "/",
        csrf_token_cookie_domain: str | None = None,
        csrf_token_cookie_secure: bool = True,
        csrf_token_cookie_httponly: bool = True,
        csrf_token_cookie_samesite: SameSite = "lax",
        login_redirect_url: str | None = None,
        requires_verification: bool = False,
    ) -> APIRouter:
        """See `router.oauth.get_oauth_router`.

        Raises:
            CrossauthError: `Configuration` for users of a session server, or where another provider has the client's name.
        """
        return oauth.get_oauth_router(
            oauth_client, backend, self.get_user_manager, state_secret, redirect_url, associate_by_email,
            is_verified_by_default, csrf_token_cookie_name=csrf_token_cookie_name,
            csrf_token_cookie_path=csrf_token_cookie_path, csrf_token_cookie_domain=csrf_token_cookie_domain,
            csrf_token_cookie_secure=csrf_token_cookie_secure, csrf_token_cookie_httponly=csrf_token_cookie_httponly,
            csrf_token_cookie_samesite=csrf_token_cookie_samesite, login_redirect_url=login_redirect_url,
            requires_verification=requires_verification, authenticator=self.authenticator, core=self._core,
        )  # fmt: skip

    def get_oauth_associate_router(
        self,
        oauth_client: Any,
        user_schema: type[U],
        state_secret: SecretType,
        redirect_url: str | None = None,
        requires_verification: bool = False,
        csrf_token_cookie_name: str = CSRF_TOKEN_COOKIE_NAME,
        csrf_token_cookie_path: str = "/",
        csrf_token_cookie_domain: str | None = None,
        csrf_token_cookie_secure: bool = True,
        csrf_token_cookie_httponly: bool = True,
        csrf_token_cookie_samesite: SameSite = "lax",
        *,
        require_old_password: bool | None = None,
    ) -> APIRouter:
        """See `router.associate.get_oauth_associate_router`.

        Raises:
            CrossauthError: as `get_oauth_router`.
        """
        return associate.get_oauth_associate_router(
            oauth_client, self.authenticator, self.get_user_manager, user_schema, state_secret, redirect_url,
            requires_verification, csrf_token_cookie_name=csrf_token_cookie_name,
            csrf_token_cookie_path=csrf_token_cookie_path, csrf_token_cookie_domain=csrf_token_cookie_domain,
            csrf_token_cookie_secure=csrf_token_cookie_secure, csrf_token_cookie_httponly=csrf_token_cookie_httponly,
            csrf_token_cookie_samesite=csrf_token_cookie_samesite, require_old_password=require_old_password,
            core=self._core,
        )  # fmt: skip
