"""Define what a page is made of: sections with text, tables, figures, numbers, code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from bayeslaw.core.check import Check

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """A table with a caption.

    Attributes
    ----------
    frame : pandas.DataFrame
        Its index is shown as the first columns, unless it only counts rows.
    caption : str
    """

    frame: pd.DataFrame
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure with what it shows in words.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What a reader who cannot see it must know.
    caption : str
    """

    figure: Figure
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Headline:
    """A number that a reader must not miss.

    Attributes
    ----------
    label : str
        What it is of.
    value : str
        With its unit.
    interval : str
    note : str
    """

    label: str
    value: str
    interval: str = ""
    note: str = ""


@dataclass(frozen=True)
class Code:
    """Text that is shown as it is: commands, or a file.

    Attributes
    ----------
    text : str
    caption : str
    folded : bool
        Whether a reader has to unfold it; on paper it is unfolded.
    """

    text: str
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of a page; all text is plain text.

    Attributes
    ----------
    title : str
    paragraphs : tuple of str
    tables : tuple of Table
    figures : tuple of Picture
    checks : tuple of Check
        Shown gravest first.
    status : tuple of (str, str), optional
        A check's level and one sentence, shown first.
    headlines : tuple of Headline
    lead : tuple of str
        What to take from the headlines, set apart below them.
    items : tuple of str
        A list, below the paragraphs.
    code : tuple of Code
    parts : tuple of Section
        Shown last, one level down.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Picture, ...] = ()
    checks: tuple[Check, ...] = ()
    status: tuple[str, str] | None = None
    headlines: tuple[Headline, ...] = ()
    lead: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    code: tuple[Code, ...] = ()
    parts: tuple[Section, ...] = ()
