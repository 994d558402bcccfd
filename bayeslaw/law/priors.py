"""Makes priors of central 90 % intervals: their draws, quantiles and densities.

Every scalar prior is a normal on a link scale that its support chooses: identity for the real line,
log for positive, logit for a share; a share without an interval is uniform. So two numbers that a
user can defend ("nine times in ten it lies between") state the prior completely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from bayeslaw.law.offset import offset
from bayeslaw.law.spec import Parameter, Spec
from bayeslaw.law.types import Array

_Z95 = 1.6448536269514722
_LINK: dict[str, Callable[[Any], Any]] = {
    "real": lambda x: x,
    "positive": np.log,
    "unit": lambda x: np.log(x) - np.log1p(-x),
}

_LOG_SLOPE: dict[str, Callable[[Array], Array]] = {  # log |d link(x) / dx|
    "real": np.zeros_like,
    "positive": lambda x: -np.log(x),
    "unit": lambda x: -np.log(x) - np.log1p(-x),
}


def sampled(spec: Spec) -> dict[str, Parameter]:
    """Return the parameters that have a prior, the observation model's included."""
    both = {**spec.parameters, **spec.noise}
    return {name: p for name, p in both.items() if p.fixed is None}


def walked(spec: Spec) -> dict[str, Parameter]:
    """Return the parameters that NUTS samples: those of `sampled` except the marginalised ones."""
    out = (
        (
            "discrepancy_length",
            "discrepancy_scale",
            "discrepancy_slope",
            "discrepancy_own",
            "discrepancy_run",
            *integrated(spec),
        )
        if spec.marginalised
        else ()
    )
    return {n: p for n, p in sampled(spec).items() if n not in out}


def integrated(spec: Spec) -> dict[str, float]:
    """Return the law's parameters that the density integrates out, each at its prior's middle: the law takes them there."""
    level = offset(spec)
    return {} if level is None else {level.name: float(from_link(level, np.asarray(link_normal(level)[0])))}


def from_link(parameter: Parameter, link: Array) -> Array:
    """Map a scalar parameter from its link scale to its own unit; the inverse of `to_link`."""
    back: dict[str, Callable[[Array], Array]] = {
        "real": lambda x: x,
        "positive": np.exp,
        "unit": lambda x: 1 / (1 + np.exp(-x)),
    }
    return back[parameter.support](link)


def scalar_names(parameters: Mapping[str, Parameter]) -> list[str]:
    """Return the names of `sampled` or `walked`, shares of a simplex one by one."""
    return [n for p in parameters.values() for n in (p.names or (p.name,))]


def link_normal(parameter: Parameter) -> tuple[float, float]:
    """Return mean and sd of the normal on the link scale that has the stated 5 % and 95 % points."""
    assert parameter.prior_90 is not None
    low, high = (float(_LINK[parameter.support](v)) for v in parameter.prior_90)
    return (low + high) / 2, (high - low) / (2 * _Z95)


def link_bounds(parameter: Parameter) -> tuple[float, float] | None:
    """Return the bounds on the link scale, if there are any."""
    if parameter.bounds is None:
        return None
    low, high = (float(_LINK[parameter.support](v)) for v in parameter.bounds)
    return low, high


def draw_priors(spec: Spec, draws: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw from the priors.

    Parameters
    ----------
    spec : Spec
    draws : int
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to numpy.ndarray, shape (draws,)
        A value for each scalar of `sampled`.
    """
    out: dict[str, np.ndarray] = {}
    for parameter in sampled(spec).values():
        if parameter.support == "simplex":
            shares = rng.dirichlet(np.full(len(parameter.names), parameter.concentration), size=draws)
            out |= {name: shares[:, i] for i, name in enumerate(parameter.names)}
        else:
            out[parameter.name] = prior_quantile(parameter, rng.random(draws))
    return out


def prior_quantile(parameter: Parameter, probability: np.ndarray) -> np.ndarray:
    """Return quantiles of a scalar prior.

    Parameters
    ----------
    parameter : Parameter
        Not a simplex.
    probability : numpy.ndarray

    Returns
    -------
    numpy.ndarray
        In the parameter's own unit, of the same shape.
    """
    from scipy.special import expit, ndtr, ndtri

    if parameter.prior_90 is None:
        low, high = parameter.bounds or (0.0, 1.0)
        return low + (high - low) * probability
    mean, sd = link_normal(parameter)
    if bounds := link_bounds(parameter):
        low, high = (ndtr((b - mean) / sd) for b in bounds)
        probability = low + (high - low) * probability
    link = mean + sd * ndtri(probability)
    back: dict[str, Callable[[Array], Array]] = {"real": lambda x: x, "positive": np.exp, "unit": expit}
    return back[parameter.support](link)


def prior_sd(parameter: Parameter) -> float:
    """Return the prior's sd on its link scale (for a uniform share, that of the logistic)."""
    return link_normal(parameter)[1] if parameter.prior_90 else float(np.pi / np.sqrt(3))


def to_link(parameter: Parameter, values: np.ndarray) -> np.ndarray:
    """Map values of a scalar parameter to its link scale."""
    return _LINK[parameter.support](values)


def log_priors(spec: Spec, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the log prior density of each sampled parameter, up to a constant.

    Parameters
    ----------
    spec : Spec
    values : dict of str to numpy.ndarray
        Draws, of any one shape.

    Returns
    -------
    dict of str to numpy.ndarray
        By parameter, densities in the parameter's own unit; of the values' shape.
    """
    out: dict[str, Array] = {}
    for p in sampled(spec).values():
        if p.names:
            out[p.name] = cast(Array, sum((p.concentration - 1) * np.log(values[n]) for n in p.names))
        elif p.prior_90 is None:
            out[p.name] = np.zeros_like(values[p.name])
        else:
            x = values[p.name]
            mean, sd = link_normal(p)
            out[p.name] = -0.5 * ((to_link(p, x) - mean) / sd) ** 2 + _LOG_SLOPE[p.support](x)
    return out
