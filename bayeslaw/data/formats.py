"""List the formats of files that hold tables, and read a file in its own: a new one is a reader, and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bayeslaw.core.errors import InputError
from bayeslaw.data.comma_separated import read_comma_separated
from bayeslaw.data.frames import refuse_twins

_START = 16
"""How many bytes of a file are looked at to tell its format."""


@dataclass(frozen=True)
class Format:
    """A format of files that hold tables.

    Attributes
    ----------
    name : str
        What a message calls it.
    read : callable
        Takes the path and the file's first bytes, and returns a table.
    suffixes : tuple of str
        How its files end.
    mark : bytes
        How its files begin, whatever their names are; empty if that tells nothing.
    """

    name: str
    read: Callable[[Path, bytes], pd.DataFrame]
    suffixes: tuple[str, ...] = ()
    mark: bytes = b""


def read_file(path: Path) -> pd.DataFrame:
    """Read a file in its format, or say what it is instead.

    Parameters
    ----------
    path : path

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read.
    """
    kind = next((f for f in FORMATS if path.suffix.lower() in f.suffixes), FORMATS[-1])
    try:
        with path.open("rb") as file:
            start = file.read(_START)
        kind = next((f for f in FORMATS if f.mark and start.startswith(f.mark)), kind)
        return kind.read(path, start)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except InputError:
        raise
    except Exception as error:  # the readers raise many kinds; all mean the same to a user
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as {kind.name} ({reason}).") from None


def _read_parquet(path: Path, start: bytes) -> pd.DataFrame:
    import pyarrow.parquet as pq

    refuse_twins(pq.read_schema(path).names, str(path))
    return pd.read_parquet(path)


FORMATS = (
    Format("Parquet", _read_parquet, (".parquet", ".pq"), b"PAR1"),
    Format("CSV", read_comma_separated),
)
"""The last is taken where no other fits."""
