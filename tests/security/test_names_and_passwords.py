"""Text that people type: passwords in either Unicode form, names that show what they are, codes as they are pasted."""

import unicodedata
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import argon2
import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossauth_backend import (
    CrossauthError,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    TotpAuthenticator,
    default_password_validator,
    default_user_validator,
)
from crossauth_backend.core.passwords import PasswordHasher
from crossauth_backend.core.text import clean_code, folded, normalize
from crossauth_backend.factors.password.rules import TOO_COMMON
from crossauth_backend.users.rules import MAX_USERNAME, username_problems, valid_email
from crossauth_fastapi.fastapi_users._passwords import Passwords
from crossauth_fastapi.fastapi_users.password import PasswordHelper
from tests.accounts import NEW, Browser, World, name_of
from tests.support import CHEAP, PASSWORD

COMPOSED = unicodedata.normalize("NFC", "Pässwörd1éé")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
CHEAPEST = CHEAP["argon2"]


# Passwords


@pytest.mark.parametrize(("chosen", "typed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_password_set_on_one_system_is_right_on_another(chosen: str, typed: str) -> None:
    assert chosen != typed
    world = World()
    with world.open() as url, Browser(url) as browser:
        answer = browser.call("/api/signup", username="alice", password=chosen, repeat_password=typed)
        assert answer.status_code == 200, "repeated on the other keyboard it is the same"
        browser.call("/api/logout")
        assert browser.log_in("alice", typed).status_code == 200
        same = browser.call("/api/changepassword", old_password=typed, new_password=chosen, repeat_password=chosen)
        assert "different from the old one" in same.text
        changed = browser.call("/api/changepassword", old_password=typed, new_password=NEW, repeat_password=NEW)
        assert changed.status_code == 200


@pytest.mark.parametrize(
    "make",
    [
        lambda p: argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(p),
        lambda p: bcrypt.hashpw(p.encode(), bcrypt.gensalt(4)).decode(),
    ],
    ids=["argon2", "bcrypt"],
)
async def test_a_hash_of_what_was_typed_decomposed_goes_on_working_and_is_replaced(make: Any) -> None:
    users = InMemoryUserStorage()
    factor = LocalPasswordAuthenticator(users, CHEAP)
    old = make(DECOMPOSED)
    user = await users.create_user({"username": "alice", "state": "active"}, {"password": old})
    with pytest.raises(CrossauthError):
        await factor.authenticate_user(user, {"password": old}, {"password": COMPOSED})
    await factor.authenticate_user(user, {"password": old}, {"password": DECOMPOSED})
    new = (await users.get_user_by_id(user.id)).secrets.password
    assert new != old, "replaced by a hash of the composed password"
    for form in (COMPOSED, DECOMPOSED):
        await factor.authenticate_user(user, {"password": new}, {"password": form})
    assert (await users.get_user_by_id(user.id)).secrets.password == new, "and left alone from then on"


class Foreign:
    """An application's own helper, which knows nothing of forms."""

    def __init__(self) -> None:
        self.argon2 = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

    def verify_and_update(self, password: str, hashed: str) -> tuple[bool, str | None]:
        try:
            return self.argon2.verify(hashed, password), None
        except argon2.exceptions.VerificationError:
            return False, None

    def hash(self, password: str) -> str:
        return self.argon2.hash(password)

    def generate(self) -> str:
        return "generated"


@pytest.mark.parametrize("helper", [PasswordHelper(PasswordHasher(CHEAPEST)), PasswordHelper(Foreign()), Foreign()])
async def test_the_routes_take_a_password_in_either_form_and_upgrade_old_hashes(helper: Any) -> None:
    manager: Any = type("Manager", (Passwords,), {"validate_password": None, "password_helper": helper})()
    new = await manager._hash(DECOMPOSED)
    assert (await manager._verify(COMPOSED, new))[0]
    assert (await manager._verify(DECOMPOSED, new))[0]
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(DECOMPOSED)
    assert await manager._verify(COMPOSED, old) == (False, None)
    correct, updated = await manager._verify(DECOMPOSED, old)
    assert correct
    assert updated is not None
    assert (await manager._verify(COMPOSED, updated))[0]
    assert not await manager.check_old_password(SimpleNamespace(hashed_password=old), COMPOSED)


def test_a_password_is_measured_composed() -> None:
    measured: list[str] = []
    users = InMemoryUserStorage()
    factor = LocalPasswordAuthenticator(
        users, {**CHEAP, "validate_password_fn": lambda p: measured.append(p["password"]) or []}
    )
    factor.validate_secrets({"password": DECOMPOSED})
    assert measured == [COMPOSED]
    seven = unicodedata.normalize("NFD", "Pä1éöüß")
    assert len(seven) > 8
    assert "Password must be at least 8 characters" in default_password_validator({"password": seven})


PASSPHRASES = [
    "correct horse battery staple",
    "верблюд горизонт лампа",
    "我喜歡喝熱騰騰的茶",
    "tr0ub4dor&3x",
    "ありがとう電車通り",
]
COMMON = [
    "password", "PASSWORD", "Password1", "passw0rd", "iloveyou!!", "123sunshine", "baseball", "Baseball2024!", "12345678",
    "87654321", "abcdefgh", "aaaaaaaa", "abcabcabcabc", "1212121212", "1234512345", "passwordpassword", "zaq12wsx", "Qwertyuiop",
]  # fmt: skip


@pytest.mark.parametrize("password", PASSPHRASES)
def test_what_a_password_is_composed_of_does_not_matter(password: str) -> None:
    assert default_password_validator({"password": password}) == []
    with World().open() as url, Browser(url) as browser:
        answer = browser.call(
            "/api/signup", username="alice", password=password, repeat_password=password, factor2="none"
        )
        assert answer.status_code == 200, answer.text
        assert browser.log_in(password=password).status_code == 200


@pytest.mark.parametrize("password", COMMON)
def test_a_password_that_is_tried_first_is_refused(password: str) -> None:
    assert default_password_validator({"password": password}) == [TOO_COMMON]


def test_a_common_password_is_refused_wherever_one_is_chosen() -> None:
    world = World(is_admin_fn=lambda user: user.username == "alice")
    new = {"new_password": "Password1", "repeat_password": "Password1"}
    with world.open() as url, Browser(url) as browser:
        common = browser.call(
            "/api/signup", username="alice", password="baseball", repeat_password="baseball", factor2="none"
        )
        browser.sign_up(factor2="none", user_email="alice@example.com")
        browser.call("/api/requestpasswordreset", email="alice@example.com")
        token = browser.link().rpartition("=")[2].rpartition("/")[2]
        refused = [
            common,
            browser.call("/api/changepassword", old_password=PASSWORD, **new),
            browser.call("/api/resetpassword", token=token, **new),
            browser.call("/admin/api/createuser", username="bob", password="Password1", repeat_password="Password1"),
            browser.call("/admin/api/changepassword/1", **new),
        ]
        assert [name_of(answer) for answer in refused] == ["PasswordFormat"] * len(refused)
        assert [answer.json()["errorMessage"] for answer in refused] == [TOO_COMMON] * len(refused)


async def test_nobody_costs_as_much_work_as_a_wrong_password_in_either_form(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    verify = argon2.PasswordHasher.verify
    monkeypatch.setattr(argon2.PasswordHasher, "verify", lambda *a: done.append("x") or verify(*a))
    hasher = PasswordHasher(CHEAPEST)
    encoded = await hasher.hash("another")
    counts = []
    for stored in (encoded, None):
        for password in (COMPOSED, DECOMPOSED):
            done.clear()
            assert await hasher.verify(password, stored) is False
            counts.append(len(done))
    assert counts == [1, 2, 1, 2]


@pytest.mark.parametrize("password", ["x" * 1_000_000, "\u0301\u0316" * 500_000, "\ud800" * 9, "a\x00b" * 5000])
async def test_what_no_password_can_be_is_refused_without_being_normalised(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = PasswordHasher(CHEAPEST)
    measured: list[int] = []
    real = unicodedata.normalize

    def counted(form: Any, text: str) -> str:
        measured.append(len(text))
        return real(form, text)

    monkeypatch.setattr(unicodedata, "normalize", counted)
    assert await hasher.verify(password, await hasher.hash("right")) is False
    with pytest.raises(CrossauthError) as e:
        await hasher.hash(password)
    assert e.value.code.name == "PasswordFormat"
    assert default_password_validator({"password": password})
    assert all(length <= 4096 for length in measured)


# Names

INVISIBLE = [
    "\u200b", "\u200e", "\u00ad", "\u2060", "\ufeff", "\U000e0041", "\u3164", "\u2800", "\u115f", "\u034f", "\u180e",
    "\ufe0f", "\uffa0", "\u200d", "\U0001d173", "\ue000",
]  # fmt: skip


@pytest.mark.parametrize("invisible", INVISIBLE, ids=[f"{ord(c):04x}" for c in INVISIBLE])
def test_a_name_with_characters_that_show_nothing_is_refused(invisible: str) -> None:
    for name in (f"root{invisible}", f"ro{invisible}ot", f"{invisible}root", invisible * 4):
        assert username_problems(name), name
        assert default_user_validator({"username": name})


@pytest.mark.parametrize("name", ["r\u043eot", "\u0430dmin", "\u03bfwner", "ad\u043cin@example.com", "pay_\u0440al"])
def test_a_name_that_mixes_alphabets_in_a_word_is_refused(name: str) -> None:
    assert username_problems(name) == ["Username must not mix letters of different alphabets in one word"]


@pytest.mark.parametrize(
    "name",
    [
        "root", "Zoë", "Иван Petrov", "иван@example.com", "иван@почта.com", "王小明", "alice王", "たろうtaro", "μαρία", "عمر",
        "o'neil", "x_1-2", "José María",
    ],
)  # fmt: skip
def test_names_of_people_are_accepted(name: str) -> None:
    assert username_problems(name) == []


def test_nobody_can_sign_up_under_a_name_that_looks_like_anothers() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("root")
        for name in ("root\u200b", "r\u043eot", "\u3164\u3164", "ro\U000e0041ot"):
            with Browser(url) as other:
                assert name_of(other.sign_up(name)) == "FormEntry", ascii(name)
        renamed = browser.call("/api/updateuser", username="r\u043eot")
        assert browser.who() == "root", renamed.text


async def test_a_stored_name_that_breaks_the_new_rules_keeps_working() -> None:
    world = World()
    old = "r\u043eo\u200bt"
    factor = LocalPasswordAuthenticator(world.users, CHEAP)
    secrets = {"password": await factor.create_password_for_storage("Correct1horse")}
    await world.users.create_user({"username": old, "state": "active", "email": "old@example.com"}, secrets)
    with world.open() as url, Browser(url) as browser:
        assert browser.log_in(old).status_code == 200
        changed = browser.call("/api/updateuser", user_phone="+441632960961")
        assert changed.status_code == 200, changed.text
        assert browser.who() == old


def old_normalize(value: str) -> str:
    """As names were normalised when the stored ones were made."""
    decomposed = unicodedata.normalize("NFKD", value.strip())
    return unicodedata.normalize("NFKD", "".join(c for c in decomposed if not unicodedata.combining(c)).casefold())


@given(st.text(max_size=30))
def test_names_are_found_as_they_were_stored(name: str) -> None:
    assert normalize(name) == old_normalize(name)


@pytest.mark.parametrize("unit", ["\u0301\u0316", "\u0f73", "e\u0301\u0316"])
def test_normalising_takes_time_in_proportion_to_the_length(unit: str) -> None:
    # Sorting marks by insertion would take minutes for this; no time is asserted, the test would not end.
    text = unit * 300_000
    assert len(normalize(text)) <= 300_000
    assert folded(text)


def test_a_name_or_address_that_is_too_long_is_refused_before_it_is_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> str:
        raise AssertionError("normalised")

    long = "e\u0301\u0316" * 32_000
    with monkeypatch.context() as m:
        m.setattr(unicodedata, "normalize", fail)
        assert username_problems(long) == [f"Username must be at most {MAX_USERNAME} characters"]
        with pytest.raises(CrossauthError):
            valid_email(f"{long}@example.com")
    world, asked = World(), []
    find = world.users.get_user_by

    async def counted(field: str, value: Any, options: Any = None) -> Any:
        asked.append(value)
        return await find(field, value, options)

    monkeypatch.setattr(world.users, "get_user_by", counted)
    with world.open() as url, Browser(url) as browser:
        for name in ("\u0301\u0316" * 12_000, "x" * 255):
            assert name_of(browser.log_in(name)) == "UsernameOrPasswordInvalid"
            assert name_of(browser.sign_up(name)) == "FormEntry"
    assert asked == [], "the storage is not asked, and nothing is hashed"


def test_a_name_that_grows_beyond_its_column_is_refused() -> None:
    assert username_problems("\ufdfa" * 200) == ["Username is too long"]


# Codes

PASTED = [
    "{a} {b}",
    "{a}\u00a0{b}",
    "{a}-{b}",
    "{a}\u2013{b}",
    " {a}{b}\r\n",
    "{a}\u2009{b}\u200b",
    "{a}\t{b}",
    "{a}\u2212{b}",
]


@pytest.mark.parametrize("shape", PASTED, ids=range(len(PASTED)))
def test_codes_are_taken_as_they_are_pasted(shape: str) -> None:
    world = World()

    def pasted(code: str) -> str:
        return shape.format(a=code[:3], b=code[3:])

    with world.open() as url, Browser(url) as browser:
        browser.sign_up("alice", factor2="none", user_email="alice@example.com")
        secret, codes = browser.add_totp(world)
        browser.call("/api/logout")
        browser.asked()
        assert browser.give(pasted(world.code(secret))).status_code == 200
        browser.call("/api/logout")
        browser.asked()
        assert browser.give(pasted(codes[0])).status_code == 200, "a recovery code in the same field"
        browser.call("/api/logout")
        browser.sign_up("bob", factor2="none", user_email="bob@example.com")
        browser.call("/api/changefactor2", factor2="email")
        assert browser.call("/api/configurefactor2", otp=pasted(browser.mailed_code())).status_code == 200


def test_full_width_digits_are_digits_and_nothing_else_becomes_a_code() -> None:
    assert clean_code("１２３\u3000４５６") == "123456"
    assert clean_code("12345a") == "12345a"
    assert clean_code("1" * 65) == ""
    assert clean_code("\u0301\u0316" * 30_000) == ""


# Labels of authenticator applications


@pytest.mark.parametrize(
    ("issuer", "username", "label"),
    [
        ("Shop: Example & Co", "a:b@example.com", "Shop Example & Co:a b@example.com"),
        ("Shop", "::", "Shop:-"),
        ("S\nhop", "alice", "S hop:alice"),
    ],
)
async def test_no_colon_is_inside_issuer_or_account_of_a_qr_code(issuer: str, username: str, label: str) -> None:
    world = World()
    factor = TotpAuthenticator(issuer)
    factor.attach(_services(world))
    prepared = await factor.prepare_configuration({"username": username})
    assert prepared is not None
    uri = urlsplit(prepared["userData"]["otpauthUri"])
    assert unquote(uri.path).lstrip("/") == label
    assert parse_qs(uri.query)["issuer"] == [label.partition(":")[0]]
    assert "%3A" not in uri.path.upper()


def _services(world: World) -> Any:
    manager = world.manager
    return SimpleNamespace(ring=manager.ring, clock=manager.session.clock)
