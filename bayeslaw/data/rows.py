"""Keep the rows that a law can use, say which are left out and why, and lay them out as a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.check import Check, to_json
from bayeslaw.core.errors import InputError
from bayeslaw.core.labels import as_text, can_be_called, holds_numbers
from bayeslaw.data.tallies import row_names
from bayeslaw.law.spec import Spec


@dataclass
class Excluded:
    """Rows that a fit cannot use: how many, which, and why; and what else to know about the rows."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    known: list[Check] = field(default_factory=list)

    def add(self, labels: Iterable[str], reason: str) -> None:
        """Remember that these rows are left out for this reason."""
        self.rows += [(str(label), reason) for label in labels]

    def checks(self, level: str = "warn") -> list[Check]:
        """Return one check per reason, naming the rows."""
        reasons = dict.fromkeys(reason for _, reason in self.rows)
        out = []
        for reason in reasons:
            labels = [label for label, r in self.rows if r == reason]
            named = ", ".join(labels[:10]) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
            message = f"{len(labels)} row(s) not used: {reason}: {named}."
            out.append(Check("rows-not-used", level, float(len(labels)), message))
        return [*out, *self.known]


def check_positive_inputs(rows: pd.DataFrame, spec: Spec) -> None:
    """Refuse values of an input with a geometric-mean reference that are not positive."""
    for entry in spec.inputs.values():
        if entry.reference == "geometric-mean" and (bad := rows[entry.column] <= 0).any():
            row, value = rows.index[bad][0], rows.loc[bad, entry.column].iloc[0]
            raise InputError(
                f"table: column {entry.column!r}, row {row + 1}: found {value:g}, allowed: numbers greater than 0."
            )


def usable(rows: pd.DataFrame, spec: Spec, excluded: Excluded) -> pd.DataFrame:
    """Leave out rows whose output has no place on the scale of errors, and say which."""
    y, scale = rows[spec.output.name], spec.output.scale
    low = -np.inf if scale == "identity" else 0.0
    high = {"identity": np.inf, "log": np.inf, "logit": 1.0}[scale]
    fine = (y > low) & (y < high)
    labels = row_names(rows, spec)
    if spec.output.name == "neg_log_pass_at_k":
        excluded.add(
            labels[np.isinf(y)],
            "no success in any sample: −log pass@k is infinite (a count likelihood keeps such rows)",
        )
        excluded.add(labels[y <= 0], "every problem is solved: −log pass@k is 0, which has no logarithm")
    else:
        excluded.add(labels[~fine], f"{spec.output.name} has no value on the {scale} scale")
    if not fine.any():
        raise InputError(
            f"table: no row has a usable {spec.output.name}; the {scale} scale needs values in ({low:g}, {high:g})."
        )
    return rows[fine]


def to_dataset(rows: pd.DataFrame, spec: Spec, checks: list[Check], **attrs: str) -> xr.Dataset:
    """Lay checked rows out as a dataset with one dim, ``obs``.

    Parameters
    ----------
    rows : pandas.DataFrame
    spec : Spec
    checks : list of Check
        What to know about the data; travels in the attributes.
    **attrs : str
        Further attributes.

    Returns
    -------
    xarray.Dataset
        ``obs`` is the rows' index, where that tells them apart: their places in the table, as ``where`` counts them.
    """
    places = rows.index.to_numpy() if rows.index.is_unique else np.arange(len(rows))
    rows = rows.reset_index(drop=True)
    if "sampling_error" not in rows:
        rows = rows.assign(sampling_error=0.0)
    units = {i.column: i.unit for i in spec.inputs.values()} | {spec.output.name: spec.output.unit}
    units["sampling_error"] = spec.output.unit
    data = xr.Dataset(coords={"obs": places}, attrs={"checks": to_json(checks), **attrs})
    for name in (spec.output.name, *(i.column for i in spec.inputs.values() if i.function is None)):
        if not can_be_called(name):
            raise InputError(
                f"model '{spec.name}': no column can be called {name!r}, allowed: any text without '/' but 'obs' and "
                "'node'; give it another name in the model file, and here with rename={'theirs': 'ours'}."
            )
    for name in filter(can_be_called, rows.columns):
        if holds_numbers(rows[name]):
            data[name] = (
                "obs",
                rows[name].to_numpy(dtype=float, na_value=np.nan),
                {"units": units.get(name, "")},
            )
        else:
            data = data.assign_coords({name: ("obs", as_text(rows[name]))})
    return data
