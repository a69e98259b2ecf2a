"""Every rule of `crossauth doctor` finds its mistake, and nothing where there is none."""

import re
from pathlib import Path

import pytest

from crossauth_fastapi.cli.doctor import git, rules_accounts, rules_parts, rules_site
from crossauth_fastapi.cli.doctor.command import RULES
from crossauth_fastapi.cli.doctor.rule import Rule, Severity, examine
from crossauth_fastapi.cli.doctor.snapshot import Snapshot, is_local_url, is_plain_http, origin_of
from tests.unit.cli.doctor_fixtures import FIXTURES, HTTPS, OTHER, RANDOM, client, session, store, variables

BY_ID = {rule.id: rule for rule in RULES}


def test_every_rule_has_a_bad_and_a_good_configuration() -> None:
    assert set(FIXTURES) == set(BY_ID)
    assert len(BY_ID) == len(RULES) >= 30
    assert (*rules_site.RULES, *rules_accounts.RULES, *rules_parts.RULES) == RULES


@pytest.mark.parametrize("id", sorted(BY_ID))
def test_a_rule_finds_its_mistake_and_nothing_else(id: str) -> None:
    bad, good = FIXTURES[id]
    found = list(BY_ID[id].check(bad))
    assert len(found) == 1
    assert list(BY_ID[id].check(good)) == []
    assert list(BY_ID[id].check(Snapshot())) == []
    assert not any(secret in found[0] for secret in (RANDOM, OTHER, "very-secret"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_says_what_is_wrong_why_and_how_to_fix_it(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id)
    assert not rule.title.endswith(".")
    assert rule.title[0].isupper()
    for text in (rule.why, rule.fix):
        assert text.endswith(".")
        assert len(text) > 20
    assert not re.search(
        r"\b(whoever|nobody|somebody|anew|e-mail|prove[ns]?)\b", f"{rule.title} {rule.why} {rule.fix}", re.I
    )


def test_findings_are_ordered_and_can_be_ignored() -> None:
    bad = session(options={"enable_admin_endpoints": True}, weak_passwords=("abc",))
    found = examine(bad, RULES)
    assert [f.rule.severity for f in found] == sorted((f.rule.severity for f in found), key=list(Severity).index)
    ids = {f.rule.id for f in found}
    assert {"password-rules-weak", "admin-factor2-impossible", "proxies-missing"} <= ids
    assert {f.rule.id for f in examine(bad, RULES, ["proxies-missing"])} == ids - {"proxies-missing"}
    told = found[0].to_dict()
    assert told["id"] in found[0].lines()[0]
    assert all(told.values())


def test_what_is_deployed() -> None:
    assert session(HTTPS).is_deployed
    assert client().is_deployed
    assert not session("http://localhost:8000").is_deployed
    assert not session(None).is_deployed
    assert store("memory").is_deployed


@pytest.mark.parametrize(
    ("url", "local", "plain", "origin"),
    [
        ("http://localhost:8000/x", True, False, "http://localhost:8000"),
        ("http://me@[::1]:80", True, False, "http://me@[::1]:80"),
        ("HTTP://Shop.acme.io", False, True, "http://shop.acme.io"),
        ("https://shop.acme.io", False, False, "https://shop.acme.io"),
        ("/account", False, False, ""),
    ],
)
def test_urls(url: str, local: bool, plain: bool, origin: str) -> None:
    assert (is_local_url(url), is_plain_http(url), origin_of(url)) == (local, plain, origin)


def test_a_secret_in_the_environment_and_in_the_options_is_said_once() -> None:
    weak = "changemechangemechangemechangeme"
    both = Snapshot(environment={"CROSSAUTH_SECRET": weak}, sessions=session(options={"secret": weak}).sessions)
    assert list(BY_ID["secret-weak"].check(both)) == ["CROSSAUTH_SECRET looks like an example or like typed text"]


def test_the_nearest_variable_is_named() -> None:
    (text,) = BY_ID["variable-misspelled"].check(variables(SITEURL=HTTPS))
    assert text == "CROSSAUTH_SITEURL is read by nothing; did you mean CROSSAUTH_SITE_URL?"


def test_wide_networks_of_either_version() -> None:
    for text, wide in (
        ("::/0", True),
        ("8.0.0.0/8", True),
        ("fd00::/8", False),
        ("192.168.0.0/16", False),
        ("8.8.8.8", False),
    ):
        found = list(BY_ID["proxies-too-wide"].check(session(options={"trusted_proxies": [text]})))
        assert bool(found) is wide, text


def test_files_in_the_index_of_a_repository(tmp_path: Path) -> None:
    inner = tmp_path / "app"
    inner.mkdir()
    assert git.tracked(inner, [".env"]) == set()
    (tmp_path / ".git").mkdir()
    assert git.tracked(inner, [".env"]) == set()
    entry = b"\x00\x08app/.env\x00\x00"
    (tmp_path / ".git" / "index").write_bytes(b"DIRC\0\0\0\x02" + bytes(62) + entry)
    assert git.tracked(inner, [".env", ".env.local"]) == {".env"}
    assert git.tracked(tmp_path, [".env"]) == set()
    # A worktree has its index elsewhere.
    other = tmp_path / "other"
    other.mkdir()
    (other / ".git").write_text("gitdir: ../.git\n")
    assert git.tracked(other, [".env"]) == set()
    (tmp_path / ".git" / "index").write_bytes(b"\x00\x04.env\x00")
    assert git.tracked(other, [".env"]) == {".env"}
    (other / ".git").write_bytes(b"\xff\xfe")
    assert git.tracked(other, [".env"]) == set()
