"""A discrepancy's density and predictions by dense algebra, and rows with points of their posterior's bulk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import logsumexp

import bayeslaw as bl
from bayeslaw.observation.base import Rows
from bayeslaw.observation.discrepancy_places import places
from bayeslaw.observation.discrepancy_shapes import lengths, scales
from bayeslaw.observation.discrepancy_sizes import discrepancy_of
from bayeslaw.observation.kernels import kernel

_SIGMAS = 41


@dataclass(frozen=True)
class Bulk:
    """Rows of a law whose discrepancy is known, and draws of their exact posterior, the law being linear."""

    spec: bl.Spec
    rows: Rows
    residual: np.ndarray  # (draws, rows)
    sigma: np.ndarray  # (draws,)
    length: np.ndarray
    scale: np.ndarray


def two_inputs() -> bl.Spec:
    """Return the law of parameters and tokens with references as numbers."""
    spec = bl.load_model("chinchilla")
    document = {
        **spec.document,
        "inputs": {n: {**e, "reference": 1.0} for n, e in spec.document["inputs"].items()},
    }
    from bayeslaw.law.parse import parse_spec

    return parse_spec(document, "chinchilla")


def covariance(spec, rows, length, scale, sigma):
    """Return the rows' covariance; the scale is on the scale of errors."""
    place = places(spec, rows)
    noise = sigma**2 + rows.error**2
    return scale**2 * kernel(discrepancy_of(spec).kernel, place, place, length) + np.diag(noise)


def log_normal(residual, covariance):
    """Return the log density of residuals, (draws, rows) or (rows,)."""
    factor = np.linalg.cholesky(covariance)
    white = solve_triangular(factor, np.atleast_2d(residual).T, lower=True)
    log_det = 2 * np.log(np.diag(factor)).sum()
    return -0.5 * ((white**2).sum(axis=0) + log_det + len(factor) * np.log(2 * np.pi))


def each(spec, rows, residual, sigma, offset=0.0):
    """Return the log density of residuals at each length and scale, their weights with it: (lengths, scales, draws)."""
    (grid, by_length), (sizes, by_scale) = lengths(spec), scales(spec)
    unit = sigma if discrepancy_of(spec).relative else 1.0
    return np.array([
        [a + b + log_normal(residual, covariance(spec, rows, j, s * unit, sigma) + offset) for s, b in zip(sizes, by_scale, strict=True)]
        for j, a in zip(grid, by_length, strict=True)
    ])  # fmt: skip


def mixture(spec, rows, residual, sigma, offset=0.0):
    """Return the log density of residuals, length and scale summed over."""
    return logsumexp(each(spec, rows, residual, sigma, offset), axis=(0, 1))


def bulk(count: int, scale: float, errors: str, draws: int = 40, seed: int = 0, sigma: float = 0.01) -> Bulk:
    """Make rows, and draws of residuals, sigma, length and scale from their posterior.

    Parameters
    ----------
    count : int
        Rows, over two inputs.
    scale : float
        Of the discrepancy, in units of run noise.
    errors : {"none", "equal", "spread"}
        Known errors: of two orders of magnitude around run noise where they are spread.
    """
    rng = np.random.default_rng(seed)
    spec = two_inputs()
    columns = {"N": np.exp(rng.uniform(-3, 3, count)), "D": np.exp(rng.uniform(-3, 3, count))}
    error = {"none": 0.0, "equal": sigma, "spread": sigma * 10 ** rng.uniform(-1, 1, count)}[errors]
    rows = Rows(np.zeros(count), np.broadcast_to(error, count).astype(float), np.zeros(count), columns)
    place = places(spec, rows)
    y = np.linalg.cholesky(covariance(spec, rows, 3.5, scale * sigma, sigma)) @ rng.standard_normal(count)
    rows = Rows(y, rows.error, rows.log_slope, columns)
    law = np.column_stack([np.ones(count), place, place**2]) * [0.5, 0.3, 0.3, 0.05, 0.05]
    grid = sigma * np.exp(np.linspace(-1.2, 1.2, _SIGMAS))
    prior = spec.noise["sigma"].prior_90
    middle, sd = np.log(prior).mean(), np.diff(np.log(prior))[0] / 3.29
    tables = np.array(
        [each(spec, rows, y, s, law @ law.T)[..., 0] - ((np.log(s) - middle) / sd) ** 2 / 2 for s in grid]
    )
    chance = np.exp(tables - tables.max()).ravel()
    at = np.unravel_index(rng.choice(chance.size, draws, p=chance / chance.sum()), tables.shape)
    residual = np.empty((draws, count))
    for i, (s, j, k) in enumerate(zip(*at, strict=True)):
        factor = cho_factor(
            covariance(spec, rows, lengths(spec)[0][j], scales(spec)[0][k] * grid[s], grid[s])
        )
        precision = np.eye(5) + law.T @ cho_solve(factor, law)
        root = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, law.T @ cho_solve(factor, y))
        residual[i] = y - law @ (mean + np.linalg.solve(root.T, rng.standard_normal(5)))
    step = np.log(grid[1] / grid[0])
    jitter = np.exp(step * rng.uniform(-0.5, 0.5, draws))
    return Bulk(spec, rows, residual, grid[at[0]] * jitter, lengths(spec)[0][at[1]], scales(spec)[0][at[2]])
