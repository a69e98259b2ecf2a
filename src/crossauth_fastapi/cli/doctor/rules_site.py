"""Rules about start-up, secrets, the site, its cookies and its proxies."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator
from typing import Final

from crossauth_backend.core.options import ENV_PREFIX
from crossauth_fastapi.cli.doctor.rule import Rule, Severity
from crossauth_fastapi.cli.doctor.snapshot import Snapshot, is_local_url, origin_of

_EXAMPLES: Final = ("changeme", "change-me", "change_me", "example", "password", "secret", "12345678", "your-key")
_FEWEST_CHARACTERS: Final = 10
_DAY: Final = 86400
_OTHERS: Final = 0o077
_NEAR: Final = 0.85


def _refused(s: Snapshot) -> Iterator[str]:
    yield from s.refused


def _secrets(s: Snapshot) -> dict[str, str]:
    """The secrets that are set, by what people call them."""
    found = {name: s.environment.get(f"{ENV_PREFIX}{name}", "") for name in ("SECRET", "HASHER_SECRET")}
    named = {f"{ENV_PREFIX}{name}": value for name, value in found.items() if value}
    if s.sessions is not None:
        named |= {"option 'secret'": s.sessions.settings.secret or ""}
        named |= {f"option 'encryption_keys'[{n}]": key for n, key in enumerate(s.sessions.settings.encryption_keys)}
    return {name: value for name, value in named.items() if value}


def _weak_secret(s: Snapshot) -> Iterator[str]:
    declared: set[str] = set()
    for name, value in _secrets(s).items():
        weak = len(set(value)) < _FEWEST_CHARACTERS or any(text in value.lower() for text in _EXAMPLES)
        if weak and value not in declared:
            declared.add(value)
            yield f"{name} looks like an example or like typed text"


def _reused_secret(s: Snapshot) -> Iterator[str]:
    main = s.sessions.settings.secret if s.sessions else s.environment.get(f"{ENV_PREFIX}SECRET")
    if not main:
        return
    others = {f"{ENV_PREFIX}HASHER_SECRET": s.environment.get(f"{ENV_PREFIX}HASHER_SECRET")}
    others |= {f"'client_secret' of {c.protocol.client_id}": c.protocol.client_secret for c in s.clients}
    yield from (f"{name} is the same as 'secret'" for name, value in others.items() if value == main)


def _readable_env_file(s: Snapshot) -> Iterator[str]:
    yield from (f"{f.path} has the mode {f.mode:o}" for f in s.env_files if f.mode & _OTHERS)


def _tracked_env_file(s: Snapshot) -> Iterator[str]:
    yield from (f"git has {file.path}" for file in s.env_files if file.tracked)


def _unknown_variables(s: Snapshot) -> dict[str, str]:
    """The variables that nothing reads, and the nearest name that something does."""
    unknown = sorted(name for name in s.environment if name.startswith(ENV_PREFIX) and name not in s.known_variables)
    near = {name: difflib.get_close_matches(name, s.known_variables, n=1, cutoff=_NEAR) for name in unknown}
    return {name: found[0] if found else "" for name, found in near.items()}


def _misspelled(s: Snapshot) -> Iterator[str]:
    names = _unknown_variables(s).items()
    yield from (f"{name} is read by nothing; did you mean {near}?" for name, near in names if near)


def _unread(s: Snapshot) -> Iterator[str]:
    yield from (f"{name} is read by no option" for name, near in _unknown_variables(s).items() if not near)


def _no_site_url(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and not s.site_url:
        yield "'site_url' is not set"


def _plain_site(s: Snapshot) -> Iterator[str]:
    if s.site_url.lower().startswith("http:") and not is_local_url(s.site_url):
        yield f"'site_url' is {s.site_url}"


def _local_site(s: Snapshot) -> Iterator[str]:
    if s.production and s.site_url and is_local_url(s.site_url):
        yield f"'site_url' is {s.site_url}"


def _insecure_cookie(s: Snapshot) -> Iterator[str]:
    if s.sessions is None or not s.is_deployed:
        return
    cookies = {
        "session_cookie_options": s.sessions.cookie, "double_submit_cookie_options": s.sessions.csrf,
        "known_device_cookie_options": s.sessions.devices,
    }  # fmt: skip
    yield from (f"'{name}' has secure=False" for name, cookie in cookies.items() if cookie.secure is False)


def _cross_site_cookie(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.cookie.sameSite == "none":
        yield "'session_cookie_options' has sameSite='none'"


def _readable_cookie(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and not s.sessions.cookie.httpOnly:
        yield "'session_cookie_options' has httpOnly=False"


def _cookie_domain(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.cookie.domain:
        yield f"'session_cookie_options' has domain={s.sessions.cookie.domain!r}"


def _long_session(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and not 0 < s.sessions.cookie.maxAge <= 90 * _DAY:
        days = s.sessions.cookie.maxAge // _DAY
        yield f"sessions last {days} days" if days else "sessions never expire"


def _no_idle_timeout(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.cookie.idle_timeout == 0 and not 0 < s.sessions.cookie.maxAge <= _DAY:
        yield "'idle_timeout' of 'session_cookie_options' is 0"


def _wide_proxies(s: Snapshot) -> Iterator[str]:
    for text in s.sessions.settings.trusted_proxies if s.sessions else ():
        network = ipaddress.ip_network(text, strict=False)
        public = not network.is_private and network.num_addresses > 1
        if network.prefixlen == 0 or (public and network.prefixlen < (16 if network.version == 4 else 32)):
            yield f"'trusted_proxies' has {text}"


def _no_proxies(s: Snapshot) -> Iterator[str]:
    needed = s.sessions is not None and s.is_deployed and s.site_url.startswith("https:")
    if needed and s.sessions is not None and not s.sessions.settings.trusted_proxies:
        yield "'trusted_proxies' is empty"


def _other_proxy_headers(s: Snapshot) -> Iterator[str]:
    if s.proxy_headers:
        yield f"{s.proxy_headers} rewrites the addresses of visitors"


def _leads_away(s: Snapshot) -> Iterator[str]:
    if s.sessions is None:
        return
    for name in ("login_redirect", "logout_redirect"):
        target = origin_of(getattr(s.sessions.settings, name))
        if target and target != origin_of(s.site_url):
            yield f"{name!r} leads to {target}"


ERROR, WARNING, INFO = Severity.error, Severity.warning, Severity.info
# fmt: off
RULES: Final = (
    Rule(id="start-refused", severity=ERROR, title="The application does not start",
         check=_refused,
         why="Start-up refuses a configuration that is unsafe or that cannot take effect.",
         fix="Change what the message names; it says what would be right."),
    Rule(id="secret-weak", severity=ERROR, title="A secret can be guessed",
         check=_weak_secret,
         why="Anyone who knows the secret can forge cookies and read what is stored encrypted.",
         fix='Use a random one: python -c "import secrets; print(secrets.token_urlsafe(48))". Everyone has to log in again.'),
    Rule(id="secret-reused", severity=WARNING, title="One secret is used for two purposes",
         check=_reused_secret,
         why="If one place leaks it, the other falls as well; and neither can be replaced alone.",
         fix="Generate a secret of its own for each purpose."),
    Rule(id="env-file-readable", severity=ERROR, title="Other users of this machine can read the settings file",
         check=_readable_env_file,
         why="It holds the secret, and often the passwords of the database and of the mail server.",
         fix="Run chmod 600 .env, as the user who runs the application."),
    Rule(id="env-file-committed", severity=ERROR, title="The settings file is in version control",
         check=_tracked_env_file,
         why="Everyone who can read the repository has the secret, now and from its history.",
         fix="Run git rm --cached .env, add .env to .gitignore, and replace every secret that is in it."),
    Rule(id="variable-misspelled", severity=ERROR, title="An environment variable is misspelled",
         check=_misspelled,
         why="Nothing reads it, so the default applies: what it was to protect is not protected.",
         fix="Correct the name; docs/options.md lists all of them."),
    Rule(id="variable-unread", severity=INFO, title="An environment variable is read by no option",
         check=_unread,
         why="It may belong to the application itself, or to another version of the library.",
         fix="Remove it, or give it a name that does not begin with CROSSAUTH_."),
    Rule(id="site-url-missing", severity=WARNING, title="The address of the site is not set",
         check=_no_site_url,
         why="Links in email need it, and cookies and redirects rely on the Host header of each request instead.",
         fix="Set CROSSAUTH_SITE_URL to the address that browsers use, such as https://example.com."),
    Rule(id="site-url-http", severity=ERROR, title="The site is served over plain http",
         check=_plain_site,
         why="Anyone on the network can read session cookies and passwords.",
         fix="Use https, set 'site_url' to it, and remove secure=False from the cookie options."),
    Rule(id="site-url-localhost", severity=ERROR, title="The site address is localhost in production",
         check=_local_site,
         why="Cookies lose the Secure attribute, and links in email lead to the reader's own machine.",
         fix="Set CROSSAUTH_SITE_URL to the public https address."),
    Rule(id="cookie-not-secure", severity=ERROR, title="A cookie is sent over plain http",
         check=_insecure_cookie,
         why="Anyone on the network can take over the session.",
         fix="Remove secure=False; on localhost the attribute is left out by itself."),
    Rule(id="cookie-samesite-none", severity=WARNING, title="The session cookie is sent with requests of other sites",
         check=_cross_site_cookie,
         why="Other sites can embed pages and send requests as the user; only the CSRF token is left as protection.",
         fix="Use sameSite='lax', unless another site has to embed yours."),
    Rule(id="cookie-not-httponly", severity=ERROR, title="Scripts can read the session cookie",
         check=_readable_cookie,
         why="One script injection is then enough to steal sessions.",
         fix="Remove httpOnly=False from 'session_cookie_options'."),
    Rule(id="cookie-domain", severity=WARNING, title="The session cookie is shared with subdomains",
         check=_cookie_domain,
         why="Every application on a subdomain receives it, and the protection of the prefix __Host- is lost.",
         fix="Remove 'domain', unless one login has to work on several subdomains that you trust."),
    Rule(id="session-too-long", severity=WARNING, title="Sessions last very long",
         check=_long_session,
         why="A stolen cookie or a forgotten browser stays logged in for months.",
         fix="Set 'maxAge' of 'session_cookie_options' to at most 90 days, in seconds."),
    Rule(id="session-no-idle-timeout", severity=INFO, title="Unused sessions stay logged in",
         check=_no_idle_timeout,
         why="Someone who finds an unattended browser is logged in.",
         fix="Set 'idle_timeout' of 'session_cookie_options', such as 86400 for a day."),
    Rule(id="proxies-too-wide", severity=ERROR, title="Anyone counts as a trusted proxy",
         check=_wide_proxies,
         why="Visitors choose their own address by a header, and so get around limits and falsify the audit log.",
         fix="Name the addresses of your own proxies in 'trusted_proxies'."),
    Rule(id="proxies-missing", severity=WARNING, title="No proxy is trusted",
         check=_no_proxies,
         why="Behind a proxy that ends TLS, every visitor has the proxy's address, so one attacker uses up everyone's limits.",
         fix="Set CROSSAUTH_TRUSTED_PROXIES to the proxy's address; ignore this rule where uvicorn itself serves https."),
    Rule(id="proxy-headers-twice", severity=WARNING, title="Two parts evaluate X-Forwarded-For",
         check=_other_proxy_headers,
         why="What comes first replaces the proxy's address, and 'trusted_proxies' can no longer tell who wrote the header.",
         fix="Start uvicorn with --no-proxy-headers, remove FORWARDED_ALLOW_IPS, and use 'trusted_proxies' alone."),
    Rule(id="redirect-elsewhere", severity=WARNING, title="Login or logout leads to another site",
         check=_leads_away,
         why="Users land on a site that may not be yours, at the moment when they expect to enter data.",
         fix="Use a path, such as /account, or a URL of 'site_url'."),
)
# fmt: on
