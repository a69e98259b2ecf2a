"""Writes the list of common passwords from that of zxcvbn, which is to be installed where this runs: `pip install zxcvbn`."""

from importlib.metadata import distribution
from pathlib import Path

from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-not-found, unused-ignore]

LIST = Path(__file__).parents[1] / "src/crossauth_backend/factors/password/common_passwords.txt"
SHORTEST = 8


def main() -> None:
    """Keep those that the default rule would not refuse for being too short."""
    words = dict.fromkeys(word.casefold() for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST)
    origin = distribution("zxcvbn")
    (licence,) = [path for path in origin.files or () if path.name.startswith("LICENSE")]
    header = [
        f"The most common passwords of {SHORTEST} characters and more, from zxcvbn {origin.version}",
        "(https://github.com/dwolfhub/zxcvbn-python), under this license:",
        *str(licence.read_text()).splitlines(),
    ]
    comments = [f"# {line}".rstrip() for line in header]
    LIST.write_text("\n".join([*comments, *words, ""]), "utf-8")


if __name__ == "__main__":
    main()
