"""Priors stated in PyMC, in coordinates that NUTS walks well; `bayeslaw.law.priors` says what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayeslaw.law.expression import evaluate
from bayeslaw.law.priors import link_bounds, link_normal
from bayeslaw.law.spec import Parameter, Spec

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


def pymc_priors(
    spec: Spec,
    parameters: Mapping[str, Parameter],
    constants: Mapping[str, Any],
    ops: Any,
    moved: Callable[[str, Mapping[str, Any]], Any],
) -> dict[str, TensorVariable]:
    """State the priors in the surrounding PyMC model.

    Parameters
    ----------
    spec : Spec
    parameters : mapping of str to Parameter
        Those that are stated.
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
        A scalar for each, shares of a simplex one by one.
    """
    import pymc as pm

    out: dict[str, Any] = {}
    # A ridge's formula uses parameters that have none, a pooled parameter's walk its spread: those come first.
    for p in sorted(parameters.values(), key=lambda p: (p.ridge is not None, p.name in spec.pooled)):
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
    shear has a unit Jacobian, so that the prior stays what it is: the distance, given the others, is as normal.
    """
    import pymc as pm

    mean, sd = link_normal(p)
    distance = pm.Normal(f"{p.name}_sheared", mean - shear, sd)
    return pm.Deterministic(p.name, _inverse_link(p)(distance + shear))


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
