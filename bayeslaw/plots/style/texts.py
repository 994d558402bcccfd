"""Make texts fit: escape them, abridge them, and break them into lines as long as their place."""

from __future__ import annotations

import re

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

LETTER = 0.0083
"""Width of a letter in inches per point of its size: the font's mean, and a little."""


def plain(text: object) -> str:
    """Escape a user's text for a figure, where a dollar sign would open a formula."""
    return re.sub(r"(?<!\\)\$", r"\\$", str(text))


def abridged(text: str, length: int) -> str:
    """Cut a long text in its middle: names of runs tend to differ at their ends."""
    if len(text) <= length:
        return text
    return f"{text[: (length - 1) // 2]}…{text[-(length // 2) :]}"


def wrapped(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters, a long word behind what joins its parts."""
    lines = [""]
    for word in text.split(" "):
        gap = " " if lines[-1] else ""
        if len(lines[-1]) + len(gap) + len(word) <= width:
            lines[-1] += gap + word
            continue
        pieces = (
            [word] if len(word) <= width else re.findall(rf"[^_/^*·]{{1,{width - 1}}}[_/^*·]?|[_/^*·]", word)
        )
        for i, piece in enumerate(pieces):
            gap = " " if i == 0 and lines[-1] else ""
            if lines[-1] and (len(lines[-1]) + len(gap) + len(piece) > width or len(pieces) == 1):
                lines.append(piece)
            else:
                lines[-1] += gap + piece
    return "\n".join(lines)


def fitted(ax: Axes, text: str, which: str = "x", size: float = 9.0) -> str:
    """Break a text into lines no longer than the side of the panel at which it stands."""
    width, height = panel_inches(ax)
    side = width if which == "x" else 0.9 * height
    return wrapped(text, max(int(side / (LETTER * size)), 12))


def panel_inches(ax: Axes) -> tuple[float, float]:
    """Return the size of a panel before the layout, and before a scale of colours took its share."""
    figure, place = ax.get_figure(), ax.get_subplotspec()
    box = ax.get_position() if place is None else place.get_position(figure)
    return box.width * figure.get_figwidth(), box.height * figure.get_figheight()


def text_width(text: str, size: float) -> float:
    """Return how wide one line of text is, in inches."""
    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0] / 72
