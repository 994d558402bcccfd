"""Which group a forecast is of, where parameters are pooled over groups: named, seen, or new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayeslaw.core.errors import InputError, did_you_mean
from bayeslaw.data.curves import needs_schedule
from bayeslaw.inference.fit import Fit
from bayeslaw.law.spec import Spec

_SHOWN = 5


def schedule_groups(spec: Spec) -> tuple[str, ...]:
    """Return the columns that name the group of a run along a schedule; a new schedule is a new run."""
    within = spec.discrepancy.within if spec.discrepancy else None
    return tuple(c for c in spec.group_columns if c not in ("run", within))


def seen_groups(fit: Fit, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the combinations of labels that the fit's rows have, each once, in the order of the table."""
    data = fit.data
    labels = (data[c].values.astype(str).tolist() for c in columns)
    return list(dict.fromkeys(zip(*labels, strict=True)))


def named_group(specs: Sequence[Spec], group: Mapping[str, str] | None) -> dict[str, str]:
    """Return the label of a run's group in each column.

    Parameters
    ----------
    specs : sequence of Spec
        The laws of a mixture, or one law; along a schedule.
    group : mapping of str to str, or None
        As of `forecast`.

    Returns
    -------
    dict of str to str

    Raises
    ------
    InputError
        If no parameter is pooled over a column that is named, or a label is no text.
    """
    if group is None:
        return {}
    known = list(dict.fromkeys(column for spec in specs for column in schedule_groups(spec)))
    if not known:
        raise InputError(
            f"group: the law '{specs[0].name}' pools no parameter over groups of runs; leave it out."
        )
    if not isinstance(group, Mapping):
        raise InputError(f"group: found {group!r}, allowed: a label for each column, {{'{known[0]}': '…'}}.")
    for column, label in group.items():
        if column not in known:
            raise InputError(f"group: no parameter is pooled over {column!r}{did_you_mean(column, known)}")
        if not isinstance(label, str):
            raise InputError(
                f"group: {column} = {label!r}, allowed: one label, a text; all steps are of one run."
            )
    return dict(group)


def check_groups(fit: Fit, inputs: Mapping[str, np.ndarray], new_group: bool) -> None:
    """Refuse groups that were not seen, and forecasts that name none, unless a new group is meant.

    Parameters
    ----------
    fit : Fit
    inputs : mapping of str to numpy.ndarray, shape (targets,)
        Holds the labels of the columns that were named.
    new_group : bool

    Raises
    ------
    InputError
    """
    along = needs_schedule(fit.spec)
    for columns in fit.spec.pool_columns.values():
        if along and not set(columns) <= set(schedule_groups(fit.spec)):
            continue  # each run is a group, and a new schedule a new one
        missing = [c for c in columns if c not in inputs]
        if new_group and len(missing) in (0, len(columns)):
            continue
        seen = seen_groups(fit, columns)
        if missing:
            raise _unnamed(columns, missing, seen, along, new_group)
        labels = (np.asarray(inputs[c]).tolist() for c in columns)
        for row in dict.fromkeys(zip(*labels, strict=True)):
            if row not in seen:
                raise _unseen(columns, row, seen, "group" if along else "targets")
    _check_runs(fit, inputs, new_group)


def _check_runs(fit: Fit, inputs: Mapping[str, np.ndarray], new_group: bool) -> None:
    """Refuse a run that was not seen, which may be a slip: a new one has no name, or is asked for."""
    runs = fit.spec.discrepancy.runs if fit.spec.discrepancy else None
    if runs is None or runs not in inputs or new_group:
        return
    known = list(dict.fromkeys(fit.data[runs].values.astype(str).tolist()))
    for label in np.asarray(inputs[runs]).astype(str).tolist():
        if label not in known:
            raise InputError(
                f"targets: no {runs} {label!r} in the data{did_you_mean(label, known)} For a new one leave {runs!r} out, or "
                "new_group=True / --new-group."
            )


def _unnamed(
    columns: Sequence[str], missing: list[str], seen: list[tuple[str, ...]], along: bool, new_group: bool
) -> InputError:
    """Say how targets or a schedule name their group."""
    where = "group" if along else "targets"
    if new_group:
        given = ", ".join(c for c in columns if c not in missing)
        return InputError(
            f"{where}: found {given} without {', '.join(missing)}, which name a group together; give all of them, or "
            "none for a new one."
        )
    named = [f"a {c} ({_listed([row[columns.index(c)] for row in seen])})" for c in missing]
    how = ""
    if along:
        example = dict(zip(columns, seen[-1], strict=True))
        text = " ".join(f"--group {c}={v}" for c, v in example.items())
        how = f" with group={example!r} / {text}"
    return InputError(
        f"{where}: name {' and '.join(named)}{how}, or ask for a new one with new_group=True / --new-group."
    )


def _unseen(
    columns: Sequence[str], row: tuple[str, ...], seen: list[tuple[str, ...]], where: str
) -> InputError:
    """Say which label, or which combination of labels, the data lack."""
    fresh = "For a new one: new_group=True / --new-group."
    for i, (column, label) in enumerate(zip(columns, row, strict=True)):
        known = list(dict.fromkeys(one[i] for one in seen))
        if label not in known:
            hint = did_you_mean(label, known)
            return InputError(f"{where}: no {column} {label!r} in the data{hint} {fresh}")
    told = " and ".join(f"{c} {v!r}" for c, v in zip(columns, row, strict=True))
    there = _listed([" with ".join(one) for one in seen])
    return InputError(f"{where}: no row of the data has both {told}; the groups are {there}. {fresh}")


def _listed(labels: Sequence[str]) -> str:
    labels = list(dict.fromkeys(labels))
    return ", ".join(labels[:_SHOWN]) + (", …" if len(labels) > _SHOWN else "")
