"""Phrases that are hard to read are nowhere: not in code, pages, mails, documentation or examples."""

import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHRASES = (
    r"Forgotten your password", r"Have an account already\?", r"No account yet\?", r"Repeat the (new )?password",
    r"At least eight characters, with a capital", r"This is what you log in with", r"Your second factor\b(?! has)",
    r"Set up your second factor", r"[Aa]uthenticator application", r"Code by e-?mail",
    r"a stolen password is not enough to get in",
    r"Scan this with an authenticator application", r"Cannot scan it\?", r"One more step", r"Lost it\? One of",
    r"Never mind", r"Log in as somebody else", r"Keep them where you keep important papers", r"Make ten new codes",
    r"All earlier ones have stopped", r"Where you are logged in", r"End all the others", r"It becomes yours when you open it",
    r"Look among unwanted mail", r"chosen anew", r"The key or token is not valid", r"CSRF token is missing or not valid",
    r"You do not have the privileges", r"An unknown error occurred", r"Too many attempts; try again later",
    r"Go to the start page", r"Nobody was found", r"Give a password, or an e-?mail address", r"Look after users",
    r"As the administrator that the terminal names", r"Only whoever is logged in", r"Every page has a JSON twin",
    r"With a second factor, if you like", r"This is what would have been", r"What happened to accounts",
    r"and everything kept with it will be deleted", r"Logged in since", r"Somebody, hopefully you",
    r"you need do nothing", r"Nobody will ever ask you for it", r"Give it to nobody", r"no longer belongs to it",
    r"Give the second factor of a request", r"Forget what waits for", r"Have a link sent", r"End sessions of one's own",
    r"Read what happened", r"Prove an e-?mail address", r"How every JSON endpoint says no", r"How pages call this factor",
    r"In that room a login rests", r"It is made once, within its tries", r"do not use a limit up",
    r"told to the application by name, below", r"JWTs that are out until", r"whether there was mail to send",
    r"What counts once is taken", r"Leave the outbox and the dummy factors at home", r"is worth nothing as a cookie",
    r"come next; what they will need", r"Not noticing\.", r"Rewriting clients\.", r"nobody knowing who did it",
    r"how the house is laid out", r"puts its parts together", r"What it protects from", r"[Pp]rove your address",
    r"prove an address", r"Email address \(and", r"Sign in\b", r"Choose a new password</h1>", r"As the administrator that",
)  # fmt: skip
# What users read, and what names of the specification do not excuse.
READ = ("e-mail", "e-mails", "E-mail", "E-mails")
FOLDERS = ("src", "docs", "examples", "scripts")
SUFFIXES = {".py", ".md", ".jinja2", ".html", ".toml", ".yml", ".txt"}
# German and French have a hyphen there.
HAS_OTHER_LANGUAGES = "locale"


# Private names that say less than the term of the field. Read as names, so they may be words of a comment.
NAMES = frozenset(
    (
        "NOWHERE", "SessionFace", "Heard", "use_up", "Taken", "Visit", "pre2fa", "Pending", "password_mark", "login_mark",
        "rest_anew", "rests_on", "forced_user", "still_forced", "Ask", "Step", "KNOWNDEVICE", "known_device", "check_still_his",
        "moves_address", "address_of", "_Writing", "_unkept", "_both_have_proven", "makers", "headers_", "method_",
        "whose_password", "look_again", "page_visit", "spend", "_answers", "tell",
    )
)  # fmt: skip
MODULES = {"test_mended.py", "test_beyond.py", "_answers.py", "spend.py", "pending.py", "page_visit.py", "gate.py"}


def files() -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in SUFFIXES]
    found += [path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"]
    return [path for path in found if HAS_OTHER_LANGUAGES not in path.parts and "node_modules" not in path.parts]


def places(pattern: str) -> list[str]:
    """Where a phrase is, also where a line ends in the middle of it."""
    spread = re.compile(pattern.replace(" ", r"\s+(?:#\s*)?"))
    found = []
    for path in files():
        text = path.read_text("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, m.start()) + 1}" for m in spread.finditer(text)]
    return found


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_is_nowhere(phrase: str) -> None:
    assert places(phrase) == []


def names(path: Path) -> set[str]:
    """What a module calls something: names of its own, of arguments and of attributes."""
    with path.open("rb") as file:
        return {token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.NAME}


def test_private_names_are_terms_of_the_field() -> None:
    sources = [
        path for folder in ("src", "tests", "scripts", "examples") for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    sources = [path for path in sources if "node_modules" not in path.parts]
    assert {path.name for path in sources} & MODULES == set()
    found = {str(path.relative_to(ROOT)): sorted(names(path) & NAMES) for path in sources}
    assert {path: old for path, old in found.items() if old} == {}


def test_email_has_no_hyphen() -> None:
    assert places(r"\b[Ee]-mails?\b") == []


def test_a_phrase_is_found_across_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.texts.test_wording.ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("one\n\nNever\nmind\n")
    assert places("Never mind") == ["docs/page.md:3"]
