"""What the page about API keys shows, run as written."""

import re
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import SECRET
from tests.unit.api_keys.support import Keeper

PAGE = (Path(__file__).parents[3] / "docs" / "api_keys.md").read_text()


async def test_the_example_runs_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSAUTH_SECRET", SECRET)
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    keeper = Keeper()
    alice = await keeper.alice()
    scope: dict[str, Any] = {
        "key_storage": keeper.keys, "user_storage": keeper.users, "user": alice,
        "session": SimpleNamespace(stamp=alice.security_stamp),
    }  # fmt: skip
    exec(f"async def run():\n{indent(found.group(1), '    ')}\n    return found", scope)
    verified = await scope["run"]()
    assert (verified.user, verified.key.name, verified.key.scope) == (alice, "deploy script", ("read",))
    token = capsys.readouterr().out.strip()
    pattern = re.search(r"`(xa_\[.*?)`", PAGE)
    assert pattern is not None
    assert re.fullmatch(pattern.group(1), token)
    assert await keeper.manager.list_keys(alice.id) == []
