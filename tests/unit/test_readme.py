"""What the README and the examples promise, run as written."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.services.processes import kill, running
from tests.support import PASSWORD, SECRET, Client

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block() -> str:
    found = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_login_takes_fewer_than_fifteen_lines() -> None:
    assert len([line for line in block().splitlines() if line.strip()]) < 15


def test_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(block())
    with running(["-m", "uvicorn", "app:app"], tmp_path, {"CROSSAUTH_SECRET": SECRET}) as url, Client(url) as client:
        html = {"Accept": "text/html"}
        assert client.get("/orders", headers=html).headers["location"] == "/login?next=%2Forders"
        assert client.get("/orders").status_code == 401
        answer = client.submit("/signup", username="alice", password=PASSWORD, repeat_password=PASSWORD, next="/orders")
        assert (answer.status_code, answer.headers["location"]) == (303, "/orders")
        assert client.get("/orders").json() == {"orders of": "alice"}


def test_the_sample_is_short() -> None:
    assert len((ROOT / "examples" / "session_server.py").read_text().splitlines()) < 60


def test_the_sample_keeps_accounts_and_sessions_over_a_restart(tmp_path: Path) -> None:
    example = [str(ROOT / "examples" / "session_server.py")]
    with running(example, tmp_path) as url, Client(url) as client:
        client.sign_up()
        cookie = client.cookies["SESSIONID"]
    assert (tmp_path / "crossauth.db.secret").stat().st_mode & 0o077 == 0
    with running(example, tmp_path) as url, Client(url) as client:
        client.cookies.set("SESSIONID", cookie)
        assert client.get("/api/me").json()["username"] == "alice"
        assert client.get("/").status_code == 200
        assert "alice" in client.get("/account").text


def test_the_sample_runs_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    settings = {"CROSSAUTH_DATABASE_URL": postgres_url, "CROSSAUTH_SECRET": SECRET}
    with running([str(ROOT / "examples" / "session_server.py")], tmp_path, settings) as url, Client(url) as client:
        assert client.sign_up().json()["ok"] is True
        assert client.get("/api/me").json()["username"] == "alice"


def test_anything_not_on_localhost_needs_a_secret(tmp_path: Path) -> None:
    environment = {"CROSSAUTH_SITE_URL": "https://example.com", "PATH": ""}
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "session_server.py"], cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "CROSSAUTH_SECRET" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_two_workers_see_the_same_sessions(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(block())
    command = ["-m", "uvicorn", "app:app", "--workers", "2"]
    with running(command, tmp_path, {"CROSSAUTH_SECRET": SECRET}) as url, Client(url) as client:
        client.sign_up()
        cookie = {"Cookie": f"SESSIONID={client.cookies['SESSIONID']}"}
        for _ in range(30):
            # A new connection each time, so that both workers are asked.
            assert httpx2.get(f"{url}/orders", headers=cookie, trust_env=False).json() == {"orders of": "alice"}
        client.call("/api/logout")
        for _ in range(30):
            assert httpx2.get(f"{url}/orders", headers=cookie, trust_env=False).status_code == 401


@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_a_killed_server_loses_nothing_that_was_answered(tmp_path: Path, postgres_url: str, where: str) -> None:
    settings = {"CROSSAUTH_SECRET": SECRET}
    if where == "postgres":
        settings["CROSSAUTH_DATABASE_URL"] = postgres_url
    example, names = [str(ROOT / "examples" / "session_server.py")], []
    with running(example, tmp_path, settings) as url, Client(url) as client:
        for number in range(40):
            if number == 25:
                kill(url)
            try:
                if client.sign_up(f"user{number}").status_code == 200:
                    names.append(f"user{number}")
                client.cookies.clear()
            except httpx2.TransportError:
                break
    assert len(names) == 25
    with running(example, tmp_path, settings) as url, Client(url) as client:
        for name in (*names[:2], *names[-2:]):
            client.cookies.clear()
            assert client.log_in(name).json()["ok"] is True
        client.cookies.clear()
        assert client.sign_up("afterwards").status_code == 200


def test_four_workers_share_the_limits(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(block())
    command = ["-m", "uvicorn", "app:app", "--workers", "4"]
    with running(command, tmp_path, {"CROSSAUTH_SECRET": SECRET}) as url, Client(url) as client:
        # Not over the end of a quarter of an hour, where a new window begins.
        left = 900 - time.time() % 900
        time.sleep(left + 0.1 if left < 20 else 0)
        headers = {"X-CROSSAUTH-CSRF": client.token(), "Cookie": f"CSRFTOKEN={client.cookies['CSRFTOKEN']}"}
        body = {"username": "alice", "password": "Wrong1password"}

        def attempt(_: int) -> int:
            # A new connection each time, so that every worker is asked.
            return httpx2.post(f"{url}/api/login", json=body, headers=headers, trust_env=False, timeout=60).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(attempt, range(60)))
    assert (statuses.count(401), statuses.count(429)) == (20, 40)


ACCOUNTS = [str(ROOT / "examples" / "accounts.py")]


def test_the_accounts_sample_makes_the_administrator_it_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(ACCOUNTS, tmp_path, {"CROSSAUTH_ADMIN": f"root:{PASSWORD}"}) as url, Client(url) as client:
        assert client.log_in("root").json()["user"]["username"] == "root"
        assert client.get("/admin/api/selectuser").status_code == 200
        assert client.get("/").status_code == 200
        assert client.get("/outbox").status_code == 200
    output = "".join(capfd.readouterr())
    assert PASSWORD not in output
    with running(ACCOUNTS, tmp_path, {"CROSSAUTH_ADMIN": "root:Another1one"}) as url, Client(url) as client:
        assert client.log_in("root", "Another1one").status_code == 401, "an administrator who exists is left alone"


def test_the_accounts_sample_makes_up_an_administrator_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with running(ACCOUNTS, tmp_path) as url, Client(url) as client:
        printed = "".join(capfd.readouterr())
        found = re.search(r"\badmin\b.*?password (\S+)", printed, re.DOTALL)
        assert found is not None, printed
        assert client.log_in("admin", found.group(1)).json()["ok"] is True
    with running(ACCOUNTS, tmp_path) as url, Client(url) as client:
        assert found.group(1) not in "".join(capfd.readouterr())
        assert client.log_in("admin", found.group(1)).json()["ok"] is True


def test_the_accounts_sample_runs_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    settings = {
        "CROSSAUTH_DATABASE_URL": postgres_url,
        "CROSSAUTH_SECRET": SECRET,
        "CROSSAUTH_ADMIN": f"root:{PASSWORD}",
    }
    with running(ACCOUNTS, tmp_path, settings) as url, Client(url) as client:
        email = "alice@example.com"
        signed_up = client.sign_up(user_email=email, factor2="none").json()
        assert (signed_up["ok"], signed_up["emailVerificationNeeded"]) == (True, True)
        assert client.get("/api/outbox").json()[0]["to"] == email
        assert client.log_in("root").json()["ok"] is True
        names = [u["username"] for u in client.get("/admin/api/selectuser").json()["users"]]
        assert set(names) == {"root", "alice"}


@pytest.mark.parametrize("told", ["root", ":", "root:", ":password"])
def test_a_wrong_first_administrator_is_said_at_start_up(tmp_path: Path, told: str) -> None:
    environment = {**os.environ, "CROSSAUTH_ADMIN": told, "PORT": "1"}
    done = subprocess.run(
        [sys.executable, *ACCOUNTS], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "CROSSAUTH_ADMIN" in done.stderr


ROUTES = ROOT / "examples" / "fastapi_users_routes.py"


def test_the_routes_sample_is_a_whole_application_in_under_90_lines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(ROUTES.read_text().splitlines()) < 90
    arthur = {"email": "arthur@camelot.bt", "password": "guinevere"}
    form = {"username": arthur["email"], "password": arthur["password"]}
    with running([str(ROUTES)], tmp_path) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        assert "swagger" in client.get("/").text.lower()
        assert client.post("/auth/register", json=arthur).status_code == 201
        for name, hook in (
            ("request-verify-token", "verify your address"),
            ("forgot-password", "choose a new password"),
        ):
            assert client.post(f"/auth/{name}", json={"email": arthur["email"]}).status_code == 202
            token = _printed(capfd, hook)
            if name.startswith("request"):
                assert client.post("/auth/verify", json={"token": token}).json()["is_verified"] is True
            else:
                form["password"] = "merlin"
                body = {"token": token, "password": "merlin"}
                assert client.post("/auth/reset-password", json=body).status_code == 200
        answer = client.post("/auth/jwt/login", data=form).json()
        header = {"Authorization": f"Bearer {answer['access_token']}"}
        assert client.get("/hello", headers=header).json() == "Hello arthur@camelot.bt!"
        assert client.post("/auth/cookie/login", data=form).status_code == 204
        assert client.get("/users/me").json()["email"] == "arthur@camelot.bt", "by cookie"
        provider = client.get("/auth/github/authorize").json()["authorization_url"]
        assert provider.startswith("https://github.com/login/oauth/authorize?")
        stolen = {"Cookie": f"fastapiusersauth={client.cookies['fastapiusersauth']}"}
        assert client.post("/auth/cookie/logout").status_code == 200
        assert client.get("/hello", headers=stolen).status_code == 401, "the login has ended, not only the cookie"
    with running([str(ROUTES)], tmp_path) as url:
        assert httpx2.get(f"{url}/hello", headers=header, trust_env=False).status_code == 200, "over a restart"


def test_the_routes_sample_runs_on_the_database_it_is_given(tmp_path: Path, postgres_url: str) -> None:
    arthur = {"email": "arthur@camelot.bt", "password": "guinevere"}
    settings = {"CROSSAUTH_DATABASE_URL": postgres_url, "CROSSAUTH_SECRET": SECRET}
    with running([str(ROUTES)], tmp_path, settings) as url:
        assert httpx2.post(f"{url}/auth/register", json=arthur, trust_env=False).status_code == 201
    with running([str(ROUTES)], tmp_path, settings) as url:
        again = httpx2.post(f"{url}/auth/register", json=arthur, trust_env=False)
        assert again.json()["detail"] == "REGISTER_USER_ALREADY_EXISTS"
    assert not (tmp_path / "users.db").exists()


def _printed(capfd: pytest.CaptureFixture[str], hook: str) -> str:
    """The token that the sample prints instead of sending it; it does so after the answer."""
    printed, deadline = "", time.monotonic() + 20
    while (found := re.search(rf"{hook} with the token (\S+)", printed)) is None:
        assert time.monotonic() < deadline, printed
        time.sleep(0.05)
        printed += capfd.readouterr().out
    return found.group(1)
