"""Which files of a folder git has, read from its index, without running git: a repository may configure what git runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

_MOST_BYTES: Final = 100_000_000
_WORKTREE: Final = "gitdir:"


def tracked(folder: Path, names: Iterable[str]) -> set[str]:
    """Those of the files `names` of `folder` that are in the index; none where there is no repository.

    An index of version 4, which git writes only where it was told to, is not read.

    Parameters:
        folder: where the files are.
        names: their names.
    """
    folder = folder.resolve()
    for root in (folder, *folder.parents):
        index = _index(root / ".git")
        if index is not None:
            inner = folder.relative_to(root)
            return {name for name in names if _has(index, (inner / name).as_posix())}
    return set()


def _index(git: Path) -> bytes | None:
    """The index of a repository; empty where nothing was added yet, and `None` where there is no repository."""
    try:
        if git.is_file():
            told = git.read_text()
            if not told.startswith(_WORKTREE):
                return None
            git = git.parent / told.removeprefix(_WORKTREE).strip()
        if not git.is_dir():
            return None
        index = git / "index"
        return index.read_bytes() if index.is_file() and index.stat().st_size < _MOST_BYTES else b""
    except (OSError, UnicodeDecodeError):
        return None


def _has(index: bytes, path: str) -> bool:
    """Whether the index has an entry of this path: two bytes with its length, the path, and a zero."""
    name = path.encode()
    return len(name).to_bytes(2) + name + b"\0" in index
