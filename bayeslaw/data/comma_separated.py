"""Read files of comma-separated columns, and name what is none."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bayeslaw.core.errors import InputError
from bayeslaw.data.frames import refuse_twins, spells_number

_COMPRESSED: dict[bytes, tuple[str, Callable]] = {
    b"\x1f\x8b": ("gzip", gzip.open), b"BZh91AY&SY": ("bz2", bz2.open), b"\xfd7zXZ\x00": ("xz", lzma.open),
}  # fmt: skip
# A file's first bytes, and what it is; none of these is text.
_OTHER = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save the sheet as CSV, or give what pandas.read_excel returns",
    b"\x89HDF": "an HDF5 or netCDF file, such as a fit: give the table that it came from",
    b"ARROW1": "a Feather file: give what pandas.read_feather returns",
    b"%PDF": "a PDF: give a table",
    b"\x28\xb5\x2f\xfd": "a compressed file (zstd): unpack it first",
}
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16",
}  # fmt: skip
_HEAD = 1 << 16
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def read_comma_separated(path: Path, start: bytes) -> pd.DataFrame:
    """Read a file of comma-separated columns, of which the first bytes are given."""
    said = next((name for mark, name in _OTHER.items() if start.startswith(mark)), None)
    if start.startswith(b"PK\x03\x04"):
        said = _zip_kind(path)
    if said is not None:
        raise _refusal(path, f"it is {said}")
    packed = next(((k, o) for mark, (k, o) in _COMPRESSED.items() if start.startswith(mark)), (None, open))
    with packed[1](path, "rb") as file:
        head = file.read(_HEAD)
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")
    try:
        _look_at(path, head.decode(encoding, errors="replace").lstrip("\ufeff"))
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Whole columns at once: types must not depend on where a chunk ends.
            return pd.read_csv(
                path, compression=packed[0], encoding=encoding, index_col=False, low_memory=False
            )
    except pd.errors.ParserWarning:
        raise _refusal(
            path,
            "a row has more values than the header has names; a comma inside a number (1,5 or 1,000) makes two of it",
        ) from None
    except UnicodeDecodeError:
        with packed[1](path, "rb") as file:
            raise _refusal(path, _not_utf8(file.read(), encoding)) from None


def _refusal(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: cannot be read as CSV: {reason}.")


def _zip_kind(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.startswith("xl/") or name == "content.xml" for name in names):
        return "a spreadsheet: save the sheet as CSV, or give what pandas.read_excel returns"
    return "a zip archive: unpack it first"


def _not_utf8(content: bytes, encoding: str) -> str:
    """Say which line is not in the encoding that was expected, and what it may be in."""
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        byte = f"0x{content[error.start]:02x}"
        return (
            f"line {line} holds the byte {byte}, which is not UTF-8; if it was saved as Latin-1 or Windows-1252, "
            "save it as UTF-8, or give what pandas.read_csv(…, encoding='latin-1') returns"
        )
    return "it is not UTF-8; save it as UTF-8"


def _look_at(path: Path, head: str) -> None:
    """Refuse a text whose first lines are no comma-separated columns under a header."""
    if "\x00" in head:
        raise _refusal(
            path, "it holds zero bytes, so it is no text, or UTF-16 without a mark; save it as UTF-8"
        )
    if re.match(r'\s*(\{|\[\s*[\[{"\d])', head):
        raise _refusal(
            path, "it looks like JSON; give what pandas.read_json returns (lines=True for JSON lines)"
        )
    lines = [line for line in head.splitlines() if line.strip()][:2]
    if not lines:
        return
    for sign, name in _DELIMITERS.items():
        counts = [re.sub(r'"[^"]*"', "", line).count(sign) for line in lines]
        if counts[0] > re.sub(r'"[^"]*"', "", lines[0]).count(",") and len(set(counts)) == 1:
            decimal = ", decimal=','" if len(lines) > 1 and re.search(r"\d,\d", lines[1]) else ""
            raise _refusal(
                path,
                f"{name} separate its columns, allowed: commas; give what pandas.read_csv(…, sep={sign!r}{decimal}) returns, "
                "or save it with commas" + (" and decimal points" if decimal else ""),
            )
    names = next(csv.reader(io.StringIO(lines[0])))
    words = [len(line.split()) for line in lines]
    if len(names) == 1 and len(lines) == 2 and words[0] == words[1] > 1 and "," not in lines[1]:
        raise _refusal(
            path,
            "spaces separate its columns, allowed: commas; give what pandas.read_csv(…, sep=r'\\s+') returns",
        )
    if all(spells_number(name) for name in names):
        raise _refusal(
            path,
            f"its first line holds values ({', '.join(names[:4])}), so its header is missing; put the columns' names above them",
        )
    refuse_twins(names, str(path))
