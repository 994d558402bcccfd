"""Where the sampler walks: standard normal scores, and the parameters that they stand for.

`bayeslaw.law.priors` says what the priors are; here each is a function of a score that is standard normal under it.
What has another density in these coordinates says by how much: a ridge, groups that are walked partly centred,
observation models' latent vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln

from bayeslaw.law.evaluate import evaluate_law, fixed_values, references, to_scale
from bayeslaw.law.expression import evaluate
from bayeslaw.law.priors import integrated, link_bounds, link_normal, walked
from bayeslaw.law.spec import Parameter
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.pooling import by_row, group_index, row_groups, score_name, score_sizes
from bayeslaw.observation.walks import centring, directions, scores_from, shares

_SQRT2 = float(np.sqrt(2.0))


@dataclass(frozen=True)
class State:
    """What coordinates stand for.

    Attributes
    ----------
    values : dict
        Parameters by name, on `ops`: those that are sampled.
    latent : dict
        Latent vectors by name, pooled parameters' scores with them.
    more : value
        Log density of the parameters in these coordinates, less that of standard normals.
    log_density : value
        `more`, and the log density of the rows.
    """

    values: dict[str, Any]
    latent: dict[str, Any]
    more: Any
    log_density: Any


def coordinate_sizes(bound: BoundLaw) -> dict[str, int | None]:
    """Return the coordinates: the size of each, None for a scalar.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    dict of str to int or None
        Of a simplex all shares but the last have one.
    """
    scalars = [n for p in walked(bound.spec).values() for n in (p.names[:-1] if p.names else (p.name,))]
    return {**dict.fromkeys(scalars), **latent_vectors(bound)}


def latent_vectors(bound: BoundLaw) -> dict[str, int]:
    """Return the lengths of the latent vectors, by name."""
    return {**bound.observation.latents(bound.rows), **score_sizes(bound.spec, bound.labels)}


def walks(bound: BoundLaw) -> dict[str, dict[str, np.ndarray]]:
    """Return how NUTS walks the groups of each pooled parameter: see `pooling.scores_from`."""
    spec, rows = bound.spec, bound.rows
    if not spec.pooled:
        return {}
    scatter = bound.observation.scatter(rows)
    inputs = [np.asarray(rows.columns[n], dtype=float) for n in spec.inputs if n in rows.columns]
    out = {}
    for name, column in spec.pooled.items():
        grouped = bound.labels[column], row_groups(spec, column, rows.columns)
        out[name] = {"near": centring(*grouped, rows.y, inputs), "share": shares(*grouped),
                     "along": directions(*grouped, scatter)}  # fmt: skip
    return out


def state(bound: BoundLaw, given: Mapping[str, Any], ops: Any) -> State:
    """Return what coordinates stand for, and their log density.

    Parameters
    ----------
    bound : BoundLaw
    given : mapping of str to value
        A standard normal score, or a vector of them, for each of `coordinate_sizes`.
    ops : namespace
        Of the values.

    Returns
    -------
    State
    """
    spec, rows = bound.spec, bound.rows
    constants = {**references(spec), **fixed_values(spec), **integrated(spec)}
    constants |= {p.name: p.fixed for p in spec.noise.values() if p.fixed is not None}
    values, more, latent = _parameters(bound, given, constants, ops)
    noise = {n: values.get(n, constants.get(n)) for n in spec.noise if n in {**values, **constants}}
    index = {
        n: group_index(bound.labels[c], row_groups(spec, c, rows.columns)) for n, c in spec.pooled.items()
    }
    scores = {n: latent[score_name(n)][at] for n, at in index.items()}
    law = evaluate_law(spec, by_row(spec, {**values, **noise}, scores, ops), bound.inputs, ops, constants)
    mean = to_scale(law, spec.output.scale, ops)
    rows_density = bound.observation.joint(mean, {**noise, **latent}, bound.terms, ops)
    return State(values, latent, more, more + rows_density)


def _parameters(
    bound: BoundLaw, given: Mapping[str, Any], constants: Mapping[str, float], ops: Any
) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Return parameters, their log density less that of standard normals, and latent vectors."""
    spec, how = bound.spec, walks(bound)
    latent = {name: given[name] for name in latent_vectors(bound)}
    values: dict[str, Any] = {}
    more: Any = 0.0
    # A ridge's formula uses parameters that have none, a pooled parameter's walk its spread: those come first.
    for p in sorted(walked(spec).values(), key=lambda p: (p.ridge is not None, p.name in spec.pooled)):
        shear: Any = None
        if p.name in spec.pooled:
            spread, walk = {**constants, **values}[f"{p.name}_spread"], given[score_name(p.name)]
            scores, log_jacobian = scores_from(spec, p.name, walk, spread, how[p.name], ops)
            more = more + (log_jacobian + (walk**2 - scores**2) / 2).sum()
            latent[score_name(p.name)] = scores
            shear = -spread * (how[p.name]["share"] * scores).sum()
        if p.ridge is not None:
            along = -ops.log(evaluate(p.ridge, {**constants, **values}, ops))
            shear = along if shear is None else shear + along
        if p.support == "simplex":
            shares, part = _simplex(p, given, ops)
            values, more = {**values, **shares}, more + part
        else:
            values[p.name], part = _scalar(p, given[p.name], shear, ops)
            more = more + part
    return values, more, latent


def _scalar(p: Parameter, score: Any, shear: Any, ops: Any) -> tuple[Any, Any]:
    """Return a parameter, and its log density less that of its score."""
    if p.prior_90 is None:
        low, high = p.bounds or (0.0, 1.0)
        return low + (high - low) * 0.5 * ops.erfc(-score / _SQRT2), 0.0
    mean, sd = link_normal(p)
    bounds, more = link_bounds(p), 0.0
    if shear is None:
        if bounds is not None:
            low, high = ((b - mean) / sd for b in bounds)
            score = ops.truncated(score, low, high)
        link = mean + sd * score
    else:  # walked as its distance from the shear: a unit Jacobian, so that the prior stays what it is
        link = mean + sd * score + shear
        more = score**2 / 2 - ((link - mean) / sd) ** 2 / 2
    return _from_link(p, link, ops), more


def _from_link(p: Parameter, link: Any, ops: Any) -> Any:
    if p.support == "positive":
        return ops.exp(link)
    return 1 / (1 + ops.exp(-link)) if p.support == "unit" else link


def _simplex(p: Parameter, given: Mapping[str, Any], ops: Any) -> tuple[dict[str, Any], Any]:
    """Return shares that sum to one.

    The flat Dirichlet breaks a stick: the share i of what is left is Beta(1, m), m shares to come, whose quantiles
    are elementary. Any other is the softmax of numbers that sum to zero.
    """
    scores = [given[name] for name in p.names[:-1]]
    if p.concentration == 1:
        out, rest = {}, 1.0
        for i, (name, score) in enumerate(zip(p.names, scores, strict=False)):
            kept = ops.power(0.5 * ops.erfc(score / _SQRT2), 1 / (len(p.names) - 1 - i))
            out[name] = rest * (1 - kept)
            rest = rest * kept
        return {**out, p.names[-1]: rest}, 0.0
    numbers = [*scores, -sum(scores)]
    log_total = ops.log(sum(ops.exp(number) for number in numbers))
    logs = [number - log_total for number in numbers]
    size, c = len(numbers), p.concentration
    constant = float(
        gammaln(c * size) - size * gammaln(c) + np.log(size) + (size - 1) * np.log(2 * np.pi) / 2
    )
    more = c * sum(logs) + sum(score**2 for score in scores) / 2 + constant
    return {name: ops.exp(log) for name, log in zip(p.names, logs, strict=True)}, more
