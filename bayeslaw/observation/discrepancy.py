"""A discrepancy from the law that varies smoothly over its inputs, beside run noise and sampling error: a Gaussian process.

The covariance of the rows is scale² K(length) + sigma² I + diag(error²). K is decomposed once for each
length on a grid, and length and scale are marginalised, so that a gradient costs a matrix-vector product and
its transpose. What NUTS would have to walk is a funnel: the larger the scale, the wider the law's own
parameters. Marginalised, that is a smooth heavy-tailed posterior of the law's parameters. Rows with known sampling errors
are weighted first, which makes the noise nearly a multiple of the identity: V_j = scale² d_j + sigma² a_j + (1 − a_j) v, where a_j is the share of run noise in
direction j. That is exact where the errors are equal, and where sigma² = v (a middle value of the
prior); in between it neglects how directions mix, a second-order term.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayeslaw.law.spec import Spec
from bayeslaw.law.types import Array, DensityOps, Tensor, Tensors
from bayeslaw.observation.base import Draws, Rows
from bayeslaw.observation.discrepancy_places import usual_covariance
from bayeslaw.observation.discrepancy_rows import GaussianProcessGivenRows, NewRows
from bayeslaw.observation.discrepancy_sizes import usual_value
from bayeslaw.observation.discrepancy_terms import TERMS, density_terms, has_shifts
from bayeslaw.observation.shifts import SHIFT, shift_density, shift_sizes, slots


def observe(spec: Spec) -> GaussianProcess:
    """Return the observation model of a law with a discrepancy over its inputs.

    Parameters
    ----------
    spec : Spec
        Resolved, with a ``[discrepancy]`` of kernel matern32, matern52 or brownian.

    Returns
    -------
    GaussianProcess
    """
    return GaussianProcess(spec)


@dataclass(frozen=True)
class GaussianProcess:
    """Rows around a curve whose discrepancy from the law is a Gaussian process over its inputs."""

    spec: Spec

    def latents(self, rows: Rows) -> dict[str, int]:
        """Return the size of the shifts' scores."""
        return {SHIFT: slots(rows)} if has_shifts(self.spec) else {}

    def scatter(self, rows: Rows) -> Array | None:
        """Return a usual discrepancy's covariance, with noise and known errors."""
        noise = 1 + (rows.error / usual_value(self.spec, "sigma")) ** 2
        return usual_covariance(self.spec, rows) + np.diag(noise)

    def prepare(self, rows: Rows) -> dict[str, Array]:
        """Stack the bases of all lengths, small eigenvalues left out."""
        terms = density_terms(self.spec, rows)
        if "node_square" not in terms:
            return terms
        from bayeslaw.observation.discrepancy_nodes import (
            compressed,  # compiled: who only forecasts needs no compiler
        )

        return compressed(terms)

    def joint(self, mean: Tensor, values: Tensors, terms: Tensors, ops: DensityOps) -> Tensor:
        """Return the log density, length and scale marginalised."""
        from bayeslaw.observation.discrepancy_nodes import (
            NODE_TERMS,  # compiled: who only forecasts needs no compiler
        )

        residual, more = terms["observed"] - mean, terms["constant"]
        if has_shifts(self.spec):
            residual = residual - ops.dot(shift_sizes(values, terms), terms["shift_row"].T)
            more = more + shift_density(values, terms, ops)
        if "node_square" in terms:
            given = (terms[n] for n in NODE_TERMS)
            return ops.with_gradient("nodes", residual, values["sigma"], *given) + more
        return ops.with_gradient("covariance", residual, values["sigma"], *(terms[n] for n in TERMS)) + more

    def unconditioned(self, values: Draws) -> NewRows:
        """Return what a curve does that was not seen."""
        return NewRows(self.spec, values)

    def condition(self, rows: Rows, mean: Array, values: Draws) -> GaussianProcessGivenRows:
        """Return what seen rows say of the curve."""
        return GaussianProcessGivenRows(self.spec, values, rows, mean)
