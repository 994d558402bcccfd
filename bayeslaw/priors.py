"""Priors from central 90 % intervals: densities for PyMC, draws and medians for NumPy.

Every scalar prior is a normal on a link scale that its support chooses: identity for the real line,
log for positive, logit for a share; a share without an interval is uniform. So two numbers that a
user can defend ("nine times in ten it lies between") state the prior completely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayeslaw.expression import evaluate
from bayeslaw.spec import Parameter, Spec

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

_Z95 = 1.6448536269514722
_LINK = {"real": lambda x: x, "positive": np.log, "unit": lambda x: np.log(x) - np.log1p(-x)}

_LOG_SLOPE = {  # log |d link(x) / dx|
    "real": np.zeros_like,
    "positive": lambda x: -np.log(x),
    "unit": lambda x: -np.log(x) - np.log1p(-x),
}


def sampled(spec: Spec) -> dict[str, Parameter]:
    """Return the parameters that have a prior, the observation model's included."""
    both = {**spec.parameters, **spec.noise}
    return {name: p for name, p in both.items() if p.fixed is None}


def walked(spec: Spec) -> dict[str, Parameter]:
    """Return the parameters that NUTS moves: those of `sampled` but what is summed out."""
    out = ("discrepancy_length", "discrepancy_scale") if summed_out(spec) else ()
    return {n: p for n, p in sampled(spec).items() if n not in out}


def summed_out(spec: Spec) -> bool:
    """Return whether a discrepancy's length and scale are summed out; those of loss curves are sampled."""
    return spec.discrepancy is not None and spec.discrepancy.kernel != "exponential"


def scalar_names(parameters: Mapping[str, Parameter]) -> list[str]:
    """Return the names of `sampled` or `walked`, shares of a simplex one by one."""
    return [n for p in parameters.values() for n in (p.names or (p.name,))]


def link_normal(parameter: Parameter) -> tuple[float, float]:
    """Return mean and sd of the normal on the link scale that has the stated 5 % and 95 % points."""
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
    return {"real": lambda x: x, "positive": np.exp, "unit": expit}[parameter.support](link)


def prior_sd(parameter: Parameter) -> float:
    """Return the prior's sd on its link scale (for a uniform share, that of the logistic)."""
    return link_normal(parameter)[1] if parameter.prior_90 else float(np.pi / np.sqrt(3))


def to_link(parameter: Parameter, values: np.ndarray) -> np.ndarray:
    """Map values of a scalar parameter to its link scale."""
    return _LINK[parameter.support](values)


def pymc_priors(
    spec: Spec, constants: Mapping[str, Any], ops: Any, moved: Callable[[str, Mapping[str, Any]], Any]
) -> dict[str, TensorVariable]:
    """State the priors in the surrounding PyMC model.

    Parameters
    ----------
    spec : Spec
    constants : mapping of str to scalar
        Fixed values, for formulas of ridges.
    ops : namespace
        PyTensor's functions, see `expression.evaluate`.
    moved : callable
        (name of a pooled parameter, the variables so far) -> how far it lies from its groups' middle, on
        its link scale.

    Returns
    -------
    dict of str to TensorVariable
        A scalar for each name of `walked`.
    """
    import pymc as pm

    out: dict[str, Any] = {}
    # A ridge's formula uses parameters that have none, a pooled parameter's walk its spread: those come first.
    for p in sorted(walked(spec).values(), key=lambda p: (p.ridge is not None, p.name in spec.pooled)):
        shear = moved(p.name, out) if p.name in spec.pooled else 0.0
        if p.support == "simplex":
            out |= _simplex(p)
        elif p.prior_90 is not None and (p.ridge is not None or p.name in spec.pooled):
            if p.ridge is not None:
                shear = shear - ops.log(evaluate(p.ridge, {**constants, **out}, ops))
            out[p.name] = _sheared(p, shear)
        elif p.prior_90 is None:
            out[p.name] = _uniform(p)
        elif p.bounds is not None or p.support == "unit":
            out[p.name] = _on_link_scale(p)
        else:
            kind = {"real": pm.Normal, "positive": pm.LogNormal}[p.support]
            out[p.name] = kind(p.name, *link_normal(p))
    return out


def _simplex(p: Parameter) -> dict[str, TensorVariable]:
    """Shares that sum to one: a Dirichlet.

    The flat one breaks a stick: the share i of what is left is Beta(1, m), m shares to come, whose
    quantiles are elementary, so that standard normals can be sampled instead (see `_uniform`).
    """
    import pymc as pm
    import pytensor.tensor as pt

    if p.concentration != 1:
        shares = pm.Dirichlet(p.name, np.full(len(p.names), p.concentration))
        return {name: pm.Deterministic(name, shares[i]) for i, name in enumerate(p.names)}
    out, rest = {}, 1.0
    for i, name in enumerate(p.names[:-1]):
        normal = pm.Normal(f"{name}_normal", 0.0, 1.0)
        kept = (0.5 * pt.erfc(normal / np.sqrt(2.0))) ** (1 / (len(p.names) - 1 - i))
        out[name] = pm.Deterministic(name, rest * (1 - kept))
        rest = rest * kept
    return {**out, p.names[-1]: pm.Deterministic(p.names[-1], rest)}


def _uniform(p: Parameter) -> TensorVariable:
    """State a uniform share by way of a standard normal, whose tails are short.

    Shares near 0 or 1 that the data cannot tell apart lie far out on a logit scale; a sampler that
    must walk there mixes half as well.
    """
    import pymc as pm
    import pytensor.tensor as pt

    low, high = p.bounds or (0.0, 1.0)
    normal = pm.Normal(f"{p.name}_normal", 0.0, 1.0)
    return pm.Deterministic(p.name, low + (high - low) * 0.5 * pt.erfc(-normal / np.sqrt(2.0)))


def _sheared(p: Parameter, shear: TensorVariable) -> TensorVariable:
    """State a parameter that is normal on its link scale, sampled as its distance from `shear` there.

    Where the data pin down the product of two parameters, their posterior is a thin curved ridge; the
    product is a straight coordinate. Where they pin down groups, the law's own value follows those. A
    shear has a unit Jacobian, so that the prior stays what it is: the normal that the distance is given
    is taken out again.
    """
    import pymc as pm

    mean, sd = link_normal(p)
    distance = pm.Normal(f"{p.name}_sheared", mean, sd)
    link = distance + shear
    pm.Potential(f"{p.name}_prior", ((distance - mean) ** 2 - (link - mean) ** 2) / (2 * sd**2))
    return pm.Deterministic(p.name, _inverse_link(p)(link))


def _inverse_link(p: Parameter) -> Callable[[Any], Any]:
    import pymc as pm

    return {"real": lambda x: x, "positive": pm.math.exp, "unit": pm.math.sigmoid}[p.support]


def _on_link_scale(p: Parameter) -> TensorVariable:
    """State a normal on the link scale, truncated by bounds; the parameter itself is its inverse.

    For shares too: the gradient of PyMC's own LogitNormal loses its digits and makes NUTS diverge.
    """
    import pymc as pm

    name, (mean, sd) = f"{p.name}_link", link_normal(p)
    if bounds := link_bounds(p):
        link = pm.TruncatedNormal(name, mean, sd, lower=bounds[0], upper=bounds[1])
    else:
        link = pm.Normal(name, mean, sd)
    return pm.Deterministic(p.name, _inverse_link(p)(link))


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
    out = {}
    for p in sampled(spec).values():
        if p.names:
            out[p.name] = sum((p.concentration - 1) * np.log(values[n]) for n in p.names)
        elif p.prior_90 is None:
            out[p.name] = np.zeros_like(values[p.name])
        else:
            x = values[p.name]
            mean, sd = link_normal(p)
            out[p.name] = -0.5 * ((to_link(p, x) - mean) / sd) ** 2 + _LOG_SLOPE[p.support](x)
    return out
