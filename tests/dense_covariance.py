"""A discrepancy's density and predictions by dense algebra, and rows with points of their posterior's bulk."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import logsumexp
from scipy.stats import norm

import bayeslaw as bl
from bayeslaw.law.priors import link_normal
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_places import AROUND, places
from bayeslaw.observation.discrepancy_shapes import drift_step, drift_steps, lengths, scales
from bayeslaw.observation.discrepancy_sizes import discrepancy_of
from bayeslaw.observation.kernels import kernel

_SIGMAS = 41
SLOPE = {"prior_90": [0.01, 1.2]}
"""A discrepancy's ``slope``, as the laws of one input have it."""


@dataclass(frozen=True)
class Bulk:
    """Rows of a law whose discrepancy is known, and draws of their exact posterior, the law being linear."""

    spec: bl.Spec
    rows: Rows
    residual: np.ndarray  # (draws, rows)
    sigma: np.ndarray  # (draws,)
    length: np.ndarray
    scale: np.ndarray
    drift: np.ndarray


def two_inputs(slope: bool = False) -> bl.Spec:
    """Return the law of parameters and tokens with references as numbers."""
    spec = bl.load_model("chinchilla")
    spec = bl.change(spec, discrepancy={"slope": SLOPE}) if slope else spec
    document = {
        **spec.document,
        "inputs": {n: {**e, "reference": 1.0} for n, e in spec.document["inputs"].items()},
    }
    from bayeslaw.law.parse import parse_spec

    return parse_spec(document, "chinchilla")


def middle(centre, gradient) -> dict[str, str]:
    """Return the attribute that says from where a slope wanders, and how steeply a law falls there."""
    return {AROUND: json.dumps({"centre": list(centre), "gradient": list(gradient)})}


def ahead(spec, rows, seen=None):
    """Return how far rows lie ahead of the data's middle in what the law has fallen by there, in e-folds; how steep it is."""
    told = json.loads((rows if seen is None else seen).attrs[AROUND])
    gradient = np.array(told["gradient"])
    steep = np.sqrt((gradient**2).sum())
    return (places(spec, rows) - told["centre"]) @ (gradient / steep), steep


def integrated_wiener(u, v):
    """Return the covariance of a Wiener process's integral from zero on: of each side by itself."""
    low, high = np.minimum(np.abs(u)[:, None], np.abs(v)), np.maximum(np.abs(u)[:, None], np.abs(v))
    return np.where(np.outer(u, v) > 0, low**2 * (3 * high - low) / 6, 0.0)


def discrepancy(spec, rows, length, scale, drift=0.0, other=None):
    """Return a discrepancy's covariance between rows and others; the scale is on the scale of errors."""
    a, b = places(spec, rows), places(spec, rows if other is None else other)
    out = scale**2 * kernel(discrepancy_of(spec).kernel, a, b, length)
    if not drift:
        return out
    (u, steep), (v, _) = ahead(spec, rows), ahead(spec, rows if other is None else other, rows)
    return out + (drift * scale * steep) ** 2 * integrated_wiener(u, v)


def covariance(spec, rows, length, scale, sigma, drift=0.0):
    """Return the rows' covariance; the scale is on the scale of errors."""
    return discrepancy(spec, rows, length, scale, drift) + np.diag(sigma**2 + rows.error**2)


def log_normals(residual, part, noise, scales):
    """Return the log density of residuals, (draws, rows) or (rows,), where scale² part + noise is their covariance: (scales, draws)."""
    root = np.linalg.cholesky(noise)
    half = solve_triangular(root, part, lower=True)
    eigen, turn = np.linalg.eigh(solve_triangular(root, half.T, lower=True))
    white = turn.T @ solve_triangular(root, np.atleast_2d(residual).T, lower=True)
    sizes = 1 + np.outer(np.square(scales), np.maximum(eigen, 0.0))
    log_det = np.log(sizes).sum(axis=1) + 2 * np.log(np.diag(root)).sum()
    return -0.5 * (1 / sizes @ white**2 + log_det[:, None] + len(root) * np.log(2 * np.pi))


def drifts(spec):
    """Return all drifts between the ends that the priors admit, of which rows leave some; one that is zero without a slope."""
    if "discrepancy_slope" not in spec.noise:
        return np.zeros(1)
    low, high = drift_steps(spec)
    return np.exp(drift_step(spec) * np.arange(low, high + 1))


def fine(spec, *sigmas: float) -> str:
    """Return the grid of all lengths, drifts and scales, as the data's attribute says it, exact at some run noises."""
    (low, high), scale = drift_steps(spec), len(scales(spec)[0])
    shapes = [[j, k, 0, 0, 0, scale] for j in range(len(lengths(spec)[0])) for k in range(low, high + 1)]
    return json.dumps({"shapes": shapes, "sigmas": sigmas})


def each(spec, rows, residual, sigma, offset=0.0):
    """Return the log density of residuals at each length, drift and scale, their weights with it: (lengths, drifts, scales, draws)."""
    (grid, by_length), (sizes, by_scale) = lengths(spec), scales(spec)
    unit, slope = sigma if discrepancy_of(spec).relative else 1.0, spec.noise.get("discrepancy_slope")
    noise = np.diag(sigma**2 + rows.error**2) + offset
    steps = drifts(spec)
    out = np.empty((len(grid), len(steps), len(sizes), len(np.atleast_2d(residual))))
    for j, length in enumerate(grid):
        for k, drift in enumerate(steps):
            prior = by_length[j] + by_scale
            if slope is not None:
                mean, sd = link_normal(slope)
                prior = prior + norm(mean, sd).logpdf(np.log(drift * sizes * unit)) + np.log(drift_step(spec))
            found = log_normals(residual, discrepancy(spec, rows, length, 1.0, drift), noise, sizes * unit)
            out[j, k] = found + prior[:, None]
    return out


def mixture(spec, rows, residual, sigma, offset=0.0):
    """Return the log density of residuals, length, drift and scale marginalised."""
    return logsumexp(each(spec, rows, residual, sigma, offset), axis=(0, 1, 2))


def bulk(
    count: int,
    scale: float,
    errors: str,
    draws: int = 40,
    seed: int = 0,
    sigma: float = 0.01,
    slope: float = 0.0,
) -> Bulk:
    """Make rows, and draws of residuals, sigma, length, scale and drift from their posterior.

    Parameters
    ----------
    count : int
        Rows, over two inputs.
    scale : float
        Of the discrepancy, in units of run noise.
    errors : {"none", "equal", "spread"}
        Known errors: of two orders of magnitude around run noise where they are spread.
    slope : float
        By which share of itself the law's slope wanders, per root of an e-fold; zero for one that does not.
    """
    rng = np.random.default_rng(seed)
    spec = two_inputs(bool(slope))
    columns = {"N": np.exp(rng.uniform(-3, 3, count)), "D": np.exp(rng.uniform(-3, 3, count))}
    error = {"none": 0.0, "equal": sigma, "spread": sigma * 10 ** rng.uniform(-1, 1, count)}[errors]
    attrs = middle([0.2, -0.4], [-0.05, -0.03])
    rows = Rows(np.zeros(count), np.broadcast_to(error, count).astype(float), np.zeros(count), columns, attrs)
    place, drift = places(spec, rows), slope / (scale * sigma)
    total = covariance(spec, rows, 3.5, scale * sigma, sigma, drift)
    rows = replace(rows, y=np.linalg.cholesky(total) @ rng.standard_normal(count))
    y = rows.y
    law = np.column_stack([np.ones(count), place, place**2]) * [0.5, 0.3, 0.3, 0.05, 0.05]
    grid = sigma * np.exp(np.linspace(-1.2, 1.2, _SIGMAS if not slope else _SIGMAS // 2))
    prior = spec.noise["sigma"].prior_90
    mean, sd = np.log(prior).mean(), np.diff(np.log(prior))[0] / 3.29
    tables = np.array(
        [each(spec, rows, y, s, law @ law.T)[..., 0] - ((np.log(s) - mean) / sd) ** 2 / 2 for s in grid]
    )
    chance = np.exp(tables - tables.max()).ravel()
    at = np.unravel_index(rng.choice(chance.size, draws, p=chance / chance.sum()), tables.shape)
    residual = np.empty((draws, count))
    length, drift, size = lengths(spec)[0][at[1]], drifts(spec)[at[2]], scales(spec)[0][at[3]]
    for i, s in enumerate(grid[at[0]]):
        factor = cho_factor(covariance(spec, rows, length[i], size[i] * s, s, drift[i]))
        precision = np.eye(5) + law.T @ cho_solve(factor, law)
        root = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, law.T @ cho_solve(factor, y))
        residual[i] = y - law @ (mean + np.linalg.solve(root.T, rng.standard_normal(5)))
    step = np.log(grid[1] / grid[0])
    jitter = np.exp(step * rng.uniform(-0.5, 0.5, draws))
    return Bulk(spec, rows, residual, grid[at[0]] * jitter, length, size, drift)
