"""One self-contained HTML page: text, tables, figures and checks, everything escaped, nothing fetched."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.check import LEVELS, Check
from bayeslaw.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = "page.html.j2"
DIGITS = 4
_DPI = 130
_REM = 6.2
"""Page width of one inch of a figure, in rem, so that all figures' text has one size."""


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
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Picture, ...] = ()
    checks: tuple[Check, ...] = ()


def write_page(path: str | Path, title: str, sections: Iterable[Section]) -> Path:
    """Write a page, whole or not at all.

    Parameters
    ----------
    path : path
        Of the HTML file.
    title : str
    sections : iterable of Section

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    path = Path(path)
    write_text(path, render(title, sections))
    return path


def render(title: str, sections: Iterable[Section]) -> str:
    """Return a page's HTML.

    Parameters
    ----------
    title : str
    sections : iterable of Section

    Returns
    -------
    str
        Needs no other file and no network; fits a phone and prints.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from bayeslaw import __version__

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    footer = f"bayeslaw {__version__}. Intervals are central; every figure names its probability."
    laid_out = [_section(s) for s in sections]
    return environment.get_template(TEMPLATE).render(title=title, sections=laid_out, footer=footer)


def show(value: Any) -> str:
    """Write a table's value: numbers with four significant digits, whole numbers and text as they are.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return "–"
        if not 1e-3 <= abs(value) < 1e6:
            text = f"{value:.{DIGITS}g}"
            return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
        # Trailing zeros stay: the digits of a column are then equally many.
        return f"{value:.{max(0, DIGITS - 1 - int(np.floor(np.log10(abs(value)))))}f}"
    return str(value)


def _section(section: Section) -> dict[str, Any]:
    checks = sorted(section.checks, key=lambda c: -LEVELS.index(c.level))
    return {
        "title": section.title,
        "paragraphs": section.paragraphs,
        "tables": [_table(t) for t in section.tables],
        "figures": [_picture(p) for p in section.figures],
        "checks": checks,
    }


def _table(table: Table) -> dict[str, Any]:
    frame = table.frame
    columns = [(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    if not isinstance(frame.index, pd.RangeIndex):
        index = [frame.index.get_level_values(i) for i in range(frame.index.nlevels)]
        columns = [("" if level.name is None else str(level.name), level) for level in index] + columns
    head, cells = [], []
    for name, values in columns:
        number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        head.append({"text": name, "number": number})
        cells.append([{"text": show(v), "number": number} for v in values])
    return {"caption": table.caption, "head": head, "rows": list(zip(*cells, strict=True))}


def _picture(picture: Picture) -> dict[str, Any]:
    buffer = io.BytesIO()
    picture.figure.savefig(buffer, format="png", dpi=_DPI)
    png = base64.b64encode(buffer.getvalue()).decode("ascii")
    width = round(_REM * picture.figure.get_figwidth(), 1)
    return {"png": png, "alt": picture.alt, "caption": picture.caption, "width": width}
