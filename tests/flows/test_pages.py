"""The pages: what they show, where they lead, and how an application puts its own in their place."""

import html
import re
from pathlib import Path

import pytest
from fastapi import Request, Response
from fastapi.testclient import TestClient

from crossauth_fastapi._pages.environment import PAGE_POLICY
from tests.accounts import Browser, World
from tests.support import PASSWORD, Client, make_server

PAGES = ["login", "signup", "changepassword", "updateuser", "deleteuser", "logout"]


def test_every_page_is_safe_to_show(client: Client) -> None:
    for name in ("login", "signup"):
        check(client, name)
    client.sign_up()
    for name in PAGES[1:]:
        check(client, name)


def check(client: Client, name: str) -> None:
    page = client.get(f"/{name}")
    assert page.status_code == 200, name
    assert page.headers["content-security-policy"] == PAGE_POLICY
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    for forbidden in ("<script>", "<style", "style=", "javascript:", " onclick=", " onload=", "data:"):
        assert forbidden not in page.text
    assert 'name="csrfToken" value="' in page.text


def test_the_stylesheet_is_there_and_may_be_kept(client: Client) -> None:
    page = client.get("/login").text
    url = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = client.get(url)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "evil",
        "/\t/evil.example", "/a\nb", "http:/evil", "///evil.example", "/" + "a" * 8000, "\u2028//evil",
    ],
)  # fmt: skip
def test_next_never_leads_to_another_site(client: Client, target: str) -> None:
    client.sign_up()
    assert client.get("/login", params={"next": target}).headers["location"] == "/"
    client.call("/api/logout")
    answer = client.submit("/login", username="alice", password=PASSWORD, next=target)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    answer = client.submit("/logout", next=target)
    assert answer.headers["location"] == "/"


def test_next_leads_to_a_page_of_this_site(client: Client) -> None:
    client.sign_up()
    client.call("/api/logout")
    answer = client.submit("/login", username="alice", password=PASSWORD, next="/orders?a=1&b=é#top")
    assert answer.headers["location"] == "/orders?a=1&b=%C3%A9#top"


def test_what_was_typed_is_shown_again_escaped_and_no_password_is(client: Client) -> None:
    evil = '"><script>alert(1)</script>'
    page = client.submit("/login", username=evil, password="Secret1password", next=f"/x{evil}")
    assert page.status_code == 401
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "Secret1password" not in page.text
    assert "Invalid username or password" in page.text
    page = client.submit("/signup", username="x", password="Secret1password", user_email=evil)
    assert page.status_code == 400
    assert "<script>" not in page.text
    assert "Secret1password" not in page.text


def test_a_user_name_is_escaped_everywhere(client: Client) -> None:
    client.sign_up("<b>&'\"bold")
    for name in PAGES[2:]:
        assert "<b>" not in client.get(f"/{name}").text


def test_pages_of_an_account_need_a_login(client: Client) -> None:
    for name in ("changepassword", "updateuser"):
        page = client.get(f"/{name}")
        assert page.status_code == 401
        assert f'href="/login?next=/{name}"' in page.text
    assert client.get("/deleteuser").headers["location"] == "/login?next=%2Fdeleteuser"


def test_a_page_without_a_form_sets_no_cookie(client: Client) -> None:
    assert "set-cookie" not in client.get("/changepassword").headers
    assert "set-cookie" in client.get("/login").headers


@pytest.mark.parametrize("name", ["login.njk", "login.jinja2", "login.html"])
def test_an_application_overrides_a_page(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Mine: {{ csrfToken }} {{ urlPrefix }} {{ errorMessage }} {{ next }}")
    server = make_server(template_dir=str(tmp_path))
    client = TestClient(server.app, base_url="https://testserver")
    page = client.get("/login?next=/<b>")
    assert page.text.startswith("Mine: ")
    assert "&lt;b&gt;" in page.text, "escaped whatever the file is called"
    assert "content-security-policy" not in page.headers, "its own page brings its own policy"
    assert page.headers["cache-control"] == "no-store"
    assert client.get("/signup").text.lower().startswith("<!doctype html>")


def test_the_configured_name_counts_first(tmp_path: Path) -> None:
    (tmp_path / "enter.html").write_text("configured")
    (tmp_path / "login.html").write_text("stem")
    server = make_server(template_dir=str(tmp_path), login_page="enter.html")
    assert TestClient(server.app, base_url="https://testserver").get("/login").text == "configured"


def test_a_page_of_the_application_gets_the_common_variables(tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("{{ user.username }} {{ urlPrefix }} {{ 'login' in endpoints }} {{ x }}")
    server = make_server(template_dir=str(tmp_path), prefix="auth")

    @server.app.get("/mine")
    async def mine(request: Request) -> Response:
        return server.render(request, "mine.html", {"x": "<"})

    @server.app.get("/templates")
    async def templates(request: Request) -> Response:
        return server.templates.TemplateResponse(request, "mine.html", {"x": "<"})

    client = TestClient(server.app, base_url="https://testserver")
    assert client.get("/mine").text == " /auth/ True &lt;"
    assert client.get("/templates").text == " /auth/ True &lt;"
    assert client.get("/auth/login").status_code == 200


def test_sign_up_in_pages(client: Client) -> None:
    answer = client.submit("/signup", username="alice", password=PASSWORD, repeat_password=PASSWORD, next="/maybe")
    assert (answer.status_code, answer.headers["location"]) == (303, "/maybe")
    assert client.get("/maybe").json() == {"username": "alice"}


def test_an_unticked_box_makes_a_cookie_that_ends_with_the_browser(client: Client) -> None:
    client.sign_up()
    client.call("/api/logout")

    def session_cookie(**fields: str) -> str:
        answer = client.submit("/login", username="alice", password=PASSWORD, **fields)
        found = [v for n, v in answer.headers.multi_items() if n == "set-cookie" and v.startswith("SESSIONID=")]
        client.call("/api/logout")
        return found[0].lower()

    assert "expires" not in session_cookie()
    assert "expires" in session_cookie(persist="on")


def test_the_error_page_says_what_went_wrong(client: Client) -> None:
    page = client.post("/login", content=b"x" * 100_000, headers={"Content-Type": "text/plain"})
    assert page.status_code == 413
    assert "larger than 64 KiB" in page.text


def shown_username(page: Response) -> str | None:
    """The account that a page names for the browser's password manager; it is not a field of the form."""
    found = re.search(r'<input[^>]*autocomplete="username"[^>]*>', str(page.text))  # type: ignore[attr-defined]
    if found is None:
        return None
    assert " readonly hidden" in found[0]
    assert "name=" not in found[0]
    return html.unescape(re.search(r'value="([^"]*)"', found[0])[1])  # type: ignore[index]


def test_forms_of_new_passwords_name_the_account_for_a_password_manager() -> None:
    """Whose password it is; on the page of a link only to whoever holds a good token."""
    name, email = 'al"ice', "alice@example.com"
    world = World(is_admin_fn=lambda user: user.username == "root")
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(name, factor2="none", user_email=email)
        assert shown_username(browser.get("/changepassword")) == name
        wrong = browser.submit(
            "/changepassword", old_password="Wrong1wrong", new_password=PASSWORD, repeat_password=PASSWORD
        )
        assert shown_username(wrong) == name
        browser.call("/api/logout")
        browser.call("/api/requestpasswordreset", email=email)
        link = browser.link(email)
        assert shown_username(browser.get(link)) == name
        assert shown_username(browser.get(f"{link}x")) is None
        token = re.split("[/=]", link)[-1]
        weak = browser.submit("/resetpassword", token=token, new_password="x", repeat_password="x")
        assert (weak.status_code, shown_username(weak)) == (400, name)
        bad = browser.submit("/resetpassword", token=f"{token}x", new_password="x", repeat_password="x")
        assert (bad.status_code >= 400, shown_username(bad)) == (True, None)
        assert name not in html.unescape(bad.text)
        browser.sign_up("root", factor2="none", user_email="root@example.com")
        assert shown_username(browser.get("/admin/changepassword/1")) == name


def test_the_well_known_page_is_only_where_there_is_one_and_the_applications_own_comes_first() -> None:
    path = "/.well-known/change-password"
    without = make_server(endpoints=["login", "logout"])
    assert TestClient(without.app, base_url="https://testserver").get(path).status_code == 404
    server = make_server()

    @server.app.get(path)
    async def mine() -> dict[str, str]:
        return {"mine": "yes"}

    client = TestClient(server.app, base_url="https://testserver")
    assert client.get(path).json() == {"mine": "yes"}
    other = TestClient(make_server().app, base_url="https://testserver", follow_redirects=False)
    assert other.get(path).headers["location"] == "/changepassword"
    assert other.head(path).status_code == 302
    assert other.post(path).status_code == 404
