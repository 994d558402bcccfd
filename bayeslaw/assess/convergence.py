"""Whether the sampler did its work: R-hat, effective sample sizes, divergences, BFMI, the density that it sampled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayeslaw.core.check import Check
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.nuts import LOST
from bayeslaw.inference.pilot import LARGEST_BEYOND, LARGEST_EDGE, LARGEST_MISS

MAX_RHAT = 1.01
MIN_ESS = 400.0
MIN_BFMI = 0.3
MAX_PARETO_K = 0.7
SAMPLER_CHECKS = ("rhat", "ess-bulk", "ess-tail", "divergences", "bfmi", "density")
"""What `sampler_checks` checks; any other check that fails is no fault of the sampler."""


def convergence(draws: xr.Dataset) -> dict[str, dict[str, float]]:
    """Compute R-hat and effective sample sizes of every parameter, by ArviZ."""
    from arviz_stats.base import array_stats

    # Of plain arrays: datasets take as long to be taken apart as the statistics do.
    stacked = np.stack([v.transpose("chain", "draw").values for v in draws.data_vars.values()])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = {
            "rhat": array_stats.rhat(stacked),
            "ess_bulk": array_stats.ess(stacked, method="bulk"),
            "ess_tail": array_stats.ess(stacked, method="tail", prob=(0.05, 0.95)),
        }
    names = [str(n) for n in draws.data_vars]
    return {key: dict(zip(names, map(float, values), strict=True)) for key, values in found.items()}


def sampler_checks(fit: Fit) -> list[Check]:
    """Check the sampler alone: R-hat, effective sample sizes, divergences, BFMI, and beside a discrepancy its density.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    list of Check
    """
    # What follows from fixed parameters alone does not move, as it should not.
    still = [n for n in fit.spec.derived if n in fit.draws and float(fit.draws[n].std()) == 0.0]
    per = convergence(fit.draws.drop_vars(still))
    stats = fit.tree["sample_stats"].to_dataset()
    out = []
    for key, bound, sign, worst in (
        ("rhat", MAX_RHAT, 1, max),
        ("ess_bulk", MIN_ESS, -1, min),
        ("ess_tail", MIN_ESS, -1, min),
    ):
        # A parameter that never moved has no R-hat: that is a failure too.
        values = {n: (v if np.isfinite(v) else np.inf * sign) for n, v in per[key].items()}
        name = worst(values, key=values.get)
        value = values[name]
        failed = value * sign > bound * sign
        wanted = f"at most {bound:g}" if sign > 0 else f"at least {bound:g}"
        advice = "; run longer (more draws and tune), or fix what the data cannot tell" if failed else ""
        lost = stats.attrs.get(LOST, 0) if key == "rhat" else 0
        if lost:
            advice = f"; all were run again, for {lost} had ended where there is next to no mass{advice}"
        label = {"rhat": "R-hat", "ess_bulk": "bulk ESS", "ess_tail": "tail ESS"}[key]
        out.append(
            Check(
                key.replace("_", "-"),
                "fail" if failed else "ok",
                value,
                f"Worst {label} {value:.{3 if sign > 0 else 0}f} ({name}), wanted {wanted}{advice}.",
            )
        )
    diverging = int(stats["diverging"].sum())
    advice = (
        "; the posterior is not fully explored: raise target_accept (0.99), or fix what the data cannot tell"
        if diverging
        else ""
    )
    out.append(
        Check(
            "divergences",
            "fail" if diverging else "ok",
            float(diverging),
            f"{diverging} divergent transition(s), wanted none{advice}.",
        )
    )
    return [*out, _bfmi(stats["energy"].values), *_density(stats.attrs)]


def _density(told: Mapping[str, float]) -> list[Check]:
    """Check how far the density that was sampled is from the exact one, as `inference.pilot` measured it."""
    if "density_miss" not in told:
        return []
    miss, edge, k, beyond = (float(told[f"density_{n}"]) for n in ("miss", "edge", "pareto_k", "beyond"))
    covered = edge <= LARGEST_EDGE and beyond <= LARGEST_BEYOND
    if miss <= LARGEST_MISS and covered:
        text = f"The density that was sampled is within {max(miss, 1e-4):.1g} nat of the exact one."
        return [Check("density", "ok", miss, text)]
    if covered and k <= MAX_PARETO_K:
        text = f"The density that was sampled is {miss:.2g} nat off; draws were drawn again by weights (Pareto k {k:.2f})."
        return [Check("density", "ok", miss, text)]
    told_of = f"{miss:.2g} nat off" if covered else "cut off where its grid ends"
    text = (
        f"The density that was sampled is {told_of}, and draws may not be the posterior's: fit with another seed, or "
        "narrow a prior, that of sigma first."
    )
    return [Check("density", "fail", miss, text)]


def _bfmi(energy: np.ndarray) -> Check:
    value = float(
        (np.square(np.diff(energy, axis=1)).mean(axis=1) / np.maximum(energy.var(axis=1), 1e-300)).min()
    )
    failed = value < MIN_BFMI
    advice = "; the tails are badly explored: tighten a prior" if failed else ""
    return Check(
        "bfmi",
        "fail" if failed else "ok",
        value,
        f"Lowest BFMI {value:.2f}, wanted at least {MIN_BFMI:g}{advice}.",
    )
