"""Open tables: read, rename and filter them, before a law takes from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bayeslaw.core.check import Check
from bayeslaw.data.columns import PASS_OUTPUTS, factors, rename_columns, with_compute
from bayeslaw.data.conditions import Condition, column_of, conditions
from bayeslaw.data.filters import keep
from bayeslaw.data.gold import COVARIATES as GOLD_COVARIATES
from bayeslaw.data.loading import load_frame
from bayeslaw.data.schema import refuse_missing


@dataclass(frozen=True)
class Opened:
    """A table, maybe with one to be joined, under our names.

    Attributes
    ----------
    frame : pandas.DataFrame
        The rows that are kept; ``compute`` is there, too, where it follows.
    other : pandas.DataFrame or None
        The table to be joined.
    rename : mapping of str to str
        All renames that were asked for.
    late : mapping of str to str
        Those of columns that follow from others, still to be made.
    conditions : list of Condition
        Those on columns that come later.
    derived : bool
        Whether compute follows from parameters and tokens: no table states it.
    checks : list of Check
    runs : frozenset of str
        All runs of the table, before conditions.
    """

    frame: pd.DataFrame
    other: pd.DataFrame | None
    rename: Mapping[str, str]
    late: Mapping[str, str]
    conditions: list[Condition]
    derived: bool
    checks: list[Check]
    runs: frozenset[str] = frozenset()

    @property
    def attrs(self) -> dict[str, str]:
        """What a dataset remembers of the renames, so that targets may have either name."""
        return {"renamed": json.dumps(dict(self.rename))} if self.rename else {}

    def stated(self, needed: Sequence[str]) -> list[str]:
        """Return the columns of tables behind those that a law needs: parameters and tokens for compute."""
        own = self.late.get("compute", "compute")
        if not self.derived or not {"compute", own} & set(needed):
            return list(needed)
        known = [*self.frame.columns, *(() if self.other is None else self.other.columns)]
        plain = [name for name in needed if name not in ("compute", own)]
        return list(dict.fromkeys([*plain, *(name for name in factors(known, self.rename) if name)]))


def open_tables(
    table: str | Path | pd.DataFrame,
    output: str,
    where: str | Iterable[str] | None,
    rename: Mapping[str, str] | None,
    join: str | Path | pd.DataFrame | None = None,
) -> Opened:
    """Read, rename and filter a table, and read the one that is to be joined.

    Parameters
    ----------
    table : path or pandas.DataFrame
    output : str
        The column that a law predicts.
    where, rename, join
        As in `bayeslaw.data.tables.read_table`.

    Returns
    -------
    Opened

    Raises
    ------
    InputError
    """
    frames = [load_frame(table)] + ([] if join is None else [load_frame(join, "joined table")])
    given = {name for frame in frames for name in frame.columns}
    frames, late = rename_columns(frames, rename, output)
    frame, other = frames[0], frames[1] if len(frames) > 1 else None
    rename = dict(rename or {})
    stated = "compute" in given or any("compute" in one for one in frames)
    wanted = conditions(where)
    about = {rename.get(c.column, c.column) for c in wanted} | {c.column for c in wanted}
    if not stated:
        frame = with_compute(frame, rename, asked=bool({"compute", rename.get("compute")} & about))
    later = _later(frame, other, late)
    early = [c for c in wanted if column_of(c, frame, rename) or not {c.column, rename.get(c.column)} & later]
    checks: list[Check] = []
    runs = frozenset(frame["run"].dropna().astype(str)) if "run" in frame else frozenset()
    frame = keep(frame, early, rename, checks)
    rest = [c for c in wanted if c not in early]
    return Opened(frame, other, rename, late, rest, not stated, checks, runs)


def _later(frame: pd.DataFrame, other: pd.DataFrame | None, late: Mapping[str, str]) -> set[str]:
    """Return the columns that are not there yet, but may come."""
    out = set(late) | set(late.values())
    if {"n", "c"} <= set(frame.columns) or "pass_at_k" in frame:
        out |= {*PASS_OUTPUTS, "sampling_error"}
    if other is not None:
        out |= {"compute", *GOLD_COVARIATES, *other.columns}
    return out


def refuse_gaps_in_counts(frame: pd.DataFrame, names: Iterable[str], needed: Iterable[str]) -> None:
    """Refuse missing values that would make problems' counts belong to no observation.

    Parameters
    ----------
    frame : pandas.DataFrame
    names : iterable of str
        Columns that name an observation.
    needed : iterable of str
        Columns of numbers that a law uses.

    Raises
    ------
    InputError
    """
    if {"n", "c"} <= set(frame.columns):
        refuse_missing(frame, [c for c in dict.fromkeys([*names, *needed]) if c in frame], "table of counts")
