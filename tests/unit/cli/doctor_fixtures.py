"""For each rule of `crossauth doctor` a configuration that has the mistake, and one like it that has not."""

from typing import Any

from crossauth_backend import Argon2Parameters
from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.limits.rules import DEFAULT_LIMITS, Limit
from crossauth_backend.oauth.client.options import ClientSettings
from crossauth_backend.oauth.resource.options import TokenConsumerSettings
from crossauth_backend.sessions.options import CsrfSettings, KnownDeviceSettings, SessionCookieSettings
from crossauth_fastapi._oauth_client.options import ClientServerSettings
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi.cli.doctor.snapshot import (
    Administrators,
    Client,
    Cors,
    Database,
    EnvFile,
    Sessions,
    Snapshot,
    Store,
)
from crossauth_fastapi.cli.doctor.variables import known_variables

RANDOM = "pC3vJ0yq5Qm8Zt1XwR7dKfLh2NbEsAgU9iOeTzYx4WjVnMkH"
OTHER = "aZ9xLq2Tn7Rk5Ve1Wb8Yc4Hd6Jf0Mg3PsQuItOoKlXzCvBnEw"
HTTPS, HTTP, LOCAL = "https://shop.acme.io", "http://shop.acme.io", "http://localhost:8000"


def session(site_url: str | None = HTTPS, *, options: dict[str, Any] | None = None, **facts: Any) -> Snapshot:
    """A session server at `site_url`: its options, and further facts of it."""
    settings = SessionServerSettings(**{"site_url": site_url, "secret": RANDOM, **(options or {})})
    return Snapshot(sessions=Sessions(settings=settings, **facts))


def variables(**values: str) -> Snapshot:
    """Environment variables, without their prefix."""
    environment = {f"CROSSAUTH_{name}": value for name, value in values.items()}
    return Snapshot(environment=environment, known_variables=known_variables())


def client(protocol: dict[str, Any] | None = None, redirect_uri: str = f"{HTTPS}/authzcode", **web: Any) -> Snapshot:
    """An OAuth client with the OpenID flow."""
    flows = web.pop("flows", {"oidcAuthorizationCode"})
    base = {"auth_server_base_url": "https://id.acme.io", "client_id": "shop", **(protocol or {})}
    provided = {"site_url": HTTPS, "token_response_type": "save_in_session_and_redirect", **web}
    return Snapshot(
        clients=(
            Client(
                protocol=ClientSettings(**base), web=ClientServerSettings(**provided), flows=frozenset(flows),
                redirect_uri=redirect_uri,
            ),
        )
    )  # fmt: skip


def consumer(**options: Any) -> Snapshot:
    """A resource server."""
    base = {"auth_server_base_url": "https://id.acme.io", "audience": HTTPS, **options}
    return Snapshot(production=True, consumers=(TokenConsumerSettings(**base),))


def store(kind: Any, workers: int = 1, **facts: Any) -> Snapshot:
    """One storage in production."""
    return Snapshot(production=True, workers=workers, stores=(Store(role="sessions", kind=kind, **facts),))


def database(**facts: Any) -> Snapshot:
    """One database."""
    return Snapshot(databases=(Database(name="users", **facts),))


def admins(**facts: Any) -> Snapshot:
    """Administration, with a second factor on offer."""
    base = session(options={"enable_admin_endpoints": True, "allowed_factor2": ["totp", "none"]})
    return Snapshot(sessions=base.sessions, administrators=Administrators(**facts))


def cookie(**options: Any) -> Snapshot:
    """The session cookie."""
    return session(cookie=SessionCookieSettings(**options))


FIXTURES: dict[str, tuple[Snapshot, Snapshot]] = {
    "start-refused": (Snapshot(refused=("Option 'secret' is required",)), Snapshot()),
    "secret-weak": (variables(SECRET="this-is-my-very-secret-secret-123"), variables(SECRET=RANDOM)),
    "secret-reused": (variables(SECRET=RANDOM, HASHER_SECRET=RANDOM), variables(SECRET=RANDOM, HASHER_SECRET=OTHER)),
    "env-file-readable": (
        Snapshot(env_files=(EnvFile(path=".env", mode=0o644),)), Snapshot(env_files=(EnvFile(path=".env"),)),
    ),
    "env-file-committed": (
        Snapshot(env_files=(EnvFile(path=".env", tracked=True),)), Snapshot(env_files=(EnvFile(path=".env"),)),
    ),
    "variable-misspelled": (variables(SMPT_HOST="mail.acme.io"), variables(SMTP_HOST="mail.acme.io")),
    "variable-unread": (variables(COLOR_OF_THE_SHOP="red"), variables(SITE_URL=HTTPS)),
    "site-url-missing": (session(None), session(HTTPS)),
    "site-url-http": (session(HTTP), session(LOCAL)),
    "site-url-localhost": (
        Snapshot(production=True, sessions=session(LOCAL).sessions), session(LOCAL),
    ),
    "cookie-not-secure": (session(csrf=CsrfSettings(secure=False)), session(LOCAL, csrf=CsrfSettings(secure=False))),
    "cookie-samesite-none": (cookie(sameSite="none"), cookie(sameSite="strict")),
    "cookie-not-httponly": (cookie(httpOnly=False), cookie()),
    "cookie-domain": (cookie(domain="acme.io"), cookie()),
    "session-too-long": (cookie(maxAge=0), cookie(maxAge=90 * 86400)),
    "session-no-idle-timeout": (cookie(), cookie(idle_timeout=3600)),
    "proxies-too-wide": (
        session(options={"trusted_proxies": ["0.0.0.0/0"]}), session(options={"trusted_proxies": ["10.0.0.0/8"]}),
    ),
    "proxies-missing": (session(), session(options={"trusted_proxies": ["10.0.0.5"]})),
    "proxy-headers-twice": (Snapshot(proxy_headers="uvicorn"), Snapshot()),
    "redirect-elsewhere": (
        session(options={"login_redirect": "https://other.io/"}), session(options={"login_redirect": f"{HTTPS}/me"}),
    ),
    "password-rules-weak": (session(weak_passwords=("password",)), session()),
    "password-hash-cheap": (
        session(argon2=Argon2Parameters(memory_cost=1024)), session(argon2=Argon2Parameters()),
    ),
    "factor2-not-offered": (session(), session(options={"allowed_factor2": ["totp"]})),
    "admin-factor2-impossible": (session(options={"enable_admin_endpoints": True}), admins()),
    "admin-factor2-missing": (admins(without_factor2=("merlin",)), admins()),
    "admin-missing": (admins(active=0), admins(active=1)),
    "factor-for-tests": (session(test_factors=("dummy",)), session(LOCAL, test_factors=("dummy",))),
    "reset-without-verification": (
        session(options={"enable_password_reset": True}),
        session(options={"enable_password_reset": True, "enable_email_verification": True}),
    ),
    "reset-off": (session(), session(has_passwords=False)),
    "reset-link-long": (
        session(options={"enable_password_reset": True, "password_reset_expires": 604800}),
        session(options={"enable_password_reset": False, "password_reset_expires": 604800}),
    ),
    "reauthentication-off": (session(options={"reauthentication_seconds": None}), session()),
    "trusted-device-long": (
        session(options={"enable_known_devices": True}, devices=KnownDeviceSettings(maxAge=31536000)),
        session(options={"enable_known_devices": True}),
    ),
    "session-count-unlimited": (session(options={"session_max_per_user": 0}), session()),
    "limits-off": (
        session(limits={n: limit for n, limit in DEFAULT_LIMITS.items() if n != "login_account"}), session(),
    ),
    "limits-loose": (
        session(limits={**DEFAULT_LIMITS, "login_account": Limit(1000, 60)}),
        session(limits={**DEFAULT_LIMITS, "login_account": Limit(100, 900)}),
    ),
    "audit-off": (session(), session(LOCAL)),
    "mail-outbox": (session(mail="outbox"), session(LOCAL, mail="outbox")),
    "mail-from-reserved": (
        session(options={"email_from": "Shop <shop@mail.example.com>"}), session(options={"email_from": "shop@acme.io"}),
    ),
    "mail-plain": (
        session(mail="smtp", options={"smtp_host": "mail.acme.io", "smtp_security": "none"}),
        session(mail="smtp", options={"smtp_host": "localhost", "smtp_security": "none"}),
    ),
    "api-keys-endless": (
        Snapshot(api_keys=ApiKeySettings(default_expiry=None)), Snapshot(api_keys=ApiKeySettings()),
    ),
    "encryption-key-shared": (
        session(options={"allowed_factor2": ["totp"]}),
        session(options={"allowed_factor2": ["totp"], "encryption_keys": [OTHER, RANDOM]}),
    ),
    "storage-in-memory": (store("memory"), store("sqlite")),
    "storage-per-worker": (store("memory", 2), store("redis", 2)),
    "sqlite-with-workers": (store("sqlite", 2), store("sqlite", 1)),
    "connection-plain": (
        store("redis", host="10.0.0.7", encrypted=False), store("redis", host="localhost", encrypted=False),
    ),
    "database-unreachable": (database(unreachable="The database cannot be reached"), database()),
    "schema-behind": (
        database(behind=("Table 'User' does not exist",), migrates=False), database(behind=("Table …",), migrates=True),
    ),
    "schema-upgrade-at-start": (
        database(behind=("Table 'User' does not exist",)), database(behind=("Table …",), migrates=False),
    ),
    "clock-skew": (database(skew=-61.0), database(skew=0.2)),
    "pkce-plain": (client({"code_challenge_method": "plain"}), client()),
    "provider-http": (client({"auth_server_base_url": "http://localhost:8080"}), client()),
    "provider-endpoint-http": (
        consumer(oidc_config={"jwks_uri": "http://id.acme.io/jwks"}),
        consumer(oidc_config={"jwks_uri": "https://id.acme.io/jwks"}),
    ),
    "password-flow": (client(flows={"password"}), client(flows={"refresh_token"})),
    "tokens-in-browser": (client(token_response_type="send_json"), client(token_endpoints=["have_access_token"])),
    "redirect-uri-elsewhere": (client(redirect_uri="https://other.io/authzcode"), client()),
    "bff-http": (client(bff_base_url="http://api.acme.io"), client(bff_base_url="http://localhost:9000")),
    "jwt-shared-secret": (consumer(jwt_key_type="HS256"), consumer(jwt_key_type="RS256")),
    "oauth-log": (client(oauth_log_fetch=True), client()),
    "cors-any-origin": (
        Snapshot(cors=(Cors(origins=("*",), credentials=True),)), Snapshot(cors=(Cors(origins=("*",)),)),
    ),
    "debug": (Snapshot(debug=True, production=True), Snapshot(debug=True)),
    "docs-public": (Snapshot(docs=("/docs",), production=True), Snapshot(docs=("/docs",))),
    "extra-missing": (Snapshot(missing_extras=("email",)), Snapshot()),
}  # fmt: skip
