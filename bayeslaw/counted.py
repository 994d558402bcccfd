"""Counts as observations: c successes of n, the success rate scattering around the law.

The output's value at each row is itself inferred, on the scale of errors, and scatters around the law
as any other observation model says; the counts are binomial given it. So rows without a success stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import gammaln

from bayeslaw.counts import shown_share
from bayeslaw.observation import NUMPY, Observation, Rows

LATENT = "rate_score"
"""Name of the latent vector: each row's output, standardised by what its counts and the law say of it."""
_STEP = 32
_TINY = 1e-12


def counted(inner: Observation) -> Observation:
    """Return the observation model of counts whose rates scatter as `inner` says.

    Parameters
    ----------
    inner : Observation
        Of normal run noise, with or without a discrepancy.

    Returns
    -------
    Observation
        The scale of errors is log(−log p), p the success rate; the output is −log p.
    """

    def latents(rows: Rows) -> dict[str, int]:
        return {LATENT: _padded(len(rows)), **inner.latents(rows)}

    def prepare(rows: Rows) -> dict[str, np.ndarray]:
        centre, width = _from_counts(rows)
        n, c = rows.columns["n"], rows.columns["c"]
        plain = replace(rows, y=centre, error=np.zeros(len(rows)), log_slope=np.zeros(len(rows)))
        return {**inner.prepare(plain), **_scales(plain, width), "centre": centre, "samples": n, "successes": c,
                "ways": np.float64(_log_ways(n, c).sum() + len(rows) / 2 * np.log(2 * np.pi))}  # fmt: skip

    def _scales(rows: Rows, width: np.ndarray) -> dict[str, np.ndarray]:
        """Return the widths of counts, and how the law's scatter is large against them, by direction."""
        wander = inner.wandering(rows)
        if wander is None:
            return {"width": width, "gain": 1 / width**2}
        gain, turn = np.linalg.eigh((wander + np.eye(len(rows))) / np.outer(width, width))
        return {"width": width, "gain": np.maximum(gain, gain[-1] * _TINY), "turn": turn}

    def outputs(score: Any, mean: Any, values: Mapping[str, Any], terms: Mapping[str, Any], ops: Any) -> Any:
        """Return the rows' outputs from their scores, and how wide each score is in units of its counts'.

        A score is standard normal, nearly, under counts and law together: of rows with few counts it
        is the run noise, of rows with many what is left of their sampling error. Where the curve wanders,
        neighbours do so together: then scores are of directions, not of rows.
        """
        turn = terms.get("turn")
        spread = values["sigma"] ** 2 * terms["gain"]
        share = spread / (1 + spread)  # what the counts have to say
        gap = (terms["centre"] - mean) / terms["width"]
        if turn is not None:
            gap = ops.dot(gap, turn)
        step = share * gap + ops.sqrt(share) * score
        if turn is not None:
            step = ops.dot(step, turn.T)
        return mean + terms["width"] * step, share

    def joint(mean: Any, values: Mapping[str, Any], terms: Mapping[str, Any], ops: Any) -> Any:
        score = values[LATENT][: terms["centre"].shape[0]]
        y, share = outputs(score, mean, values, terms, ops)
        counts = _log_binomial(y, terms["samples"], terms["successes"], ops).sum() + terms["ways"]
        # The score's own standard normal density is not meant: it is taken out again.
        slope = (ops.log(terms["width"]) + 0.5 * ops.log(share) + 0.5 * score**2).sum()
        return counts + slope + inner.joint(mean, values, {**terms, "observed": y}, ops)

    def latent_rows(mean: np.ndarray, values: Mapping[str, Any], rows: Rows) -> Rows:
        y, _ = outputs(values[LATENT][:, : len(rows)], mean, values, prepare(rows), NUMPY)
        return replace(rows, y=y, error=np.zeros(len(rows)), log_slope=np.zeros(len(rows)))

    def leave_one_out(mean, values, rows) -> np.ndarray:
        # p(c_i | c_−i, parameters) = 1 / E[1 / p(c_i | y_i)] needs the draws of y_i: what PSIS does with p(c_i | y_i).
        y = latent_rows(mean, values, rows).y
        return _log_binomial(y, rows.columns["n"], rows.columns["c"], NUMPY) + _log_ways(
            rows.columns["n"], rows.columns["c"]
        )

    def predict(mean, values, rows, new_mean, new_rows, rng, together=False) -> dict[str, np.ndarray]:
        seen = None if rows is None else latent_rows(mean, values, rows)
        exact = replace(new_rows, error=np.zeros(len(new_rows)))
        drawn = inner.predict(mean, values, seen, new_mean, exact, rng, together)
        if "n" not in new_rows.columns:
            return drawn
        n = new_rows.columns["n"].astype(int)
        c = rng.binomial(n, np.exp(-np.exp(np.minimum(drawn["run"], 50.0))))
        return {**drawn, "run": np.log(-np.log(shown_share(np.broadcast_to(n, c.shape), c)))}

    def density(mean, values, rows, new_mean, new_rows, rng) -> tuple[np.ndarray, np.ndarray]:
        exact = replace(new_rows, error=np.zeros(len(new_rows)))
        n, c = new_rows.columns["n"], new_rows.columns["c"]
        y = inner.predict(mean, values, latent_rows(mean, values, rows), new_mean, exact, rng, True)["run"]
        rowwise = _log_binomial(y, n, c, NUMPY) + _log_ways(n, c)
        return rowwise.sum(axis=1), rowwise

    def fitted(mean, values, rows) -> np.ndarray:
        return inner.fitted(mean, values, latent_rows(mean, values, rows))

    def complete(mean, values, rows, rng) -> dict[str, np.ndarray]:
        return inner.complete(mean, values, latent_rows(mean, values, rows), rng)

    return Observation(
        prepare, joint, leave_one_out, predict, density, fitted, latents=latents, complete=complete
    )


def _padded(rows: int) -> int:
    """Return the length of a latent vector that serves `rows` rows, so that few lengths have to be compiled."""
    step = _STEP if rows <= 8 * _STEP else 4 * _STEP
    return -(-rows // step) * step


def _from_counts(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's output on the scale of errors and its standard error, from its counts alone."""
    n, c = (np.asarray(rows.columns[name], dtype=float) for name in ("n", "c"))
    p = (c + 0.5) / (n + 1)
    y = -np.log(p)
    return np.log(y), np.sqrt(p * (1 - p) / (n + 1)) / (p * y)


def _log_ways(n: np.ndarray, c: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(c + 1) - gammaln(n - c + 1)


def _log_binomial(y: Any, n: Any, c: Any, ops: Any) -> Any:
    """Log density of counts without its constant, p = exp(−exp(y))."""
    rate = ops.exp(y)
    return -c * rate + (n - c) * ops.log(-ops.expm1(-rate))
