"""How well a measured run is measured: the sampling error of pass@k that a table's usual evaluation has, at any value.

Of these problems a row's pass@k varies with the samples alone, and its variance goes as

    V = φ · p (1 − p) / N,  N = samples per problem × problems.

Successes that are rare are Poisson, so that φ is the same for all small p: 1 at k = 1, and up to k beyond. Toward
p = 1 it falls, the more the problems differ and the larger k is: log φ is taken as a straight line in log(1 − p),
fitted to the table's own errors, its slope held near what such tables have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.core.errors import InputError, check_whole, shown
from bayeslaw.core.numbers import short
from bayeslaw.data.columns import PASS_OUTPUTS
from bayeslaw.data.pass_at_k import MOST_K
from bayeslaw.data.tallies import PROBLEMS, SAMPLES
from bayeslaw.forecasts.mixture import Mixture, members
from bayeslaw.forecasts.targets import states_error
from bayeslaw.inference.fit import Fit
from bayeslaw.law.spec import Spec

USUAL = "usual"
"""What `samples` is by default: as many as the table's rows usually have."""
_SLOPE, _SLOPE_SD = 0.5, 0.7
_SCATTER = 0.3
"""How far the log variances of a table's rows lie around such a line: they are estimates themselves."""
_BETWEEN = 1.0
"""How far log φ lies apart between groups, as of benchmarks whose size the table does not say."""
_ONE_SUCCESS = 1.0
"""The largest relative error that a usable row has: that of a single success."""
_TINY = 1e-12


@dataclass(frozen=True)
class Evaluation:
    """How a run is measured, and how far off that is at any value of the output.

    Attributes
    ----------
    output : str
        ``pass_at_k`` or ``neg_log_pass_at_k``: what the output is, whatever it is called.
    level : float
        log of φ / N where pass@k is small.
    slope : float
        Of log φ over log(1 − pass@k).
    counts : bool
        Whether rows are binomial counts: then exp(−level) is the number of samples.
    columns : tuple of str
        The columns of groups.
    levels : mapping of tuple of str to float
        The level of each group that was seen, by its labels in the order of `columns`.
    told : str
        In words, for texts beside a forecast.
    """

    output: str
    level: float
    slope: float
    counts: bool
    columns: tuple[str, ...] = ()
    levels: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    told: str = ""

    def applied(self, columns: Mapping[str, np.ndarray], values: np.ndarray) -> dict[str, np.ndarray]:
        """Return the columns of targets with the error of their measurement.

        Parameters
        ----------
        columns : mapping of str to numpy.ndarray, shape (targets,)
        values : numpy.ndarray, shape (targets,)
            The output that is forecast, in its own unit.

        Returns
        -------
        dict of str to numpy.ndarray
            ``sampling_error`` in the output's unit; of counts also ``n``.
        """
        level = self._level(columns, len(values))
        out = {**columns, "sampling_error": self.error(values, level)}
        return out | ({"n": np.maximum(np.rint(np.exp(-level)), 1.0)} if self.counts else {})

    def error(self, values: np.ndarray, level: np.ndarray | float) -> np.ndarray:
        """Return the standard error of a measured output, in its unit; zero where it has no value."""
        with np.errstate(all="ignore"):
            p = np.exp(-values) if self.output == "neg_log_pass_at_k" else np.asarray(values, dtype=float)
            p = np.clip(p, _TINY, 1 - _TINY)
            variance = np.exp(level + self.slope * np.log1p(-p)) * p * (1 - p)
            relative = np.minimum(np.sqrt(variance) / p, _ONE_SUCCESS)
        return np.where(np.isfinite(values), relative * (1 if self.output == "neg_log_pass_at_k" else p), 0.0)

    def _level(self, columns: Mapping[str, np.ndarray], size: int) -> np.ndarray:
        """Return each target's level: its group's where that was seen."""
        if not self.levels or any(name not in columns for name in self.columns):
            return np.full(size, self.level)
        labels = zip(*(np.asarray(columns[name]).astype(str) for name in self.columns), strict=True)
        return np.array([self.levels.get(own, self.level) for own in labels])


def evaluation_of(fit: Fit | Mixture, samples: Any = USUAL, targets: Any = None) -> Evaluation | None:
    """Return how a run that is forecast will be measured.

    Parameters
    ----------
    fit : Fit or Mixture
    samples : "usual", int or None
        Samples per problem: as many as the table's rows usually have; so many; none, a noiseless
        evaluation.
    targets : mapping, DataFrame or str, optional
        What is forecast; a ``sampling_error`` that it states is all there is.

    Returns
    -------
    Evaluation or None
        None adds nothing: the table knows no errors or is not of pass@k; a point fit's residuals
        hold the errors of its rows as they are.

    Raises
    ------
    InputError
        If `samples` is not allowed, or the table does not say what would follow from it.
    """
    one = members(fit)[0][0]
    given = states_error(one, targets)
    if isinstance(samples, str) and samples == USUAL:
        return None if given or not one.is_posterior else _evaluation(one, None)
    if given:
        raise InputError("samples: targets state their sampling_error; give one of the two (--samples).")
    if not one.is_posterior:
        raise InputError("samples: a point fit's runs scatter as its residuals do, which hold their own sampling errors; leave it out, or fit with method='nuts'.")  # fmt: skip
    if samples is None:
        return None
    if isinstance(samples, str):
        raise InputError(f"samples: found {shown(samples)}, allowed: 'usual', a whole number, or None.")
    check_whole("samples", samples, 1, MOST_K)
    return _evaluation(one, int(samples))


def _evaluation(fit: Fit, samples: int | None) -> Evaluation | None:
    """Fit the rule to a table's rows; `samples` per problem instead of the usual number."""
    spec, data = fit.spec, fit.data
    output = _pass_output(fit)
    known = None if output is None else _known(fit, output)
    if known is None:
        if samples is None:
            return None
        raise InputError(f"samples: the table says no sampling errors of pass@k from which those of {samples} samples follow; state sampling_error at the targets.")  # fmt: skip
    usual = float(np.median(known["samples"]))
    if samples is not None and not np.isfinite(usual):
        raise InputError(f"samples: the table does not say how many samples a problem has; give it in a column {SAMPLES!r}, read counts of problems, or state sampling_error at the targets.")  # fmt: skip
    k = int(np.nanmax(np.append(_positive(data, "k"), 1.0)))
    if samples is not None and samples < k:
        raise InputError(f"samples: found {samples}, allowed: {k} or more, for pass@{k} has no unbiased estimate from fewer.")  # fmt: skip
    shift = 0.0 if samples is None else -np.log(samples / usual)
    slope, middle = (0.0, 0.0) if spec.traits.counts else _line(known)
    level = _own_level(known, slope, middle) + shift
    levels = {own: _own_level(part, slope, middle) + shift for own, part in _groups(spec, known).items()}
    told = _told(usual if samples is None else samples, samples is None)
    return Evaluation(output, level, slope, spec.traits.counts, spec.group_columns, levels, told)


def _pass_output(fit: Fit) -> str | None:
    """Return which pass@k a law predicts, under whatever name; None if it predicts something else."""
    own, renamed = fit.spec.output.name, json.loads(fit.data.attrs.get("renamed", "{}"))
    names = [own, *(theirs for theirs, ours in renamed.items() if ours == own)]
    return next((name for name in names if name in PASS_OUTPUTS), None)


def _known(fit: Fit, output: str) -> pd.DataFrame | None:
    """Return what rows with a known error say of it; None if there is none.

    Columns ``p``; ``relative``, error over p; ``trials``, samples of all problems, or of a table that does not say,
    1; ``samples`` of a problem, NaN where unknown; the columns of groups.
    """
    spec, data = fit.spec, fit.data
    y, error = (np.asarray(data[n].values, dtype=float) for n in (spec.output.name, "sampling_error"))
    p = np.exp(-y) if output == "neg_log_pass_at_k" else y
    samples, problems = (_positive(data, name) for name in (SAMPLES, PROBLEMS))
    trials = np.nan_to_num(samples, nan=1.0) * np.nan_to_num(problems, nan=1.0)
    if np.isnan(samples).any():  # rows of one table are compared by what all of them say
        samples, trials = np.full(len(y), np.nan), np.ones(len(y))
    if spec.traits.counts:
        trials = np.asarray(data["n"].values, dtype=float)
    table = pd.DataFrame({
        "p": p, "relative": error if output == "neg_log_pass_at_k" else error / np.maximum(p, _TINY),
        "trials": trials, "samples": samples,
        **{c: data[c].values.astype(str) for c in spec.group_columns},
    })  # fmt: skip
    table = table[(error > 0) & (p > 0) & (p < 1)]
    return None if table.empty else table


def _positive(data: xr.Dataset, name: str) -> np.ndarray:
    """Return a column of positive numbers; NaN where it is missing or has none."""
    values = data[name].values if name in data else np.full(data.sizes["obs"], np.nan)
    values = values.astype(float) if np.asarray(values).dtype.kind in "iuf" else np.full(len(values), np.nan)
    return np.where(values > 0, values, np.nan)


def _line(known: pd.DataFrame) -> tuple[float, float]:
    """Return slope of log φ over log(1 − p), and its value where p is small, by least squares."""
    along, phi, weight = _weighed(known)
    centred, gap = along - np.average(along, weights=weight), phi - np.average(phi, weights=weight)
    precision = 1 / _SLOPE_SD**2
    slope = (_SLOPE * precision + weight @ (centred * gap)) / (precision + weight @ centred**2)
    return float(slope), float(np.average(phi - slope * along, weights=weight))


def _weighed(known: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log(1 − p), log φ and the weight of each row.

    A row of few successes knows its own variance badly: to its relative error, about one over their root.
    """
    p, relative, trials = (known[n].to_numpy() for n in ("p", "relative", "trials"))
    return np.log1p(-p), np.log(relative**2 * p / (1 - p) * trials), 1 / (_SCATTER**2 + relative**2)


def _own_level(known: pd.DataFrame, slope: float, middle: float) -> float:
    """Return log φ / N of some rows with their usual number of samples; few of them lie near the table's φ."""
    along, phi, weight = _weighed(known)
    precision = 1 / _BETWEEN**2
    own = (middle * precision + weight @ (phi - slope * along)) / (precision + weight.sum())
    return float(own - np.log(np.median(known["trials"])))


def _groups(spec: Spec, known: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    """Return the rows of each group."""
    if not spec.group_columns:
        return {}
    return {tuple(map(str, own)): part for own, part in known.groupby(list(spec.group_columns), sort=False)}


def _told(samples: float, usual: bool) -> str:
    """Say in words what a run's evaluation is."""
    if not np.isfinite(samples):
        return "with the sampling error that the table's evaluations usually have there"
    return f"with the sampling error of {short(samples)} samples a problem" + (
        ", as is usual in the table" if usual else ""
    )


def evaluation_attrs(fit: Fit | Mixture, samples: Any, targets: Any) -> dict[str, str]:
    """Say how a forecast's run is measured, to travel in a dataset's attributes.

    Parameters
    ----------
    fit : Fit or Mixture
    samples, targets
        As of `evaluation_of`.

    Returns
    -------
    dict of str to str
        ``samples``: usual, a number, none, or stated (by targets). ``evaluation``: in words; empty where nothing
        is known of it.
    """
    one, stated = members(fit)[0][0], states_error(members(fit)[0][0], targets)
    evaluation = evaluation_of(fit, samples, targets)
    if evaluation is not None:
        told = f"as it is measured, {evaluation.told}"
    elif stated:
        told = "as it is measured, with the targets' sampling_error"
    elif not one.data["sampling_error"].values.any():
        told = ""
    elif not one.is_posterior:
        told = "as it is measured: residuals hold the rows' sampling errors"
    else:
        told = "itself, without the error of its evaluation"
    return {"samples": "stated" if stated else str(samples).lower(), "evaluation": told}
