"""How often intervals held on public tables, by how far ahead: the table that ships, and the rows a forecast cites."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bayeslaw.core.errors import InputError
from bayeslaw.data.curves import needs_schedule
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import Fit
from bayeslaw.law.catalogue import load_model, models_folder
from bayeslaw.law.evaluate import used_inputs
from bayeslaw.law.spec import Spec

FILE = Path(__file__).parent / "track_record.csv"
EDGES = (0.0, 0.5, 1.0, 2.0, float("inf"))
"""Orders of magnitude beyond the data up to which each row reaches; the first is of targets inside their range."""
_SAME = 1e-6
"""A distance that exceeds an edge by less does not exceed it: rounding."""
_COUNTS, _NUMBERS = ("tables", "outcomes", "inside"), ("beyond", "up_to", "low", "high")


@dataclass(frozen=True)
class Row:
    """How often runs landed inside the 90 % interval, at some distance.

    Attributes
    ----------
    law : str
        A shipped law; empty for all with the same inputs together.
    inputs : str
        How many inputs, "1" or "2"; or "schedule".
    data : str
        "loss" or "pass@k".
    beyond, up_to : float
        Orders of magnitude beyond the rows that were fitted, more than the one, at most the other; both
        zero: inside their range.
    tables, outcomes, inside : int
        Tables, runs that they held out, runs inside; all zero where nothing was measured.
    low, high : float
        Central 90 % interval of the share inside, over tables.
    """

    law: str
    inputs: str
    data: str
    beyond: float
    up_to: float
    tables: int = 0
    outcomes: int = 0
    inside: int = 0
    low: float = 0.0
    high: float = 1.0


@cache
def track_record() -> tuple[Row, ...]:
    """Return the table that ships.

    Returns
    -------
    tuple of Row
        As ``tests/benchmarks/track_record.py`` measured them: each law as it ships, public tables, held-out
        runs beyond them.
    """
    return tuple(_row(line) for line in csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()))


def _row(line: dict[str, str]) -> Row:
    numbers = {n: int(line[n]) for n in _COUNTS} | {n: float(line[n]) for n in _NUMBERS}
    return Row(line["law"], line["inputs"], line["data"], **numbers)


def cited(fit: Fit | Mixture, orders: Sequence[float] | np.ndarray) -> list[Row]:
    """Return what is known of forecasts like these, near ones first.

    Parameters
    ----------
    fit : Fit or Mixture
    orders : sequence of float, shape (targets,)
        How many orders of magnitude they lie beyond the data.

    Returns
    -------
    list of Row
        One for each distance among the targets. A shipped law with its discrepancy has its own rows, one that
        was written by a user those of all laws with as many inputs; a mixture its own, if its laws were
        measured together. Point fits, independent errors and laws whose likelihood was changed have none: these
        rows count nothing.
    """
    spec = fit.spec if isinstance(fit, Fit) else next(iter(fit.fits.values())).spec
    law, inputs, data = _name(fit), inputs_of(spec), kind_of(spec)
    out = []
    for rank in sorted({int(np.searchsorted(EDGES, o - _SAME)) for o in orders}):
        beyond, up_to = EDGES[max(rank - 1, 0)], EDGES[rank]
        same = (
            row for row in track_record()
            if (row.law, row.inputs, row.data, row.beyond, row.up_to) == (law, inputs, data, beyond, up_to)
        )  # fmt: skip
        out.append(next(same, Row(law or "", inputs, data, beyond, up_to)))
    return out


def to_json(rows: Sequence[Row]) -> str:
    """Write rows as JSON, to travel in a dataset's attributes; a row without an upper end has null there."""
    return json.dumps([asdict(row) | ({} if row.up_to < EDGES[-1] else {"up_to": None}) for row in rows])


def from_json(text: str) -> list[Row]:
    """Read rows that `to_json` wrote."""
    return [
        Row(**row | {"up_to": EDGES[-1] if row["up_to"] is None else row["up_to"]})
        for row in json.loads(text)
    ]


def at_distance(rows: Sequence[Row], orders: float) -> Row:
    """Return the row of `cited` that speaks of one target.

    Parameters
    ----------
    rows : sequence of Row
    orders : float
        The target's distance, one of those that the rows were cited for.

    Returns
    -------
    Row
    """
    return next(row for row in rows if row.up_to >= orders - _SAME)


def kind_of(spec: Spec) -> str:
    """Return what a law's output is, as the table tells kinds of data apart."""
    return "pass@k" if spec.output.name == "neg_log_pass_at_k" else "loss"


def inputs_of(spec: Spec) -> str:
    """Return how many inputs a law has, as the table tells laws apart; those along a schedule stand alone."""
    if needs_schedule(spec):
        return "schedule"
    return str(len({spec.inputs[name].column for name in used_inputs(spec)}))


def _name(fit: Fit | Mixture) -> str | None:
    """Return the name under which rows are measured, "" for a user's own law; None where none can be."""
    if isinstance(fit, Mixture):
        return " + ".join(sorted(fit.fits))
    spec = fit.spec
    if not fit.is_posterior or spec.discrepancy is None:
        return None
    if spec.discrepancy.groups or spec.discrepancy.runs:  # measured without them
        return None
    shipped = _shipped(spec.name)
    if shipped is None or shipped.law.text != spec.law.text:
        return ""
    return spec.name if shipped.family == spec.family else None


@cache
def _shipped(name: str) -> Spec | None:
    """Return a law as it ships; None for a name of a user's own."""
    try:
        return load_model(name) if (models_folder() / f"{name}.toml").is_file() else None
    except InputError:
        return None
