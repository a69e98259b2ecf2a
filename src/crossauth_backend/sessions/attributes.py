"""What whoever keeps a cookie is documented to say of it."""

from __future__ import annotations

from crossauth_backend.sessions.cookie import SignedCookie


class HasCookie:
    """The attributes of the cookie `cookie`, as its owner is documented to have them."""

    cookie: SignedCookie

    @property
    def cookie_name(self) -> str:
        """Name of the cookie on https."""
        return self.cookie.remote.name

    @property
    def domain(self) -> str | None:
        """Domain attribute."""
        return self.cookie.settings.domain

    @property
    def path(self) -> str:
        """Path attribute."""
        return self.cookie.settings.path

    @property
    def secure(self) -> bool:
        """Secure attribute on https."""
        return self.cookie.remote.secure

    @property
    def httpOnly(self) -> bool:
        """HttpOnly attribute."""
        return self.cookie.settings.httpOnly

    @property
    def sameSite(self) -> str:
        """SameSite attribute."""
        return self.cookie.settings.sameSite
