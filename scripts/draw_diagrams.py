"""Draws the diagrams of docs as SVG: those of docs/concepts from the code that they show, those of flows from scripts/sequences.

With --check it only says whether the pictures are up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from picture import Picture
from sequence import Sequence, drawing, steps

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.stages import LOGIN_STAGES, Refuse, Requirement, next_step
from crossauth_backend.keys.kinds import KINDS
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.users.record import User
from crossauth_backend.users.states import REFUSALS, UserState

DOCS: Final = Path(__file__).parent.parent / "docs"
PICTURES: Final = DOCS / "pictures"
SEQUENCES: Final = Path(__file__).parent / "sequences"


def states() -> dict[str, str]:
    """The states of an account, in the order of the code: their value and the name of their refusal."""
    values = [value for name, value in vars(UserState).items() if name[0] != "_"]
    return {value: REFUSALS[value].name if value in REFUSALS else "" for value in values}


def result(state: str, factor2: str) -> tuple[str, str]:
    """What a login with the right password comes to, in this state: text and kind of its box."""
    user = User(id=1, username="a", state=state, factor1="localpassword", factor2=factor2)
    step = next_step(Attempt(user=user, methods=("pwd",), factor2_offered=True))
    if isinstance(step, Refuse):
        return f"refused: {step.code.name}", "no"
    if step is None:
        return "logged in", "ok"
    return ASKS[step], "ask"


ASKS: Final = {
    Requirement.LOGIN: "asked to log in again",
    Requirement.FACTOR2: "asked for the second factor",
    Requirement.PASSWORD_CHANGE: "asked to choose a password",
    Requirement.FACTOR2_CHANGE: "asked to set up a second factor",
}
STAGES: Final = {
    "check_state": ("Is the account active?", "no: refused"),
    "require_fresh": ("Is the earlier login recent enough?", "no: log in again"),
    "require_factor2": ("Is there a second factor to give?", "yes: ask for it"),
    "require_acr": ("Is a second factor demanded?", "yes: ask or set up"),
    "force_password_change": ("Must the password be changed?", "yes: new password"),
    "force_factor2_change": ("Must a second factor be set up?", "yes: set it up"),
}


def stages_picture() -> Picture:
    """The stages of a login, in their order."""
    names = [stage.__name__ for stage in LOGIN_STAGES]
    picture = Picture("The stages of a login", 720, 150 + 74 * len(names))
    y = picture.box(40, 20, 330, "Password, link or provider verified")
    for name in names:
        question, answer = STAGES[name]
        picture.arrow((205, y), (205, y + 36))
        at = y + 37
        y = picture.box(40, at, 330, question)
        picture.arrow((370, at + 18), (450, at + 18))
        picture.box(451, at, 230, answer, "no" if "refused" in answer else "ask")
    picture.arrow((205, y), (205, y + 36))
    picture.box(40, y + 37, 330, "Session opened", "ok")
    return picture


def states_picture() -> Picture:
    """What a login comes to in each state."""
    found = states()
    picture = Picture("What a login with the right password comes to in each state", 1000, 74 + 52 * len(found))
    picture.text(20, 34, "state", "bold")
    picture.text(370, 34, "no second factor", "bold")
    picture.text(690, 34, "with a second factor", "bold")
    for n, state in enumerate(found):
        y = 52 + 52 * n
        picture.text(20, y + 25, state, "")
        for x, factor2 in ((370, ""), (690, "totp")):
            text, kind = result(state, factor2)
            picture.box(x, y, 300, text, kind)
    return picture


def session_picture() -> Picture:
    """Where a session is kept."""
    picture = Picture("A session: a cookie in the browser, a row in the key storage", 860, 250)
    picture.box(20, 60, 220, "Browser\ncookie: session id,\nsigned", "box")
    picture.box(320, 60, 220, "Your application\nhashes the id,\nreads one row", "box")
    picture.box(620, 60, 220, "Key storage\nhash of the id, user,\nstamp, expiry, data", "box")
    picture.arrow((240, 100), (319, 100))
    picture.arrow((540, 100), (619, 100))
    picture.text(20, 36, "256 random bits, in a cookie that scripts can't read", "quiet")
    picture.text(20, 180, "Every request compares the row with its user: state, and security stamp.", "quiet")
    picture.text(20, 204, "A changed password, second factor or state makes a new stamp, and the row is void.", "quiet")
    picture.text(20, 228, "A stolen database has hashes only; a stolen cookie can be revoked.", "quiet")
    return picture


def csrf_picture() -> Picture:
    """How a forged request is told from a real one."""
    picture = Picture(
        "A request from your page carries cookie and token; one from another site only the cookie", 860, 300
    )
    picture.box(20, 30, 260, "Your page\nknows the CSRF token")
    picture.box(20, 190, 260, "A page of another site\ncan't read the token")
    picture.box(560, 110, 280, "Your application\nDo cookie and token match?")
    picture.arrow((280, 59), (420, 59), (420, 120), (559, 130))
    picture.arrow((280, 219), (420, 219), (420, 160), (559, 150))
    picture.text(292, 50, "cookie + token", "quiet")
    picture.text(292, 242, "cookie at most", "quiet")
    picture.box(560, 20, 280, "Your page: accepted", "ok")
    picture.box(560, 226, 280, "Another site: 403 InvalidCsrf", "no")
    picture.arrow((700, 110), (700, 58))
    picture.arrow((700, 168), (700, 225))
    return picture


def roles_picture() -> Picture:
    """How a route finds out who is asking."""
    picture = Picture("From a request to a route: sources, caller, decision", 960, 330)
    for n, text in enumerate(("Session cookie", "API key", "Access token", "ID token in the session")):
        y = picture.box(20, 20 + 74 * n, 220, text)
        picture.arrow((240, y - 18), (329, 158))
    picture.box(330, 128, 220, "Middleware\nWho is asking?")
    picture.arrow((550, 158), (629, 158))
    picture.box(630, 118, 310, "Dependency\nMay they call this route?\nscope, admin, verified, fresh, factor2")
    picture.arrow((785, 197), (785, 236))
    picture.box(630, 237, 310, "Your route, with the user", "ok")
    picture.arrow((785, 118), (785, 66))
    picture.box(630, 28, 310, "401: not logged in, or 403: not allowed", "no")
    return picture


def deployment_picture() -> Picture:
    """What stands in front of what."""
    picture = Picture("Browser, proxy, workers, database", 900, 190)
    picture.box(20, 60, 150, "Browser")
    picture.box(250, 50, 170, "nginx or Caddy\nhttps")
    picture.box(520, 20, 150, "worker")
    picture.box(520, 74, 150, "worker")
    picture.box(520, 128, 150, "worker")
    picture.box(750, 50, 130, "PostgreSQL\nor Redis")
    picture.arrow((170, 78), (249, 78))
    for y in (38, 92, 146):
        picture.arrow((420, 78), (519, y))
        picture.arrow((670, y), (749, 78))
    picture.text(335, 130, "X-Forwarded-…", "quiet", "middle")
    return picture


def prefixes() -> dict[str, str]:
    """The names of the prefixes of keys."""
    return {value: name for name, value in vars(KeyPrefix).items() if name[0] != "_" and isinstance(value, str)}


KEYS_BEGIN: Final = "<!-- keys: written by scripts/draw_diagrams.py -->\n"
NAMES: Final = {
    "api_key": "API key",
    "mfa_token": "MFA token",
    "known_device": "trusted device",
    "oauth_access_token": "access token of the OpenID provider",
    "email_verification_token": "link that verifies an email address",
    "password_reset_token": "link that resets a password",
    "access_token": "bearer token",
}
KEYS_END: Final = "<!-- end of keys -->"


def keys_table() -> str:
    """The table of the kinds of keys, for the page of tokens."""
    names = prefixes()
    rows = ["| kind | used | revoked by a new password | revoked together |", "|---|---|---|---|"]
    for kind in KINDS:
        if not (kind.stamped or kind.single_use or kind.family):
            continue  # nothing that is handed out
        name = NAMES.get(names[kind.prefix], names[kind.prefix].replace("_", " "))
        once = "once" if kind.single_use else "until it expires"
        rows.append(f"| {name} | {once} | {'yes' if kind.ends_with_password else ''} | {kind.family} |")
    return KEYS_BEGIN + "\n".join(rows) + "\n" + KEYS_END


SEQUENCE_BEGIN: Final = "<!-- sequence: written by scripts/draw_diagrams.py from scripts/sequences/{name}.mmd -->\n"
SEQUENCE_END: Final = "<!-- end of sequence -->"


def sequences() -> Iterator[tuple[Path, str]]:
    """The pictures of sequences, and the pages that show them, with the steps in words."""
    for source in sorted(SEQUENCES.glob("*.mmd")):
        sequence = Sequence(source.read_text())
        picture = PICTURES / f"{source.stem}.svg"
        yield picture, drawing(sequence).svg()
        words = (
            f"[![{sequence.title}](pictures/{picture.name})](pictures/{picture.name})\n\n"
            "<details markdown>\n<summary>The same in words</summary>\n\n"
            + "\n".join(steps(sequence))
            + "\n\n</details>\n"
        )
        page = DOCS / f"{source.stem}.md"
        before, begin, rest = page.read_text().partition(SEQUENCE_BEGIN.format(name=source.stem))
        yield page, before + begin + words + SEQUENCE_END + rest.partition(SEQUENCE_END)[2]


def pages() -> Iterator[tuple[Path, str]]:
    """Every file that this script writes, with its content."""
    yield PICTURES / "login_stages.svg", stages_picture().svg()
    yield PICTURES / "states.svg", states_picture().svg()
    yield PICTURES / "session.svg", session_picture().svg()
    yield PICTURES / "csrf.svg", csrf_picture().svg()
    yield PICTURES / "roles.svg", roles_picture().svg()
    yield PICTURES / "deployment.svg", deployment_picture().svg()
    yield from sequences()
    tokens = DOCS / "concepts" / "tokens.md"
    before, _, rest = tokens.read_text().partition(KEYS_BEGIN)
    yield tokens, before + keys_table() + rest.partition(KEYS_END)[2]


def main() -> int:
    """Write or check the pictures."""
    if "--check" in sys.argv:
        return int(any(not path.exists() or path.read_text() != text for path, text in pages()))
    PICTURES.mkdir(exist_ok=True)
    for path, text in pages():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
