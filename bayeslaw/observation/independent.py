"""Rows that scatter independently around the law: Student-t or normal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayeslaw.observation.base import NUMPY, Observation, Rows, log_normal


def _log_t(residual: Any, variance: Any, nu: Any, ops: Any) -> Any:
    constant = ops.gammaln((nu + 1) / 2) - ops.gammaln(nu / 2) - ops.log(nu * np.pi) / 2
    return constant - ops.log(variance) / 2 - (nu + 1) / 2 * ops.log1p(residual**2 / (nu * variance))


def independent(family: str) -> Observation:
    """Return the observation model of independent rows.

    Parameters
    ----------
    family : {"StudentT", "Normal"}
        Run noise and sampling error together have variance sigma² + error².

    Returns
    -------
    Observation
    """

    def each(mean: Any, values: Mapping[str, Any], y: Any, error: Any, log_slope: Any, ops: Any) -> Any:
        variance = values["sigma"] ** 2 + error**2
        if family == "Normal":
            return log_normal(y - mean, variance, ops) + log_slope
        return _log_t(y - mean, variance, values["nu"], ops) + log_slope

    def prepare(rows: Rows) -> dict[str, np.ndarray]:
        return {"observed": rows.y, "sampling_error": rows.error, "log_slope": rows.log_slope}

    def joint(mean: Any, values: Mapping[str, Any], terms: Mapping[str, Any], ops: Any) -> Any:
        named = terms["observed"], terms["sampling_error"], terms["log_slope"]
        return each(mean, values, *named, ops).sum()

    def leave_one_out(mean: np.ndarray, values: Mapping[str, Any], rows: Rows) -> np.ndarray:
        # Rows are independent given the parameters: the others say nothing more.
        return each(mean, values, rows.y, rows.error, rows.log_slope, NUMPY)

    def left_out(mean, values, rows) -> tuple[np.ndarray, np.ndarray]:
        return mean, values["sigma"] ** 2 + rows.error**2

    def predict(mean, values, rows, new_mean, new_rows, rng, together=False) -> dict[str, np.ndarray]:
        scale = np.sqrt(values["sigma"] ** 2 + new_rows.error**2)
        noise = (
            rng.standard_normal(new_mean.shape) if family == "Normal"
            else rng.standard_t(np.broadcast_to(values["nu"], new_mean.shape))
        )  # fmt: skip
        return {"curve": new_mean, "run": new_mean + scale * noise}

    def density(mean, values, rows, new_mean, new_rows, rng) -> tuple[np.ndarray, np.ndarray]:
        rowwise = each(new_mean, values, new_rows.y, new_rows.error, new_rows.log_slope, NUMPY)
        return rowwise.sum(axis=-1), rowwise

    def fitted(mean: np.ndarray, values: Mapping[str, Any], rows: Rows) -> np.ndarray:
        return mean

    return Observation(prepare, joint, leave_one_out, predict, density, fitted, left_out=left_out)
