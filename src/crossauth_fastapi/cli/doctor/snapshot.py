"""What rules judge: the configuration of one application, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.core.hash_cost import Argon2Parameters
from crossauth_backend.limits.rules import DEFAULT_LIMITS, Limit
from crossauth_backend.oauth.client.options import ClientSettings
from crossauth_backend.oauth.resource.options import TokenConsumerSettings
from crossauth_backend.sessions.options import CsrfSettings, KnownDeviceSettings, SessionCookieSettings
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._oauth_client.options import ClientServerSettings
from crossauth_fastapi._session.options import SessionServerSettings


@dataclass(frozen=True, kw_only=True)
class Store:
    """One storage.

    Parameters:
        role: what is kept there, for people.
        kind: which sort of storage it is.
        host: the host of its server; empty for files, sockets and memory.
        encrypted: whether the connection is; `None` where nobody asked.
    """

    role: str
    kind: Literal["memory", "sqlite", "postgresql", "redis", "other"]
    host: str = ""
    encrypted: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Database:
    """What a database says.

    Parameters:
        name: what is kept there, for people.
        unreachable: why it does not answer; empty where it does.
        behind: tables that are not up to date, as texts.
        migrates: whether the application upgrades them when it starts.
        skew: seconds by which its clock differs from ours; `None` where it was not asked.
    """

    name: str
    unreachable: str = ""
    behind: tuple[str, ...] = ()
    migrates: bool = True
    skew: float | None = None


@dataclass(frozen=True, kw_only=True)
class Administrators:
    """Who may manage accounts: how many are active, and the usernames of those without a second factor."""

    active: int = 1
    without_factor2: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EnvFile:
    """A file with settings: its path, the bits of its mode, and whether git has it."""

    path: str
    mode: int = 0o600
    tracked: bool = False


@dataclass(frozen=True, kw_only=True)
class Cors:
    """What `CORSMiddleware` lets other origins do."""

    origins: tuple[str, ...] = ()
    regex: str | None = None
    credentials: bool = False


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """A session server.

    Parameters:
        settings: its options.
        cookie: those of the session cookie.
        csrf: those of the CSRF cookie.
        devices: those of the cookie of trusted devices.
        limits: the limits of attempts that are in force.
        mail: what sends mail.
        test_factors: names of factors that are for tests.
        argon2: the cost of a password hash; `None` without a factor that stores passwords.
        weak_passwords: passwords that anyone would guess, and that the application accepts.
        has_passwords: whether anyone logs in with a password.
    """

    settings: SessionServerSettings = field(default_factory=SessionServerSettings)
    cookie: SessionCookieSettings = field(default_factory=SessionCookieSettings)
    csrf: CsrfSettings = field(default_factory=CsrfSettings)
    devices: KnownDeviceSettings = field(default_factory=KnownDeviceSettings)
    limits: Mapping[str, Limit] = field(default_factory=lambda: DEFAULT_LIMITS)
    mail: Literal["none", "smtp", "outbox", "own"] = "none"
    test_factors: tuple[str, ...] = ()
    argon2: Argon2Parameters | None = None
    weak_passwords: tuple[str, ...] = ()
    has_passwords: bool = True


@dataclass(frozen=True, kw_only=True)
class Client:
    """An OAuth client: its options, those of its pages, the flows that are on, and where the provider sends browsers."""

    protocol: ClientSettings
    web: ClientServerSettings
    flows: frozenset[str] = frozenset()
    redirect_uri: str = ""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One application and its environment.

    Parameters:
        refused: what start-up says against it, as texts.
        environment: environment variables.
        known_variables: the names of those that the library reads.
        production: whether it is to be judged as deployed, wherever `site_url` leads.
        workers: how many processes serve it.
        env_files: files with settings.
        sessions: the session server.
        stores: every storage.
        databases: those that were asked.
        administrators: `None` where nobody looked.
        api_keys: options of API keys.
        clients: OAuth clients.
        consumers: options of the resource server, one for each authorization server.
        debug: whether the application is in debug mode.
        docs: paths of pages that describe the API.
        cors: what other origins may do.
        proxy_headers: whether something other than `trusted_proxies` rewrites addresses: what it is called.
        missing_extras: extras of the package that the configuration needs.
    """

    refused: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    known_variables: frozenset[str] = frozenset()
    production: bool = False
    workers: int = 1
    env_files: tuple[EnvFile, ...] = ()
    sessions: Sessions | None = None
    stores: tuple[Store, ...] = ()
    databases: tuple[Database, ...] = ()
    administrators: Administrators | None = None
    api_keys: ApiKeySettings | None = None
    clients: tuple[Client, ...] = ()
    consumers: tuple[TokenConsumerSettings, ...] = ()
    debug: bool = False
    docs: tuple[str, ...] = ()
    cors: tuple[Cors, ...] = ()
    proxy_headers: str = ""
    missing_extras: tuple[str, ...] = ()

    @property
    def site_url(self) -> str:
        """Where browsers find the site; empty where that is not said."""
        urls = [self.sessions.settings.site_url] if self.sessions else []
        return next((url for url in [*urls, *(client.web.site_url for client in self.clients)] if url), "")

    @property
    def is_deployed(self) -> bool:
        """Whether people use it over a network: by `production`, or because `site_url` leads elsewhere than to this machine."""
        return self.production or (bool(self.site_url) and not is_local_url(self.site_url))


def is_local_url(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return is_local_host(urlsplit(url).netloc.rpartition("@")[2])


def is_plain_http(url: str) -> bool:
    """Whether what is sent to a URL can be read on the way."""
    return url.lower().startswith("http:") and not is_local_url(url)


def origin_of(url: str) -> str:
    """Scheme and host of a URL; empty for a path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""
