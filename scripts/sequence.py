"""Sequence diagrams: reads the part of Mermaid's notation that scripts/sequences uses, draws it, and says it in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from picture import LINE, Picture

WIDTH: Final = 760
HEAD: Final = 172
EDGE: Final = 90
GAP: Final = 22
SELF: Final = 30
# The widest of the usual fonts, in pixels; a label that is narrower has more room around it.
NARROW, MIDDLE, WIDE = 5.5, 9.3, 14.0
MESSAGE: Final = re.compile(r"(\w+)(--?)>>(\w+): (.+)")
NOTE: Final = re.compile(r"Note over (\w+),(\w+): (.+)")
FRAME: Final = re.compile(r"(loop|alt|else) (.+)")
# A method and its path stay in one line where they can.
REQUEST: Final = re.compile(r"(?:GET|POST) \S+|\S+")
WORDS: Final = {"loop": "Repeat", "alt": "Either", "else": "Or"}


@dataclass(frozen=True)
class Message:
    """An arrow from a lifeline to another one, or to itself."""

    sender: str
    receiver: str
    text: str
    answer: bool


@dataclass(frozen=True)
class Note:
    """A box over the lifelines from one to another."""

    first: str
    last: str
    text: str


@dataclass(frozen=True)
class Frame:
    """The begin of a `loop` or `alt`, its `else`, or the `end`."""

    kind: str
    text: str = ""


class Sequence:
    """What a file says.

    Parameters:
        source: the text of the file.

    Raises:
        ValueError: a line of it is not understood, or names nobody.
    """

    def __init__(self, source: str) -> None:
        self.title = ""
        self.participants: dict[str, str] = {}
        self.parts: list[Message | Note | Frame] = []
        first, *lines = source.splitlines()
        if first != "sequenceDiagram":
            raise ValueError(first)
        for line in lines:
            self._read(line.strip())

    def _read(self, line: str) -> None:
        if line.startswith("accTitle: "):
            self.title = line.removeprefix("accTitle: ")
        elif line.startswith("participant "):
            key, _, name = line.removeprefix("participant ").partition(" as ")
            self.participants[key] = name.replace("<br/>", "\n")
        else:
            self.parts.append(self._part(line))

    def _part(self, line: str) -> Message | Note | Frame:
        if line == "end":
            return Frame("end")
        if match := FRAME.fullmatch(line):
            return Frame(match[1], match[2])
        if (match := MESSAGE.fullmatch(line)) and {match[1], match[3]} <= set(self.participants):
            return Message(match[1], match[3], match[4], match[2] == "--")
        if (match := NOTE.fullmatch(line)) and {match[1], match[2]} <= set(self.participants):
            return Note(match[1], match[2], match[3])
        raise ValueError(line)

    def name(self, key: str) -> str:
        """What a participant is called within a sentence."""
        name = self.participants[key].split("\n")[0]
        name = name if name.isupper() else name[0].lower() + name[1:]
        return name if name.startswith("your ") else f"the {name}"


def sentence(sequence: Sequence, part: Message | Note | Frame) -> str:
    """A part in words."""
    if isinstance(part, Frame):
        return f"{WORDS[part.kind]}, {part.text}:"
    if isinstance(part, Note):
        words = f"{sequence.name(part.first)} and {sequence.name(part.last)}"
    else:
        words = sequence.name(part.sender)
        if part.receiver != part.sender:
            words += f" {'answers' if part.answer else 'to'} {sequence.name(part.receiver)}"
    return f"{words[0].upper()}{words[1:]}: {part.text}"


def steps(sequence: Sequence) -> Iterator[str]:
    """All parts in words, as a numbered list of Markdown."""
    counts = [0]
    for part in sequence.parts:
        if isinstance(part, Frame) and part.kind in ("else", "end"):
            counts.pop()
            if part.kind == "end":
                continue
        counts[-1] += 1
        yield "    " * (len(counts) - 1) + f"{counts[-1]}. {sentence(sequence, part)}"
        if isinstance(part, Frame):
            counts.append(0)


def width(text: str) -> float:
    """How wide a text is at most, in pixels."""
    sizes = {**dict.fromkeys("fijlrtI .,;:'()[]/|-", NARROW), **dict.fromkeys("mwMW@%", WIDE)}
    return sum(sizes.get(letter, MIDDLE) for letter in text)


def filled(words: list[str], room: float) -> list[str]:
    """As many words a line as there is room for."""
    lines = words[:1]
    for word in words[1:]:
        longer = f"{lines[-1]} {word}"
        if width(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def wrapped(text: str, room: float) -> list[str]:
    """The lines of a label that has so much room: as few as can be, of about the same length.

    Raises:
        ValueError: there is a word that has no room.
    """
    words: list[str] = []
    for word in REQUEST.findall(text.replace("`", "")):
        words += [word] if width(word) <= room else word.split()
    longest = max(width(word) for word in words)
    if longest > room:
        raise ValueError(f"no room for {text}")
    lines = filled(words, room)
    while room > longest and len(even := filled(words, room)) == len(lines):
        lines, room = even, room - 5
    return lines


class Drawing:
    """Draws the parts from the top to the bottom."""

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        words = "\n".join(line.strip() for line in steps(sequence))
        self.picture = Picture(sequence.title, WIDTH, 0, description=words.replace("`", ""))
        self.step = (WIDTH - 2 * EDGE) / (len(sequence.participants) - 1)
        self.at = {key: EDGE + self.step * n for n, key in enumerate(sequence.participants)}
        self.y = 0.0
        self.open: list[float] = []

    def draw(self) -> Picture:
        """The whole picture."""
        top = self.heads(16)
        self.y = top
        for part in self.sequence.parts:
            self.y += GAP
            if isinstance(part, Message):
                self.message(part)
            elif isinstance(part, Note):
                self.note(part)
            else:
                self.frame(part)
        # Behind everything else.
        drawn, self.picture.parts = self.picture.parts, []
        for x in self.at.values():
            self.picture.line((x, top), (x, self.y + GAP), dashed=True)
        self.picture.parts += drawn
        self.picture.height = self.heads(self.y + GAP) + 16
        return self.picture

    def heads(self, y: float) -> float:
        """The names of the participants; returns where they end."""
        w = min(HEAD, self.step - 12)
        names = [name.split("\n") for name in self.sequence.participants.values()]
        most = max(map(len, names))
        h = LINE * most + 16
        for x, lines in zip(self.at.values(), names, strict=True):
            self.picture.parts.append(
                f'<rect class="box" x="{x - w / 2:g}" y="{y:g}" width="{w:g}" height="{h}" rx="8"/>'
            )
            for n, line in enumerate(lines):
                at = y + 24 + LINE * (n + (most - len(lines)) / 2)
                self.picture.text(x, at, line, "" if n else "bold", "middle")
        return y + h

    def label(self, x: float, lines: list[str], anchor: str = "middle") -> None:
        """Lines of text that hide the lifelines behind them; moves below them."""
        for line in lines:
            w = width(line)
            left = x - w / 2 if anchor == "middle" else x
            self.picture.parts.append(
                f'<rect class="page" x="{left - 3:g}" y="{self.y:g}" width="{w + 6:g}" height="{LINE}"/>'
            )
            self.picture.text(x, self.y + 16, line, "", anchor)
            self.y += LINE

    def message(self, part: Message) -> None:
        """An arrow with its label above it, or beside it where it comes back."""
        start, end = self.at[part.sender], self.at[part.receiver]
        if start == end:
            begin = self.y
            self.label(start + SELF + 10, wrapped(part.text, self.step - SELF - 26), "start")
            self.y = max(self.y, begin + 2 * LINE)
            far, low = start + SELF, self.y - 8
            self.picture.arrow((start, begin + 8), (far, begin + 8), (far, low), (start, low))
            return
        self.label((start + end) / 2, wrapped(part.text, abs(end - start) - 12))
        self.y += 5
        self.picture.arrow((start, self.y), (end, self.y), dashed=part.answer)

    def note(self, part: Note) -> None:
        """A box from one lifeline to another."""
        left, right = sorted((self.at[part.first], self.at[part.last]))
        self.y = self.picture.box(left - 40, self.y, right - left + 80, part.text, "ask")

    def frame(self, part: Frame) -> None:
        """What is repeated, or an alternative: a frame around it, drawn when its end is reached."""
        if part.kind in ("loop", "alt"):
            self.open.append(self.y)
            self.y += 2
        elif part.kind == "else":
            self.picture.line((10, self.y), (WIDTH - 10, self.y), dashed=True)
            self.y += 2
        if part.kind == "end":
            top = self.open.pop()
            self.picture.parts.append(
                f'<rect class="line" x="10" y="{top:g}" width="{WIDTH - 20}" height="{self.y - top:g}" rx="8"/>'
            )
            return
        self.picture.text(20, self.y + 16, part.kind, "bold")
        x = 20 + width(part.kind) + 12
        self.label(x, [part.text.replace("`", "")], "start")
        self.y -= GAP / 2


def drawing(sequence: Sequence) -> Picture:
    """The picture of a sequence."""
    return Drawing(sequence).draw()
