"""The tutorial, followed word for word in an empty folder, in an environment with the built wheel."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from tests.docs.walk import Walk, walking
from tests.services.oidc import CLIENT_ID, CLIENT_SECRET, oidc_provider
from tests.services.postgres import PostgresServer
from tests.services.wheel import empty_environment
from tests.support import CSRF, PASSWORD, Client

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
STEPS = [
    "first_application", "routes_and_roles", "own_columns", "own_tables", "mail", "second_factor", "api_keys",
    "provider_login", "tests", "deployment",
]  # fmt: skip


def sign_up(walk: Walk, name: str, then: str) -> None:
    page = walk.browser.get(then, headers={"Accept": "text/html"}, follow_redirects=True)
    link = re.search(r'href="(/signup[^"]*)"', page.text)
    assert link is not None, page.text
    answer = walk.form(link[1].replace("&amp;", "&"), username=name, password=PASSWORD, repeat_password=PASSWORD)
    assert answer.url.path == then, answer.text
    walk.others[name] = walk.browser


def switch(walk: Walk, name: str) -> None:
    walk.browser = walk.others.setdefault(name, Client(walk.url))


def log_in(walk: Walk, name: str) -> None:
    answer = walk.form("/login", username=name, password=PASSWORD)
    assert walk.browser.who() == name, answer.text


def answers(walk: Walk, path: str, status: str) -> None:
    assert walk.browser.get(path).status_code == int(status)


def give_role(walk: Walk, name: str, role: str) -> None:
    found = walk.browser.get("/admin/selectuser").text
    row = re.search(rf"{name}.*?(/admin/updateuser/\d+)", found, re.DOTALL)
    assert row is not None, found
    answer = walk.form(row[1], user_role=role)
    assert answer.status_code == 200, answer.text


def set_company(walk: Walk, company: str) -> None:
    walk.form("/updateuser", user_company=company)
    assert walk.browser.get("/orders").json() == {"orders of": "alice", "company": company}


def migration_creates(walk: Walk, table: str) -> None:
    (written,) = (walk.folder / "migrations" / "versions").glob("*.py")
    upgrade = written.read_text().partition("def upgrade")[2].partition("def downgrade")[0]
    operations = [o for o in re.findall(r"op\.(\w+)\(\s*'?(\w+)", upgrade) if o[0] != "f"]
    assert {name for operation, name in operations if "table" in operation} == {table}, upgrade
    assert "drop" not in upgrade, upgrade


def order_without_token(walk: Walk) -> None:
    assert walk.browser.post("/orders?item=tea").status_code == 403


def order(walk: Walk, item: str) -> None:
    answer = walk.browser.post(f"/orders?item={item}", headers={CSRF: walk.browser.token()})
    assert (answer.status_code, answer.json()) == (201, item)
    assert item in walk.browser.get("/orders").json()


def delete_cascades(walk: Walk, name: str) -> None:
    before = walk.browser.get("/all-orders").json()
    with Client(walk.url) as client:
        client.sign_up(name)
        assert client.post("/orders?item=cake", headers={CSRF: client.token()}).status_code == 201
        assert walk.browser.get("/all-orders").json() == [*before, "cake"]
        assert client.call("/api/deleteuser", password=PASSWORD).json()["ok"] is True
    assert walk.browser.get("/all-orders").json() == before


def sign_up_unverified(walk: Walk, name: str, email: str) -> None:
    walk.form("/signup", username=name, password=PASSWORD, repeat_password=PASSWORD, user_email=email)
    assert walk.browser.who() is None


def verify_email(walk: Walk, name: str) -> None:
    walk.form(_link(walk, "/verifyemail/", f"{name}@example.com"))
    assert walk.browser.who() == name
    assert walk.browser.get("/orders").json() == []


def reset_password(walk: Walk, name: str, email: str, password: str) -> None:
    walk.browser.call("/api/logout")
    walk.form("/requestpasswordreset", email=email)
    walk.form(_link(walk, "/resetpassword", email), new_password=password, repeat_password=password)
    walk.browser.cookies.clear()
    walk.form("/login", username=name, password=password)
    assert walk.browser.who() == name


def set_up_totp(walk: Walk) -> None:
    walk.form("/changefactor2", factor2="totp")
    walk.totp_secret = walk.browser.get("/api/configurefactor2").json()["totpsecret"]
    done = walk.form("/configurefactor2", otp=pyotp.TOTP(walk.totp_secret).now())
    assert len(set(re.findall(r"\b\w{4,5}(?:-\w{4,5}){2,}", done.text))) == 10, done.text


def log_in_with_totp(walk: Walk, name: str) -> None:
    walk.browser.call("/api/logout")
    asked = walk.form("/login", username=name, password=PASSWORD)
    assert walk.browser.who() is None
    # Each code counts once, and the one of now was used for the set-up: the next one is taken early.
    walk.send(asked, otp=pyotp.TOTP(walk.totp_secret).at(int(time.time()) + 30))
    assert walk.browser.who() == name


def staff_without_factor2(walk: Walk, name: str) -> None:
    with Client(walk.url) as client:
        client.sign_up(name, user_email=f"{name}@example.com")
        token = _link(walk, "/verifyemail/", f"{name}@example.com").rpartition("/")[2]
        client.call("/api/verifyemail", token=token)
        assert client.who() == name
        assert client.get("/all-orders").status_code == 403


def create_api_key(walk: Walk, variable: str, scope: str) -> None:
    answer = walk.form("/apikeys", name="reader", **{f"scope_{scope}": "true"})
    token = re.search(r"xa_[0-9A-Za-z]{49}", answer.text)
    assert token is not None, answer.text
    walk.environment[variable] = token[0]


def revoke_api_keys(walk: Walk) -> None:
    assert walk.browser.call("/api/revokeapikey", all=True).json()["ok"] is True


def log_in_at_provider(walk: Walk, name: str) -> None:
    with Client(walk.url) as browser:
        away = browser.get("/openid/authzcodeflow").headers["location"]
        assert walk.provider is not None
        back = walk.provider.sign_in(away, name)
        answer = browser.get(back, follow_redirects=True)
        assert answer.url.path == "/orders", answer.text
        assert answer.json() == []


def _link(walk: Walk, path: str, to: str) -> str:
    """The newest link that begins with this path in a mail to this address; mail is made after the answer."""
    deadline = time.monotonic() + 20
    while True:
        mail = walk.browser.get("/api/outbox").json()
        texts = [entry["text"] for entry in mail if entry["to"] == to]
        links = re.findall(rf"{walk.url}({path}\S*)", "\n".join(texts))
        if links:
            return links[0]
        assert time.monotonic() < deadline, mail
        time.sleep(0.05)


ACTIONS = {
    f.__name__: f
    for f in (
        sign_up, switch, log_in, answers, give_role, set_company, migration_creates, order_without_token, order, delete_cascades,
        sign_up_unverified, verify_email, reset_password, set_up_totp, log_in_with_totp, staff_without_factor2,
        create_api_key, revoke_api_keys, log_in_at_provider,
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, wheel: Path, postgres: PostgresServer) -> Iterator[Walk]:
    """One folder for all steps, which build on each other."""
    python = empty_environment(tmp_path_factory.mktemp("environment"))
    with (
        walking(tmp_path_factory.mktemp("shop"), python, wheel, ACTIONS) as walk,
        oidc_provider(f"{walk.url}/openid/authzcode") as provider,
    ):
        walk.provider = provider
        walk.known |= {
            # The provider of the tests is on this machine.
            "crossauth doctor main:app": "crossauth doctor main:app --ignore provider-http",
            "postgresql://shop:password@localhost/shop": postgres.create_database(),
            "https://accounts.example.com": provider.url,
            "PROVIDER_CLIENT_ID=client": f"PROVIDER_CLIENT_ID={CLIENT_ID}",
            "PROVIDER_CLIENT_SECRET=secret": f'PROVIDER_CLIENT_SECRET="{CLIENT_SECRET}"',
        }
        yield walk


@pytest.mark.parametrize("step", STEPS)
def test_each_step_does_what_it_says(walk: Walk, step: str) -> None:
    walk.follow((DOCS / "tutorial" / f"{step}.md").read_text())
    assert "Traceback" not in walk.log(), walk.log()
