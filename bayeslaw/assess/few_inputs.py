"""Whether rows tell a law's parameters apart: enough different inputs, in enough directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.law.evaluate import evaluate_law, to_scale
from bayeslaw.law.priors import draw_priors, prior_sd
from bayeslaw.law.spec import Parameter, Spec
from bayeslaw.observation.bound import BoundLaw

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
    """Return how many numbers of the law its rows can tell, were they exact: the rank of its Jacobian.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    int
        The largest rank, over draws of the priors, of the law's derivatives at the rows (on the scale of
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
            ranks += _ranks(np.stack([s for p in parameters for s in _derivatives(law, values, p)], axis=-1))
        if ranks and max(ranks) >= free:  # one draw will do
            return free
    return max(ranks, default=free)


def _derivatives(
    law: Callable[[dict[str, np.ndarray]], np.ndarray], values: dict[str, np.ndarray], parameter: Parameter
) -> list[np.ndarray]:
    """Return a law's derivatives by a parameter on its link scale; of shares, by all but the last, which makes up for it."""
    out = []
    for name in parameter.names[:-1] or (parameter.name,):
        derivative = 0.0
        for step, weight in _STENCIL.items():
            moved = {name: _moved(parameter, values[name], _STEP * step)}
            if parameter.names:
                last = parameter.names[-1]
                moved[last] = values[last] + values[name] - moved[name]
            derivative = derivative + weight / _STEP * law(values | moved)
        out.append(derivative)
    return out


def _moved(parameter: Parameter, value: np.ndarray, step: float) -> np.ndarray:
    """Return a parameter's value a step further on its link scale; on the line, in units of its size."""
    if parameter.support == "real":
        return value + step * np.maximum(prior_sd(parameter), np.abs(value))
    if parameter.support == "unit":
        return value / (value + (1 - value) * np.exp(-step))
    return value * np.exp(step)


def _ranks(derivatives: np.ndarray) -> list[int]:
    """Return the rank of each draw's derivatives, shape (draws, rows, parameters), where all are numbers."""
    derivatives = derivatives[np.isfinite(derivatives).all(axis=(1, 2))]
    lengths = np.linalg.norm(derivatives, axis=1, keepdims=True)
    # A derivative that is rounding alone is none: scaled to length one it would look like another direction.
    some = lengths > _RANK * lengths.max(axis=2, keepdims=True, initial=0.0)
    scaled = np.where(some, derivatives / np.where(some, lengths, 1.0), 0.0)
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


def _rounded(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        unit = 10.0 ** (np.floor(np.log10(np.abs(values))) - _DIGITS + 1)
        return np.where(values == 0, 0.0, np.round(values / unit) * unit)
