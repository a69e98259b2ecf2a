"""Rules about storages, OAuth, and the application around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi.cli.doctor.rule import Rule, Severity
from crossauth_fastapi.cli.doctor.snapshot import Snapshot, is_plain_http, origin_of

_SKEW_SECONDS: Final = 5
_TO_BROWSERS: Final = ("send_json", "send_in_page")
_ANY: Final = "*"


def _in_memory(s: Snapshot) -> Iterator[str]:
    if s.is_deployed and s.workers < 2:
        yield from (f"{store.role} are in memory" for store in s.stores if store.kind == "memory")


def _in_memory_of_several(s: Snapshot) -> Iterator[str]:
    if s.workers > 1:
        yield from (
            f"{store.role} are in memory of {s.workers} workers" for store in s.stores if store.kind == "memory"
        )


def _sqlite_of_several(s: Snapshot) -> Iterator[str]:
    if s.workers > 1:
        yield from (f"{one.role} are in SQLite, with {s.workers} workers" for one in s.stores if one.kind == "sqlite")


def _plain_connection(s: Snapshot) -> Iterator[str]:
    for store in s.stores:
        if store.encrypted is False and store.host and not is_local_host(store.host):
            yield f"{store.role} are at {store.host}"


def _unreachable(s: Snapshot) -> Iterator[str]:
    yield from (f"{one.name}: {one.unreachable}" for one in s.databases if one.unreachable)


def _behind(s: Snapshot) -> Iterator[str]:
    yield from (text for one in s.databases if not one.migrates for text in one.behind)


def _will_upgrade(s: Snapshot) -> Iterator[str]:
    yield from (text for one in s.databases if one.migrates for text in one.behind)


def _skewed(s: Snapshot) -> Iterator[str]:
    for one in s.databases:
        if one.skew is not None and abs(one.skew) > _SKEW_SECONDS:
            yield f"{one.name}: the clocks differ by {abs(one.skew):.0f} seconds"


def _plain_pkce(s: Snapshot) -> Iterator[str]:
    for client in s.clients:
        if client.protocol.code_challenge_method == "plain":
            yield f"client {client.protocol.client_id}"


def _local_provider(s: Snapshot) -> Iterator[str]:
    if s.is_deployed:
        urls = [client.protocol.auth_server_base_url for client in s.clients]
        urls += [consumer.auth_server_base_url for consumer in s.consumers]
        yield from (url for url in urls if url.startswith("http:"))


def _plain_keys(s: Snapshot) -> Iterator[str]:
    configs = [*(client.protocol.oidc_config for client in s.clients), *(c.oidc_config for c in s.consumers)]
    for config in configs:
        for name in ("jwks_uri", "token_endpoint", "authorization_endpoint"):
            url = str((config or {}).get(name, ""))
            if is_plain_http(url) or (s.is_deployed and url.startswith("http:")):
                yield f"{name} is {url}"


def _password_flow(s: Snapshot) -> Iterator[str]:
    for client in s.clients:
        flows = sorted(client.flows & {"password", "passwordMfa"})
        if flows:
            yield f"client {client.protocol.client_id} has {', '.join(flows)}"


def _tokens_in_browsers(s: Snapshot) -> Iterator[str]:
    for client in s.clients:
        name, web = client.protocol.client_id, client.web
        if client.flows and web.token_response_type in _TO_BROWSERS:
            yield f"client {name} has token_response_type={web.token_response_type!r}"
        view = [token for token in web.token_endpoints if token in ("access_token", "refresh_token")]
        if view:
            yield f"client {name} has token_endpoints for {', '.join(view)}"


def _elsewhere(s: Snapshot) -> Iterator[str]:
    for client in s.clients:
        there, here = origin_of(client.redirect_uri), origin_of(client.web.site_url or "")
        if there and here and there != here:
            yield f"client {client.protocol.client_id} has redirect_uri at {there}, and site_url is {here}"


def _plain_api(s: Snapshot) -> Iterator[str]:
    for client in s.clients:
        if is_plain_http(client.web.bff_base_url or ""):
            yield f"'bff_base_url' is {client.web.bff_base_url}"


def _shared_signature(s: Snapshot) -> Iterator[str]:
    types = [*(client.protocol.jwt_key_type for client in s.clients), *(one.jwt_key_type for one in s.consumers)]
    yield from (f"'jwt_key_type' is {name}" for name in types if name.startswith("HS"))


def _logged_requests(s: Snapshot) -> Iterator[str]:
    if s.is_deployed:
        yield from (f"client {one.protocol.client_id}" for one in s.clients if one.web.oauth_log_fetch)


def _any_origin(s: Snapshot) -> Iterator[str]:
    for cors in s.cors:
        if cors.credentials and _ANY in cors.origins:
            yield "allow_origins=['*'] with allow_credentials=True"
        if cors.credentials and cors.regex in (".*", ".+", "https?://.*", "https://.*"):
            yield f"allow_origin_regex={cors.regex!r} with allow_credentials=True"


def _debug(s: Snapshot) -> Iterator[str]:
    if s.debug and s.is_deployed:
        yield "FastAPI(debug=True)"


def _docs(s: Snapshot) -> Iterator[str]:
    if s.docs and s.is_deployed:
        yield f"anyone can open {', '.join(s.docs)}"


def _extras(s: Snapshot) -> Iterator[str]:
    yield from (f"install crossauth[{extra}]" for extra in s.missing_extras)


ERROR, WARNING, INFO = Severity.error, Severity.warning, Severity.info
# fmt: off
RULES: Final = (
    Rule(id="storage-in-memory", severity=ERROR, title="Data is lost at every restart",
         check=_in_memory,
         why="Accounts, sessions or events in memory are gone when the process ends.",
         fix="Use a storage in a database, such as SqlAlchemyKeyStorage, or RedisKeyStorage for sessions."),
    Rule(id="storage-per-worker", severity=ERROR, title="Each worker has data of its own",
         check=_in_memory_of_several,
         why="A login at one worker is unknown to the others, and every limit counts once for each worker.",
         fix="Use a storage that all workers share: a database or Redis."),
    Rule(id="sqlite-with-workers", severity=WARNING, title="Several workers write one SQLite file",
         check=_sqlite_of_several,
         why="Only one of them can write at a time, so requests wait and fail under load.",
         fix="Use PostgreSQL, or one worker."),
    Rule(id="connection-plain", severity=WARNING, title="The connection to a database is not encrypted",
         check=_plain_connection,
         why="Anyone on the network between can read password hashes and sessions, and change them.",
         fix="Use TLS: ?ssl=verify-full in a PostgreSQL URL, rediss:// for Redis."),
    Rule(id="database-unreachable", severity=ERROR, title="A database does not answer",
         check=_unreachable,
         why="The application cannot start.",
         fix="Check its URL and whether it runs; or use --offline to leave databases out."),
    Rule(id="schema-behind", severity=ERROR, title="Tables are not up to date, and start-up does not upgrade them",
         check=_behind,
         why="The application cannot start.",
         fix="Run crossauth db upgrade before you deploy."),
    Rule(id="schema-upgrade-at-start", severity=INFO, title="The next start upgrades tables",
         check=_will_upgrade,
         why="It needs the right to change tables, and workers wait for it.",
         fix="Run crossauth db upgrade before you deploy, if the application's own database user may not change tables."),
    Rule(id="clock-skew", severity=WARNING, title="The clocks of the server and a database differ",
         check=_skewed,
         why="Codes and links expire too early or too late.",
         fix="Synchronize both machines with NTP."),
    Rule(id="pkce-plain", severity=ERROR, title="PKCE does not protect the authorization code",
         check=_plain_pkce,
         why="With the method 'plain', anyone who reads the authorization request can use a stolen code (RFC 7636 §7.2).",
         fix="Remove 'code_challenge_method'; the default is S256."),
    Rule(id="provider-http", severity=ERROR, title="The authorization server is on this machine, over plain http",
         check=_local_provider,
         why="It is a server for development; its users are not those of your site.",
         fix="Set 'auth_server_base_url' to the https address of the real one."),
    Rule(id="provider-endpoint-http", severity=ERROR, title="An endpoint of the authorization server is plain http",
         check=_plain_keys,
         why="Someone on the network can replace its keys and so forge tokens.",
         fix="Use https URLs in 'oidc_config'."),
    Rule(id="password-flow", severity=WARNING, title="The password flow is on",
         check=_password_flow,
         why="Users give the password of another site to yours, and second factors there are bypassed (RFC 9700 §2.4).",
         fix="Use authorizationCodeWithPKCE or oidcAuthorizationCode in 'valid_flows'."),
    Rule(id="tokens-in-browser", severity=WARNING, title="Browsers get access tokens",
         check=_tokens_in_browsers,
         why="A script injection can steal them and use them from anywhere.",
         fix="Use save_in_session_and_redirect, and call the API through the backend-for-frontend."),
    Rule(id="redirect-uri-elsewhere", severity=ERROR, title="The provider sends browsers to another site",
         check=_elsewhere,
         why="The cookie of the login that is under way is not sent there, so no login succeeds; or the code goes to strangers.",
         fix="Use a 'redirect_uri' at 'site_url'."),
    Rule(id="bff-http", severity=ERROR, title="Access tokens are sent over plain http",
         check=_plain_api,
         why="Anyone on the network can read and use them.",
         fix="Set 'bff_base_url' to an https URL."),
    Rule(id="jwt-shared-secret", severity=WARNING, title="Tokens are verified with a shared secret",
         check=_shared_signature,
         why="Everyone who can verify such a token can also make one.",
         fix="Use a public-key algorithm, such as RS256 or ES256."),
    Rule(id="oauth-log", severity=INFO, title="Requests to the authorization server are logged",
         check=_logged_requests,
         why="It makes many log lines; tokens are not in them.",
         fix="Switch 'oauth_log_fetch' off when you are done looking for a fault."),
    Rule(id="cors-any-origin", severity=ERROR, title="Every site may send requests with the user's cookies",
         check=_any_origin,
         why="Any page a user visits can read the answers of your API.",
         fix="Name your own origins in allow_origins, or leave allow_credentials out."),
    Rule(id="debug", severity=ERROR, title="The application is in debug mode",
         check=_debug,
         why="Errors show the source code and the values of variables to visitors.",
         fix="Remove debug=True from FastAPI()."),
    Rule(id="docs-public", severity=INFO, title="The API documentation is public",
         check=_docs,
         why="It tells attackers every endpoint; that is no fault where the API is meant for others.",
         fix="Use FastAPI(docs_url=None, redoc_url=None, openapi_url=None), or ignore this rule."),
    Rule(id="extra-missing", severity=ERROR, title="A package that the configuration needs is not installed",
         check=_extras,
         why="The part that needs it fails when it is first used.",
         fix="Install the extra that is named."),
)
# fmt: on
