"""Write one self-contained HTML page: text, tables, figures and checks, everything escaped, nothing fetched."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayeslaw.core.check import LEVELS
from bayeslaw.core.files import write_text
from bayeslaw.core.numbers import show
from bayeslaw.core.version import VERSION
from bayeslaw.reports.elements import Picture, Section, Table

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure


TEMPLATE, FRAGMENT = "page.html.j2", "fragment.html.j2"
_SHORT, _LONG = 18, 36
_DPI = 150
_COLOURS = 128
"""Of a figure's palette: enough for a dozen fans, and a third of the bytes of all colours."""
_REM = 6.2
"""Page width of one inch of a figure, in rem, so that all figures' text has one size."""
_CODE = re.compile(r"`([^`]+)`")
_OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


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
    return write_text(path, render(title, sections))


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
    footer = f"bayeslaw {VERSION}. Intervals are central; every figure names its probability."
    return _filled(TEMPLATE, title=title, sections=[_section(s) for s in sections], footer=footer)


def fragment(section: Section) -> str:
    """Return the HTML of one section by itself, for a notebook's cell.

    Parameters
    ----------
    section : Section

    Returns
    -------
    str
        Takes the colours of the page that it lands on; its style touches nothing else there.
    """
    return _filled(FRAGMENT, section=_section(section))


def _filled(template: str, **values: Any) -> str:
    """Fill in a template; all that is not markup is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"linked": linked, "wrapped": wrapped, "show": show}
    return environment.get_template(template).render(values)


def linked(text: str) -> Markup:
    """Escape text; papers that it names become links, and what stands between backticks code.

    Parameters
    ----------
    text : str

    Returns
    -------
    markupsafe.Markup
    """
    from markupsafe import Markup, escape

    safe = _CODE.sub(r"<code>\1</code>", str(escape(text)))
    return Markup(_ARXIV.sub(r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', safe))


def wrapped(code: str) -> Markup:
    """Escape a command, which a browser may break anywhere but within an option's name."""
    from markupsafe import Markup, escape

    return Markup(_OPTION.sub(r'<span class="option">\g<0></span>', str(escape(code))))


def _section(section: Section) -> dict[str, Any]:
    plain = ("title", "paragraphs", "status", "headlines", "lead", "items", "code")
    return {
        **{name: getattr(section, name) for name in plain},
        "tables": [_table(t) for t in section.tables],
        "figures": [_picture(p) for p in section.figures],
        "checks": sorted(section.checks, key=lambda c: -LEVELS.index(c.level)),
        "parts": [_section(part) for part in section.parts],
    }


def _table(table: Table) -> dict[str, Any]:
    frame = table.frame
    columns = [(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    named = 0
    if not isinstance(frame.index, pd.RangeIndex):
        index = [frame.index.get_level_values(i) for i in range(frame.index.nlevels)]
        columns = [("" if level.name is None else str(level.name), level) for level in index] + columns
        named = len(index)
    head, cells = [], []
    for i, (name, values) in enumerate(columns):
        texts = [show(v) for v in values]
        kind = "number" if texts and all(map(_numeric, texts)) else _width(texts)
        head.append({"text": name, "kind": kind})
        cells.append([{"text": text, "kind": kind, "head": i < named} for text in texts])
    return {"caption": table.caption, "head": head, "rows": list(zip(*cells, strict=True))}


def _numeric(text: str) -> bool:
    """Return whether a table's text is a number, or stands for one that is missing."""
    try:
        float(text)
    except ValueError:
        return text == "–"
    return True


def _width(texts: list[str]) -> str:
    """Say how a column of texts is set: on one line, as wide as prose, or as it comes."""
    longest = max(map(len, texts), default=0)
    return "short" if longest <= _SHORT else "long" if longest > _LONG else ""


def _picture(picture: Picture) -> dict[str, Any]:
    png = base64.b64encode(_png(picture.figure)).decode("ascii")
    width = round(_REM * picture.figure.get_figwidth(), 1)
    return {"png": png, "alt": picture.alt, "caption": picture.caption, "width": width}


def _png(figure: Figure) -> bytes:
    """Draw a figure as a small PNG."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(_COLOURS).save(small, format="png", optimize=True)
    return min(drawn.getvalue(), small.getvalue(), key=len)
