"""Counts as observations: c successes of n, the success rate scattering around the law.

The output's value at each row is itself inferred, on the scale of errors, and scatters around the law
as any other observation model says; the counts are binomial given it. So rows without a success stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayeslaw.data.pass_at_k import shown_share
from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array, DensityOps, Tensor, Tensors
from bayeslaw.observation.base import (
    NUMPY,
    Draws,
    GaussianConditional,
    GaussianObservation,
    Predictive,
    Rows,
)
from bayeslaw.observation.count_density import from_counts, log_binomial, log_counts, log_ways

LATENT = "rate_score"
"""Name of the latent vector: each row's output, standardised by what its counts and the law say of it."""
_TINY = 1e-12


def observe(spec: Spec, inner: GaussianObservation) -> Counts:
    """Return the observation model of counts whose rates scatter as `inner` says.

    Parameters
    ----------
    spec : Spec
    inner : GaussianObservation
        Of normal run noise, with or without a discrepancy.

    Returns
    -------
    Counts
        The scale of errors is log(−log p), p the success rate; the output is −log p.
    """
    return Counts(inner)


@dataclass(frozen=True)
class Counts:
    """Numbers of successes, whose rates are inferred and scatter around the law."""

    inner: GaussianObservation

    def latents(self, rows: Rows) -> dict[str, int]:
        """Return the size of the rates' scores, and what the rates' own scatter has."""
        return {LATENT: len(rows), **self.inner.latents(rows)}

    def prepare(self, rows: Rows) -> dict[str, Array]:
        """Return the counts, what they say of each row, and how the rates scatter."""
        scales, (n, c) = self.scales(rows), (rows.columns["n"], rows.columns["c"])
        given = self.inner.prepare(_exactly(rows, scales["centre"]))
        ways = np.asarray(log_ways(n, c).sum() + len(rows) / 2 * np.log(2 * np.pi))
        return {**given, **scales, "samples": n, "successes": c, "ways": ways}

    def scales(self, rows: Rows) -> dict[str, Array]:
        """Return what counts say of each row, and how large the law's scatter is against that, by direction."""
        centre, width = from_counts(rows.columns["n"], rows.columns["c"])
        around = self.inner.scatter(_exactly(rows, centre))
        if around is None:
            return {"centre": centre, "width": width, "gain": 1 / width**2}
        gain, turn = np.linalg.eigh(around / np.outer(width, width))
        return {"centre": centre, "width": width, "gain": np.maximum(gain, gain[-1] * _TINY), "turn": turn}

    def scatter(self, rows: Rows) -> Array | None:
        """Return the usual covariance of the rates, their counts' own errors with it."""
        return self.inner.scatter(replace(rows, error=from_counts(rows.columns["n"], rows.columns["c"])[1]))

    def joint(self, mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps) -> Tensor:
        """Return the log density of rates and counts."""
        score = values[LATENT]
        y, share = _outputs(score, mean, values, terms, ops)
        counts = log_binomial(y, terms["samples"], terms["successes"], ops).sum() + terms["ways"]
        # The score's own standard normal density is not meant: it is taken out again.
        log_jacobian = (ops.log(terms["width"]) + 0.5 * ops.log(share) + 0.5 * score**2).sum()
        return counts + log_jacobian + self.inner.joint(mean, values, {**terms, "observed": y}, ops)

    def scored(self, y: Tensor, mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps) -> Tensor:
        """Return the scores of outputs on the scale of errors, whatever of `terms` is of `scales`."""
        gap, share = _told(mean, values, terms, ops)
        step = (y - mean) / terms["width"]
        if "turn" in terms:
            step = ops.dot(step, terms["turn"])
        return (step - share * gap) / ops.sqrt(share)

    def outputs(
        self, score: Tensor, mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps
    ) -> tuple[Tensor, Tensor]:
        """Return outputs on the scale of errors from their scores, and the log of their derivative, all rows together."""
        y, share = _outputs(score, mean, values, terms, ops)
        return y, (ops.log(terms["width"]) + 0.5 * ops.log(share)).sum()

    def unconditioned(self, values: Draws) -> NewCounts:
        """Return what new counts do where none was seen."""
        return NewCounts(self.inner.unconditioned(values))

    def condition(self, rows: Rows, mean: Array, values: Draws) -> CountsGivenRows:
        """Return the conditional: that of the rates, which every draw knows."""
        y, _ = _outputs(values[LATENT][:, : len(rows)], mean, values, self.scales(rows), NUMPY)
        rates = self.inner.condition(_exactly(rows, np.asarray(y)), mean, values)
        return CountsGivenRows(rates, rows, values)


@dataclass(frozen=True)
class NewCounts:
    """New numbers of successes around the law."""

    rates: Predictive

    def predict(
        self, new_mean: Array, new_rows: Rows, rng: np.random.Generator, together: bool = False
    ) -> dict[str, Array]:
        """Draw rates, and of ``run`` the share of successes where the number of samples is known."""
        exact = replace(new_rows, error=np.zeros(len(new_rows)))
        drawn = self.rates.predict(new_mean, exact, rng, together)
        if "n" not in new_rows.columns:
            return drawn
        n = new_rows.columns["n"].astype(int)
        c = rng.binomial(n, np.exp(-np.exp(np.minimum(drawn["run"], 50.0))))
        return {**drawn, "run": np.log(-np.log(shown_share(np.broadcast_to(n, c.shape), c)))}


@dataclass(frozen=True)
class CountsGivenRows(NewCounts):
    """Counts that were seen."""

    rates: GaussianConditional
    rows: Rows
    values: Draws

    def density(self, new_mean: Array, new_rows: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the log chance of new counts."""
        curve = self.rates.predict(new_mean, new_rows, rng, True)["curve"]
        given = new_rows.columns["n"], new_rows.columns["c"]
        rowwise = log_counts(curve, self.values["sigma"] ** 2, *given)
        return rowwise.sum(axis=1), rowwise

    def fitted(self) -> Array:
        """Return the curve that the rates show."""
        return self.rates.fitted()

    def leave_one_out(self) -> Array:
        """Return each count's log chance from the others, its own rate marginalised."""
        centre, variance = self.rates.left_out()
        return log_counts(centre, variance, self.rows.columns["n"], self.rows.columns["c"])

    def complete(self, rng: np.random.Generator) -> dict[str, Array]:
        """Draw what the rates' density marginalised."""
        return self.rates.complete(rng)


def _exactly(rows: Rows, y: Array) -> Rows:
    """Return rows as if their outputs were known to be y."""
    return replace(rows, y=y, error=np.zeros(len(rows)), log_slope=np.zeros(len(rows)))


def _outputs(
    score: Tensor, mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps
) -> tuple[Tensor, Tensor]:
    """Return the rows' outputs from their scores, and how wide each score is in units of its counts'.

    A score is standard normal, nearly, under counts and law together: of rows with few counts it
    is the run noise, of rows with many what is left of their sampling error. Where there is a discrepancy,
    neighbours do so together: then scores are of directions, not of rows.
    """
    turn = terms.get("turn")
    gap, share = _told(mean, values, terms, ops)
    step = share * gap + ops.sqrt(share) * score
    if turn is not None:
        step = ops.dot(step, turn.T)
    return mean + terms["width"] * step, share


def _told(mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps) -> tuple[Tensor, Tensor]:
    """Return how far the counts are from the law in units of their widths, and what share of it they have to say."""
    turn = terms.get("turn")
    spread = values["sigma"] ** 2 * terms["gain"]
    gap = (terms["centre"] - mean) / terms["width"]
    return gap if turn is None else ops.dot(gap, turn), spread / (1 + spread)
