"""Dependencies that say who is asking."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Any, Generic

from fastapi import Depends, HTTPException, WebSocketException, status
from starlette.requests import HTTPConnection

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy, SupportsTokenLists
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.types import DependencyCallable

EnabledBackends = DependencyCallable[Sequence[AuthenticationBackend[UP, ID]]]


class DuplicateBackendNamesError(Exception):
    """Two backends have one name, or names that differ by punctuation only."""


@dataclass(frozen=True, slots=True)
class LoggedIn(Generic[UP, ID]):
    """Who is asking, and by what."""

    user: UP
    token: str
    backend: AuthenticationBackend[UP, ID]
    strategy: Strategy[UP, ID]


class Authenticator(Generic[UP, ID]):
    """Knows users by the tokens of several backends, asked in their order.

    Parameters:
        backends: the ways to be logged in.
        get_user_manager: a dependency that gives the user manager.

    Raises:
        DuplicateBackendNamesError: two backends have one name.
    """

    def __init__(
        self, backends: Sequence[AuthenticationBackend[UP, ID]], get_user_manager: UserManagerDependency[UP, ID]
    ) -> None:
        self.backends = backends
        self.get_user_manager: DependencyCallable[Any] = get_user_manager
        self._names = [_parameter_name(backend.name) for backend in backends]
        if len(set(self._names)) < len(self._names):
            raise DuplicateBackendNamesError(
                f"the names of backends must differ in letters and digits: {[b.name for b in backends]}"
            )
        # The same question is the same callable, so that a test can override it wherever it is asked.
        self._dependency = lru_cache(maxsize=None)(self._make_dependency)

    def current_user(
        self,
        optional: bool = False,
        active: bool = False,
        verified: bool = False,
        superuser: bool = False,
        get_enabled_backends: EnabledBackends[UP, ID] | None = None,
    ) -> Callable[..., Any]:
        """A dependency that gives the user who is asking.

        Called twice with the same arguments it returns the same object, so that
        `app.dependency_overrides[fastapi_users.current_user(active=True)]` works in tests. It works for WebSockets too.

        Parameters:
            optional: whether it gives `None` instead of refusing.
            active: whether an inactive user is refused (401).
            verified: whether a user whose address is unproven is refused (403).
            superuser: whether others than superusers are refused (403).
            get_enabled_backends: a dependency that gives those backends that count for this request.
        """
        return self._dependency("user", optional, active, verified, superuser, get_enabled_backends)

    def current_user_token(
        self,
        optional: bool = False,
        active: bool = False,
        verified: bool = False,
        superuser: bool = False,
        get_enabled_backends: EnabledBackends[UP, ID] | None = None,
    ) -> Callable[..., Any]:
        """As `current_user`, but it gives user and token."""
        return self._dependency("token", optional, active, verified, superuser, get_enabled_backends)

    def logged_in(self, active: bool = True, verified: bool = False) -> Callable[..., Any]:
        """As `current_user`, but it gives a `LoggedIn`."""
        return self._dependency("all", False, active, verified, False, None)

    def end_tokens(self) -> Callable[..., Any]:
        """A dependency that gives an async function `(user, except_token)`, which ends the user's tokens of every backend."""
        return self._dependency("end", False, False, False, False, None)

    def _make_dependency(
        self, what: str, optional: bool, active: bool, verified: bool, superuser: bool, enabled: Any
    ) -> Callable[..., Any]:
        async def current(connection: HTTPConnection, **values: Any) -> Any:
            if what == "end":
                return self._ender(values)
            try:
                found = await self._find(values)
            except CrossauthError as e:
                # A storage that cannot be reached: nobody can be known.
                if connection.scope["type"] == "websocket":
                    raise WebSocketException(status.WS_1013_TRY_AGAIN_LATER) from e
                raise HTTPException(e.http_status) from e
            refusal = _refusal(found.user if found else None, active, verified, superuser)
            if refusal is None and found is not None:
                return {"user": found.user, "token": (found.user, found.token), "all": found}[what]
            if optional:
                return (None, None) if what == "token" else None
            if connection.scope["type"] == "websocket":
                raise WebSocketException(status.WS_1008_POLICY_VIOLATION)
            raise HTTPException(refusal or status.HTTP_401_UNAUTHORIZED)

        parameters = [Parameter("connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)]
        if what != "end":
            parameters.append(_keyword("user_manager", self.get_user_manager))
            parameters += [
                _keyword(name, backend.transport.scheme)
                for name, backend in zip(self._names, self.backends, strict=True)
            ]
        parameters += [
            _keyword(f"strategy_{name}", backend.get_strategy)
            for name, backend in zip(self._names, self.backends, strict=True)
        ]
        if enabled is not None:
            parameters.append(_keyword("enabled_backends", enabled))
        current.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return current

    async def _find(self, values: dict[str, Any]) -> LoggedIn[UP, ID] | None:
        manager: BaseUserManager[UP, ID] = values["user_manager"]
        enabled = values.get("enabled_backends", self.backends)
        for name, backend in zip(self._names, self.backends, strict=True):
            token = values[name]
            if token is None or backend not in enabled:
                continue
            strategy: Strategy[UP, ID] = values[f"strategy_{name}"]
            user = await strategy.read_token(token, manager)
            if user is not None:
                return LoggedIn(user, token, backend, strategy)
        return None

    def _ender(self, values: dict[str, Any]) -> Callable[..., Any]:
        strategies = [values[f"strategy_{name}"] for name in self._names]

        async def end(user: Any, except_token: str | None = None) -> None:
            for strategy in strategies:
                if isinstance(strategy, SupportsTokenLists):
                    await strategy.destroy_all(user, except_token)

        return end


def _refusal(user: Any, active: bool, verified: bool, superuser: bool) -> int | None:
    """The status with which this user is refused; `None` where it is not."""
    if user is None or (active and not user.is_active):
        return status.HTTP_401_UNAUTHORIZED
    if (verified and not user.is_verified) or (superuser and not user.is_superuser):
        return status.HTTP_403_FORBIDDEN
    return None


def _keyword(name: str, dependency: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=Depends(dependency))


def _parameter_name(name: str) -> str:
    kept = re.sub(r"[^A-Za-z0-9_]", "", name)
    return f"_{kept}" if kept[:1].isdigit() or not kept else kept
