"""Who a request is made in the name of, where it carries several credentials."""

from itertools import permutations

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User
from crossauth_fastapi._middleware.identity import Identity, choose_principal

ALICE, BOB = (
    User(id=number, username=name, state="active", factor1="localpassword") for number, name in enumerate(("a", "b"), 1)
)
SESSION = Identity("cookie", ALICE)
ANONYMOUS = Identity("cookie")
TOKEN = Identity("oauth", BOB, scopes=("read",))
CLIENT = Identity("oauth", client_id="reports")
REFUSED = Identity(None, error=CrossauthError(ErrorCode.InvalidToken))
KEY = Identity("apiKey", BOB)
ID_TOKEN = Identity("oidc", BOB)


def chosen(**found: Identity) -> Identity | None:
    """The principal, which never depends on who was asked first."""
    answers = [choose_principal(dict(order)) for order in permutations(found.items())]
    assert all(answer is answers[0] for answer in answers)
    return answers[0]


def test_what_a_program_sends_counts_before_what_a_browser_adds() -> None:
    assert chosen(session=SESSION, bearer=TOKEN, api_key=KEY, id_token=ID_TOKEN) is TOKEN
    assert chosen(session=SESSION, api_key=KEY, id_token=ID_TOKEN) is KEY
    assert chosen(session=SESSION, id_token=ID_TOKEN) is SESSION
    assert chosen(session=SESSION, bearer=CLIENT) is CLIENT, "a client that acts for itself is somebody"


def test_an_anonymous_session_hides_nobody() -> None:
    assert chosen(session=ANONYMOUS, id_token=ID_TOKEN) is ID_TOKEN
    assert chosen(session=ANONYMOUS, bearer=TOKEN) is TOKEN
    assert chosen(session=ANONYMOUS) is ANONYMOUS
    assert chosen() is None


def test_a_refused_credential_never_falls_back_to_the_rights_of_another() -> None:
    assert chosen(session=SESSION, bearer=REFUSED) is REFUSED
    assert chosen(session=SESSION, api_key=REFUSED, id_token=ID_TOKEN) is REFUSED
