"""Whether rows can bear a law at all: enough different inputs, and outputs that its priors can reach."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.core.draws import over_draws
from bayeslaw.core.errors import InputError
from bayeslaw.inference.fit import Fit
from bayeslaw.law.evaluate import evaluate_law, to_scale
from bayeslaw.law.priors import draw_priors, prior_sd
from bayeslaw.law.spec import Parameter, Spec
from bayeslaw.observation.bound import BoundLaw

CONFLICT, REFUSED = 4.0, 15.0
"""Prior standard deviations between the rows and what the priors expect: from here on a warning, and no
fit at all. Of some fifty real tables under the shipped laws none has more than 1.2; a unit that is a
thousand times off has 2 to 7."""
_TAIL, _TAIL_SD = 0.02, 2.0537489106318225
_SOME_ROWS = 500
_DIGITS = 6
"""Inputs that agree to so many digits are one input: the same run, written twice."""
_DRAWS, _BATCH, _VALUES = 64, 4, 300_000
_RANK = 1e-7
"""Directions of the parameters that move the rows less than this part of the one that moves them most do not move them."""
_STEP, _STENCIL = 1e-3, {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}


def free_parameters(spec: Spec) -> int:
    """Return how many numbers of the law its rows must tell; a simplex has one less than it has shares."""
    free = [p for p in spec.parameters.values() if p.fixed is None]
    return sum(len(p.names) - 1 if p.names else 1 for p in free)


def distinct_inputs(bound: BoundLaw) -> int:
    """Return how many rows differ in the law's inputs."""
    inputs = [v.reshape(len(v), -1) for v in bound.inputs.values()]
    if not inputs:
        return min(1, len(bound.rows))
    return len(np.unique(_rounded(np.concatenate(inputs, axis=1)), axis=0))


def few_inputs(bound: BoundLaw) -> Check:
    """Say whether there are inputs enough to tell the law's parameters apart.

    Parameters
    ----------
    bound : BoundLaw
        What a point fit holds is fixed.

    Returns
    -------
    Check
        ``few-inputs``: a failure where fewer inputs differ than parameters are free, or where they differ
        in too few directions, by whatever method; a warning where the law passes through every row.
    """
    free, distinct = free_parameters(bound.spec), distinct_inputs(bound)
    found = f"{distinct} different input{'s' * (distinct != 1)} for {free} free parameter{'s' * (free != 1)} of the law"
    advice = "add runs at other inputs, or hold parameters with fix={…} (--fix)"
    if distinct < free:
        text = f"{found}: no rows like these can tell the law, and what is said of it is the priors or the starts; {advice}."
        return Check("few-inputs", "fail", float(distinct), text)
    rank = told_parameters(bound)
    if rank < free:
        text = (
            f"{found}, and they tell only {rank} of them apart{_too_alike(bound)}: a forecast elsewhere rests on the "
            f"priors or the starts, however narrow it is; {advice}."
        )
        return Check("few-inputs", "fail", float(rank), text)
    if distinct == free:
        text = f"{found}: it can pass through every row, so that nothing is left to tell its errors by; {advice}."
        return Check("few-inputs", "warn", float(distinct), text)
    return Check("few-inputs", "ok", float(distinct), f"{found}.")


def told_parameters(bound: BoundLaw) -> int:
    """Return how many numbers of the law its rows can tell, were they exact: the rank of the law's slopes.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    int
        The largest rank, over draws of the priors, of the slopes of the law at the rows (on the scale of
        errors, in units of each one's length) by its free parameters on their link scales;
        `free_parameters` where the law has a value under no draw.
    """
    spec, free = bound.spec, free_parameters(bound.spec)
    parameters = [p for p in spec.parameters.values() if p.fixed is None]
    if not parameters:
        return free
    inputs = {n: _rounded(v) if v.ndim == 1 else v for n, v in bound.inputs.items()}
    rows = len(bound.rows)
    draws = draw_priors(spec, int(np.clip(_VALUES // rows, _BATCH, _DRAWS)), np.random.default_rng(0))
    ranks: list[int] = []
    for start in range(0, len(next(iter(draws.values()))), _BATCH):
        values = {n: v[start : start + _BATCH, None] for n, v in draws.items()}
        shape = len(next(iter(values.values()))), rows

        def law(values: dict[str, np.ndarray], shape: tuple[int, int] = shape) -> np.ndarray:
            return np.broadcast_to(to_scale(evaluate_law(spec, values, inputs), spec.output.scale), shape)

        with np.errstate(all="ignore"):
            ranks += _ranks(np.stack([s for p in parameters for s in _slopes(law, values, p)], axis=-1))
        if ranks and max(ranks) >= free:  # one draw will do
            return free
    return max(ranks, default=free)


def _slopes(
    law: Callable[[dict[str, np.ndarray]], np.ndarray], values: dict[str, np.ndarray], parameter: Parameter
) -> list[np.ndarray]:
    """Return a law's slopes by a parameter on its link scale; of shares, by all but the last, which makes up for it."""
    out = []
    for name in parameter.names[:-1] or (parameter.name,):
        slope = 0.0
        for step, weight in _STENCIL.items():
            moved = {name: _moved(parameter, values[name], _STEP * step)}
            if parameter.names:
                last = parameter.names[-1]
                moved[last] = values[last] + values[name] - moved[name]
            slope = slope + weight / _STEP * law(values | moved)
        out.append(slope)
    return out


def _moved(parameter: Parameter, value: np.ndarray, step: float) -> np.ndarray:
    """Return a parameter's value a step further on its link scale; on the line, in units of its size."""
    if parameter.support == "real":
        return value + step * np.maximum(prior_sd(parameter), np.abs(value))
    if parameter.support == "unit":
        return value / (value + (1 - value) * np.exp(-step))
    return value * np.exp(step)


def _ranks(slopes: np.ndarray) -> list[int]:
    """Return the rank of each draw's slopes, shape (draws, rows, parameters), where all are numbers."""
    slopes = slopes[np.isfinite(slopes).all(axis=(1, 2))]
    lengths = np.linalg.norm(slopes, axis=1, keepdims=True)
    # A slope that is rounding alone is none: scaled to length one it would look like another direction.
    some = lengths > _RANK * lengths.max(axis=2, keepdims=True, initial=0.0)
    scaled = np.where(some, slopes / np.where(some, lengths, 1.0), 0.0)
    sizes = np.linalg.svd(scaled, compute_uv=False)
    return [int(n) for n in (sizes > _RANK * sizes[:, :1]).sum(axis=1)]


def _too_alike(bound: BoundLaw) -> str:
    """Name the columns that have one value or two in all rows, which can be all that is amiss."""
    inputs = {bound.spec.inputs[n].column: v for n, v in bound.inputs.items() if v.ndim == 1}
    found = {c: len(np.unique(_rounded(v))) for c, v in inputs.items()}
    told = [
        f"{c} has {'one value' if n == 1 else 'two values'} in all rows" for c, n in found.items() if n < 3
    ]
    return f" ({', '.join(told)})" if told else ""


def prior_conflict(fit: Fit) -> list[Check]:
    """Say when the rows lie far from what the priors expect, though the sampler got there.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    list of Check
        ``prior-conflict``; of a fit without priors, none.
    """
    if "prior_predictive" not in fit.tree.children:
        return []
    name = fit.spec.output.name
    predicted = fit.tree["prior_predictive"][name].values
    away, low, high = _expected(fit.spec, fit.data[name].values, predicted.reshape(-1, predicted.shape[-1]))
    if not away > CONFLICT:
        return [Check("prior-conflict", "ok", away, "The rows lie where the priors expect them.")]
    text = f"The rows lie {away:.1f} prior standard deviations from what the priors expect of {name}, {low:.3g} to {high:.3g}: the priors pull at the fit. Check the column's unit, or change(spec, prior={{…}}) (--prior)."
    return [Check("prior-conflict", "warn", away, text)]


def refuse_out_of_reach(spec: Spec, y: np.ndarray, predicted: np.ndarray) -> None:
    """Refuse rows that the priors cannot reach, before anything is compiled.

    Parameters
    ----------
    spec : Spec
    y : numpy.ndarray, shape (rows,)
        The output in its unit.
    predicted : numpy.ndarray, shape (draws, rows)
        What the priors expect of new runs at the rows, in the same unit.

    Raises
    ------
    InputError
        If the rows lie more than `REFUSED` prior standard deviations away, in the median.
    """
    away, low, high = _expected(spec, y, predicted)
    name = spec.output.name
    if np.isinf(away):
        raise InputError(
            f"model '{spec.name}': under its priors the law says nothing of {name} at most rows, no finite number or "
            "always the same; does it divide by zero, or take the logarithm or a power of what may be negative, at these "
            "inputs? Or are the rows' sampling errors too large to say anything?"
        )
    if away > REFUSED:
        unit = "" if spec.output.unit == "1" else f" {spec.output.unit}"
        raise InputError(
            f"model '{spec.name}': {name} is {np.median(y):.3g}{unit} in the middle row; the law's prior expects "
            f"{low:.3g} to {high:.3g}, {away:.0f} prior standard deviations away. Check the unit of column {name!r}, "
            "or change(spec, prior={…}) (--prior)."
        )


def _expected(spec: Spec, y: np.ndarray, predicted: np.ndarray) -> tuple[float, float, float]:
    """Return how far rows lie from their prior predictive, in its sds, and its central 96 %; medians over rows."""
    scale = spec.output.scale
    some = np.unique(np.linspace(0, len(y) - 1, _SOME_ROWS).astype(int))
    y, predicted = y[some], predicted[:, some]
    with np.errstate(all="ignore"):
        away = _distances(to_scale(y, scale), to_scale(predicted, scale))
        if scale == "identity":  # positive parameters make a law whose logarithm is near normal
            logs = _distances(np.log(y), np.log(predicted))
            positive = (y > 0) & ((predicted > 0).mean(axis=0) > 1 - _TAIL)
            away = np.where(positive, np.fmin(away, logs), away)
    _, ends = over_draws(predicted, np.isfinite(predicted), [_TAIL, 1 - _TAIL])
    known = ~np.isnan(away)
    if not known.any():  # the law has no value under any draw of its priors
        return (np.nan,) * 3
    return float(np.median(away[known])), *(float(np.nanmedian(end)) for end in ends[:, known])


def _distances(y: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return each row's distance from the draws' median, in sds of the side on which it lies."""
    _, (low, middle, high) = over_draws(draws, np.isfinite(draws), [_TAIL, 0.5, 1 - _TAIL])
    side = np.where(y > middle, high - middle, middle - low) / _TAIL_SD
    return np.where(side > 0, np.abs(y - middle) / side, np.where(y == middle, 0.0, np.inf))


def _rounded(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        unit = 10.0 ** (np.floor(np.log10(np.abs(values))) - _DIGITS + 1)
        return np.where(values == 0, 0.0, np.round(values / unit) * unit)
