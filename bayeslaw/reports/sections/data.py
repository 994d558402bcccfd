"""Show the rows: columns, ranges, units, and what was left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.core.check import from_json
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.saving import data_hash
from bayeslaw.reports.cases import Case
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section, Table

_UNITS = {
    "params": "parameter", "tokens": "token", "compute": "FLOP", "gold_nll": "nat", "step": "optimiser step",
    "lr": "per step", "loss": "nat/token", "pass_at_k": "share", "n": "sample", "c": "sample", "k": "sample",
    "problems": "problem", "shared_by": "curve",
}  # fmt: skip
_MOST_LABELS, _LARGE = 4, 1e6


def data_section(content: Content) -> Section:
    """Show the rows: columns, ranges, units, and what was left out."""
    same: dict[str, list[Case]] = {}
    for case in content.fits:
        rows = case.fit.data.drop_vars("outlying", errors="ignore")
        same.setdefault(data_hash(rows), []).append(case)
    parts = []
    for group in same.values():
        fit = group[0].fit
        told = from_json(fit.data.attrs.get("checks", "[]"))
        left = "What was left out, and why, is said below." if told else "No row was left out."
        hashes = ", ".join(dict.fromkeys(c.fit.tree.attrs["data_hash"] for c in group))
        text = f"{fit.data.sizes['obs']} rows, {len(_columns(fit))} columns. {left} SHA-256 of the rows: {hashes}."
        parts.append(Section(
            ", ".join(c.name for c in group), (text,), (Table(_columns(fit), "Columns, with the range of their values."),),
            checks=tuple(told),
        ))  # fmt: skip
    return Section("Data", parts=tuple(parts))


def _columns(fit: Fit) -> pd.DataFrame:
    """Return one row per column: what it is, its unit and its range."""
    spec, data = fit.spec, fit.data
    meaning = {
        entry.column: f"input {entry.name}: {entry.meaning}" for entry in reversed(spec.inputs.values())
    }
    meaning |= {spec.output.name: "output", "sampling_error": "standard error of the output"}
    units = {spec.output.name: spec.output.unit, "sampling_error": spec.output.unit}
    units |= {entry.column: entry.unit for entry in spec.inputs.values()}
    rows = []
    for name, column in data.variables.items():
        if name == "obs" or column.dims != ("obs",):
            continue
        row: dict[str, Any] = {"column": name, "what": meaning.get(name, "")}
        if column.dtype.kind in "iufb":
            unit = units.get(name) or _UNITS.get(str(name), "–")
            rows.append({**row, "unit": unit, **_range(column.values.astype(float))})
        else:
            rows.append({**row, "unit": "label", "labels": _labels(column.values)})
    frame = pd.DataFrame(rows, dtype=object).set_index("column")
    return frame.assign(labels=frame["labels"].fillna("")) if "labels" in frame else frame


def _range(values: np.ndarray) -> dict[str, Any]:
    """Return lowest, median and highest value; whole numbers as such."""
    fine = values[np.isfinite(values)]
    ends = (fine.min(), np.median(fine), fine.max()) if len(fine) else (np.nan,) * 3
    whole = len(fine) and (fine == np.round(fine)).all() and np.abs(fine).max() < _LARGE
    shown = [int(v) if whole and v == round(v) else float(v) for v in ends]
    return dict(zip(("lowest", "median", "highest"), shown, strict=True))


def _labels(values: np.ndarray) -> str:
    found = list(dict.fromkeys(map(str, values)))
    more = f", … ({len(found)} in all)" if len(found) > _MOST_LABELS else ""
    return ", ".join(found[:_MOST_LABELS]) + more
