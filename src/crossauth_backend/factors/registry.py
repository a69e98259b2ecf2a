"""The factors an application uses, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.base import Authenticator

NO_FACTOR2 = "none"


class Factors(dict[str, Authenticator]):
    """The factors by name; a name that nobody registered is refused.

    Parameters:
        authenticators: as the application gave them; each learns its name.

    Raises:
        CrossauthError: `Configuration` where a value is not an authenticator, or its `amr` is no tuple of names.
    """

    def __init__(self, authenticators: Mapping[str, Authenticator]) -> None:
        for name, authenticator in authenticators.items():
            if not isinstance(authenticator, Authenticator):
                value: object = authenticator
                provided = (
                    f"the class {value.__name__}: create one" if isinstance(value, type) else type(value).__name__
                )
                raise CrossauthError(
                    ErrorCode.Configuration, f"authenticators: {name!r} must be an Authenticator, not {provided}"
                )
            if not isinstance(authenticator.amr, tuple) or not all(isinstance(m, str) for m in authenticator.amr):
                raise CrossauthError(
                    ErrorCode.Configuration,
                    f"authenticators: 'amr' of {name!r} must be a tuple of names, such as ('hwk',), "
                    f"not {authenticator.amr!r}",
                )
            authenticator.factor_name = name
        super().__init__(authenticators)

    def __missing__(self, name: str) -> NoReturn:
        raise CrossauthError(
            ErrorCode.Configuration,
            "This way of logging in is not available",
            detail=f"no authenticator is registered for factor {name!r}",
        )

    def password_factors(self) -> Iterator[Authenticator]:
        """The registered factors whose secret is a password."""
        return (a for a in self.values() if a.secret_names() == ["password"])

    def user_fields(self) -> set[str]:
        """The fields of users that any of the factors reads: who changes one of them changes how users log in."""
        return {name for factor in self.values() for name in factor.user_fields()}

    def require(self, names: Iterable[str], option_name: str) -> None:
        """Refuse to start where an option names a factor that is not registered.

        Raises:
            CrossauthError: `Configuration`.
        """
        missing = [n for n in names if n not in self and n != NO_FACTOR2]
        if missing:
            registered = ", ".join(sorted(self)) or "none"
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{option_name} names {', '.join(map(repr, missing))}, but the registered authenticators are: {registered}",
            )

    def test_only(self) -> list[str]:
        """Names of registered factors that must not run in production."""
        return [name for name, a in self.items() if a.test_only]
