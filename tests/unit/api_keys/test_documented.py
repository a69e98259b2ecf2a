"""What the page about API keys shows, run as written."""

import re
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from crossauth_backend import ApiKeyManager, RequestedBy
from tests.support import SECRET
from tests.unit.api_keys.support import Keeper

PAGE = (Path(__file__).parents[3] / "docs" / "api_keys.md").read_text()


async def test_the_example_runs_as_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = re.search(r"```python\n(manager = .*?)```", PAGE, re.DOTALL)
    assert found is not None
    keeper = Keeper()
    alice = await keeper.alice()
    scope: dict[str, Any] = {
        "key_storage": keeper.keys, "user_storage": keeper.users, "user": alice, "secret": SECRET,
        "ApiKeyManager": ApiKeyManager, "RequestedBy": RequestedBy,
    }  # fmt: skip
    exec(f"async def run():\n{indent(found.group(1), '    ')}\n    return found", scope)
    verified = await scope["run"]()
    assert (verified.user, verified.key.name, verified.key.scope) == (alice, "deploy script", ("read",))
    token = capsys.readouterr().out.strip()
    pattern = re.search(r"`(xa_\[.*?)`", PAGE)
    assert pattern is not None
    assert re.fullmatch(pattern.group(1), token)
    assert await keeper.manager.list_keys(alice.id) == []
