"""Compiles the translations, `.po` to `.mo`: the build hook of the wheel, of editable installs too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LOCALES: Final = "src/crossauth_backend/locale"


class CompileTexts(BuildHookInterface[Any]):
    """Writes each compiled catalogue beside its source, where the wheel takes it from."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files of the wheel are collected."""
        if self.target_name == "wheel":
            compile_all(Path(self.root) / LOCALES)


def compile_all(folder: Path) -> list[Path]:
    """Compile every catalogue in `folder`, and return what was written.

    Parameters:
        folder: has `{language}/LC_MESSAGES/crossauth.po`.
    """
    written = []
    for source in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        with source.open("rb") as read, target.open("wb") as write:
            write_mo(write, read_po(read))
        written.append(target)
    return written
