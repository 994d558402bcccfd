"""Checks and summaries of a fit: values, never exceptions and never silence."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.assess.convergence import convergence, sampler_checks
from bayeslaw.assess.discrepancy_checks import discrepancy_checks
from bayeslaw.core.check import LEVELS, Check, from_json
from bayeslaw.core.errors import check_probability
from bayeslaw.inference.evidence import few_inputs, prior_conflict
from bayeslaw.inference.fit import (
    Fit,
    check_fit,
    fit_values,
    fitted_mean,
    flat_values,
    given_rows,
    residuals,
    row_names,
)
from bayeslaw.inference.point_fit import SAME_OPTIMUM
from bayeslaw.law.evaluate import to_scale
from bayeslaw.law.priors import log_priors, prior_sd, sampled, to_link
from bayeslaw.law.spec import Parameter

CORRELATED = 0.3
SENSITIVE = 0.05
_PPP = 0.01


def log_likelihood(fit: Fit) -> xr.DataArray:
    """Return the leave-one-out log density of every row under every posterior draw.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    xarray.DataArray
        Dims (chain, draw, obs); densities of the output in its own unit.
    """
    check_fit("log_likelihood(fit)", fit, posterior=True)
    draws, density = fit.draws, given_rows(fit).leave_one_out()
    shape = draws.sizes["chain"], draws.sizes["draw"], len(fit.bound.rows)
    return xr.DataArray(density.reshape(shape), dims=("chain", "draw", "obs"), coords=dict(draws.coords))


def summary(fit: Fit, prob: float = 0.9) -> pd.DataFrame:
    """Summarise the parameters: the paper's first, then those that were sampled.

    Parameters
    ----------
    fit : Fit
    prob : float
        Probability of the central interval.

    Returns
    -------
    pandas.DataFrame
        Index parameter; columns median, lower, upper, mean, sd, rhat, ess_bulk, ess_tail, unit,
        meaning. A point fit has ``point`` first, and the rest, R-hat and ESS aside, of its bootstrap.
        The median comes first since heavy tails have no telling mean. ``attrs["prob"]`` is `prob`.

    Raises
    ------
    InputError
        If `prob` is no probability.
    """
    check_fit("summary(fit)", fit)
    check_probability("prob", prob)
    draws = fit.draws
    flat = {n: v[:, 0] for n, v in flat_values(draws).items()}
    names = [*fit.spec.constants, *(n for n in flat if n not in fit.spec.derived)]
    statistics = convergence(draws) if fit.is_posterior else {}
    rows = []
    for name in names:
        values = flat[name]
        row: dict = {"parameter": name}
        if not fit.is_posterior:
            row["point"] = float(fit.tree["point"][name])
        row |= _located(values, prob)
        row |= {key: float(per[name]) for key, per in statistics.items()}
        rows.append({**row, **_describe(fit, name)})
    table = pd.DataFrame(rows).set_index("parameter")
    table.attrs["prob"] = float(prob)
    return table


def _located(values: np.ndarray, prob: float) -> dict[str, float]:
    """Return where draws lie: median, ends of the central interval, mean, sd; NaN where there are none."""
    if not len(values):
        return dict.fromkeys(("median", "lower", "upper", "mean", "sd"), np.nan)
    low, median, high = np.quantile(values, [(1 - prob) / 2, 0.5, (1 + prob) / 2])
    return {"median": median, "lower": low, "upper": high, "mean": values.mean(), "sd": values.std()}


def _describe(fit: Fit, name: str) -> dict[str, str]:
    spec = fit.spec
    owner = next((p for p in spec.parameters.values() if name in p.names), None)
    if owner is not None:
        return {"unit": "share", "meaning": f"{owner.meaning}: {name}"}
    entry = spec.derived.get(name) or spec.parameters.get(name) or spec.noise[name]
    share = isinstance(entry, Parameter) and entry.support == "unit"
    unit = entry.unit or ("share" if share else "1")  # "1": a pure number
    return {"unit": unit, "meaning": entry.meaning}


def checks(fit: Fit) -> list[Check]:
    """Check a fit.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    list of Check
        What the data's reader had to say, whether rows are enough for the law's parameters, then the
        sampler's checks or the optimiser's, then the law's: identification by the data, conflict
        with the prior and sensitivity to it, correlation of residuals, posterior predictive spread.
        At level ``fail`` can be too few inputs, and the sampler's.
    """
    check_fit("checks(fit)", fit)
    found = from_json(fit.data.attrs.get("checks", "[]"))
    if fit.is_posterior:
        return [
            *found,
            few_inputs(fit.bound),
            *sampler_checks(fit),
            *_identified(fit),
            *prior_conflict(fit),
            *_prior_sensitivity(fit),
            *discrepancy_checks(fit),
            *_residuals(fit),
            *_tails(fit),
            *_predictive(fit),
        ]
    return [*found, few_inputs(fit.bound), *_optimiser(fit), *_ungrouped(fit), *_residuals(fit)]


def _ungrouped(fit: Fit) -> list[Check]:
    """Say that a point fit knows no groups, where the law pools parameters over them."""
    pooled = fit.spec.pooled
    if not pooled:
        return []
    message = (
        f"A point fit pools nothing: {', '.join(pooled)} is one value for every {' and '.join(fit.spec.group_columns)}, "
        "and a forecast for one group is that of all; fit with method='nuts', or one group by itself."
    )
    return [Check("pooling", "warn", float(len(pooled)), message)]


def worst_level(found: list[Check]) -> str:
    """Return the gravest level among checks."""
    return max((c.level for c in found), key=LEVELS.index, default="ok")


def width_shares(fit: Fit) -> dict[str, float]:
    """Return each sampled scalar's posterior sd as a share of its prior's, on its link scale.

    Parameters
    ----------
    fit : Fit
        With method "nuts".

    Returns
    -------
    dict of str to float
        Near 1 the data say little.
    """
    shares = {}
    for p in sampled(fit.spec).values():
        if not p.names:
            with np.errstate(all="ignore"):
                link = to_link(p, fit.draws[p.name].values)
            shares[p.name] = float(link[np.isfinite(link)].std() / prior_sd(p))
    return shares


def _identified(fit: Fit) -> list[Check]:
    """Say which parameters the data hardly inform: their posterior is as wide as their prior."""
    shares = width_shares(fit)
    # The noise's shape is a nuisance: that it is uncertain says nothing of the law.
    law = {n: v for n, v in shares.items() if n in fit.spec.parameters}
    weak = {n: v for n, v in law.items() if v > 0.7}
    worst = max(law.values(), default=0.0)
    if not weak:
        return [
            Check(
                "identified", "ok", worst, "The data narrow every parameter of the law well below its prior."
            )
        ]
    named = ", ".join(f"{n} ({100 * v:.0f} % of its prior's sd)" for n, v in weak.items())
    return [
        Check(
            "identified",
            "note",
            worst,
            f"The data hardly inform {named}: what is said of it is the prior; widen the range of the data or fix it.",
        )
    ]


def prior_sensitivity(fit: Fit, values: xr.Dataset) -> dict[str, float]:
    """Measure how far a stronger or weaker prior would move quantities: power-scaling, by ArviZ.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
    values : xarray.Dataset
        Of what; dims (chain, draw), functions of the fit's own draws.

    Returns
    -------
    dict of str to float
        By name, 1; from 0.05 on the prior has a say.

    References
    ----------
    Kallioinen et al., doi:10.1007/s11222-023-10366-5
    """
    import arviz_stats as azs

    draws = fit.draws
    prior = log_priors(fit.spec, {n: v.values for n, v in draws.data_vars.items()})
    tree = xr.DataTree.from_dict({
        "posterior": values,
        "log_prior": xr.Dataset({n: (("chain", "draw"), v) for n, v in prior.items()}, draws.coords),
    })  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = azs.psense(tree, group="prior", var_names=list(values.data_vars))
    return {str(n): float(v) for n, v in found.items()}


def _prior_sensitivity(fit: Fit) -> list[Check]:
    names = list(fit.spec.constants) or list(fit.spec.scalar_names)
    moved = prior_sensitivity(fit, fit.draws[[n for n in names if n in fit.draws]])
    strongest = max(moved.values(), default=0.0)
    named = [n for n, v in moved.items() if v >= SENSITIVE]
    if not named:
        return [
            Check(
                "prior-sensitivity",
                "ok",
                strongest,
                "A stronger or weaker prior would not move the law's parameters noticeably.",
            )
        ]
    return [
        Check(
            "prior-sensitivity",
            "note",
            strongest,
            f"The prior has a say in {', '.join(named)}: fit again with another one, change(spec, prior={{…}}), before you rely on the parameter itself.",
        )
    ]


def _residuals(fit: Fit) -> list[Check]:
    """Measure the correlation of neighbouring residuals: along a run, or along the first input."""
    spec, data = fit.spec, fit.data
    residual = residuals(fit)
    along = (
        "step"
        if "step" in data.coords
        else next((i.column for i in spec.inputs.values() if i.column in data), None)
    )
    if along is None or len(residual) < 10:
        return []
    groups = (
        data["run"].values if "run" in data.coords and along == "step" else np.zeros(len(residual), dtype=int)
    )
    order = np.argsort(data[along].values, kind="stable")
    pairs = [residual[order[groups[order] == g]] for g in dict.fromkeys(groups)]
    scale = np.median(np.abs(residual)) * 5 + 1e-300  # outliers must not decide
    pairs = [np.clip(r, -scale, scale) for r in pairs]
    product = sum((r[1:] * r[:-1]).sum() for r in pairs)
    square = sum((r[1:] ** 2).sum() + (r[:-1] ** 2).sum() for r in pairs) / 2
    value = float(product / max(square, 1e-300))
    where = "along each run" if along == "step" else f"along {along}"
    if value < max(CORRELATED, 2 / np.sqrt(len(residual))):
        return [
            Check(
                "residual-correlation",
                "ok",
                value,
                f"Neighbouring residuals {where} are nearly independent (lag-1 correlation {value:.2f}).",
            )
        ]
    return [
        Check(
            "residual-correlation",
            "warn",
            value,
            f"Neighbouring residuals {where} are correlated (lag-1 {value:.2f}): the rows say less than {_believes(fit)}",
        )
    ]


def _believes(fit: Fit) -> str:
    """Say what a fit takes rows for that correlated residuals contradict, and what to do about it."""
    if not fit.is_posterior:
        return "this point fit's bootstrap believes, which draws them as if independent, so its intervals are too narrow, above all beyond the data; do not decide on their width."
    found = fit.spec.discrepancy
    if found is None:
        return "this fit of independent errors believes, so its intervals are too narrow, above all beyond the data; do not decide on their width."
    over = ", ".join(found.over)
    return f"this fit believes, whose discrepancy over {over} does not take up all that they share, so its intervals may be too narrow; look for what neighbours have in common beside {over} (a run, a family, an order of measurement), and hold its forecasts against a back-test."


def _tails(fit: Fit) -> list[Check]:
    """Say when the noise has heavier tails than the prior expected: the fit calls rows outliers."""
    nu = fit.spec.noise.get("nu")
    if nu is None or nu.fixed is not None:
        return []
    value, expected = float(fit.draws["nu"].median()), nu.prior_90
    if value >= expected[0]:
        return [
            Check("tails", "ok", value, f"The noise has no heavier tails than expected (nu {value:.1f}).")
        ]
    rows = outlying_rows(fit)
    named = ", ".join(rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    message = (
        f"nu is {value:.2g}, below the prior's {expected[0]:g} to {expected[1]:g}: the fit takes {named or 'some rows'} "
        "for outliers and is sure of the rest. Look at the residuals: if those rows are sound, the law or the "
        "independence of errors is not, and the intervals are too narrow; compare with method='map'."
    )
    return [Check("tails", "warn", value, message)]


def outlying_rows(fit: Fit, factor: float = 10.0) -> list[str]:
    """Name the rows whose residuals are far outside the fit's own noise, the farthest first.

    Parameters
    ----------
    fit : Fit
        With method "nuts".
    factor : float
        How many times the noise's scale is far.

    Returns
    -------
    list of str
    """
    data = fit.data
    scale = np.median(fit_values(fit)["sigma"])
    residual = residuals(fit)
    far = [i for i in np.argsort(-np.abs(residual)) if abs(residual[i]) > factor * scale]
    return row_names(data, np.array(far, dtype=int))


def _predictive(fit: Fit) -> list[Check]:
    """Compare the spread and the extremes of the data with those of replicated data."""
    spec, data = fit.spec, fit.data
    replicated = fit.tree["posterior_predictive"][spec.output.name].values
    thin = fit.draws.sizes["draw"] // replicated.shape[1]
    mean = fitted_mean(fit).reshape(*fit.draws.sizes.values(), -1)[:, :: max(1, thin)]
    mean = mean.reshape(-1, mean.shape[-1])
    with np.errstate(all="ignore"):
        again = to_scale(replicated.reshape(mean.shape), spec.output.scale) - mean
    seen = to_scale(data[spec.output.name].values, spec.output.scale) - mean
    out = []
    for name, statistic in (
        ("spread", lambda r: np.median(np.abs(r), axis=1)),
        ("extremes", lambda r: np.max(np.abs(r), axis=1)),
    ):
        p = float(np.mean(statistic(again) >= statistic(seen)))
        odd = not _PPP <= p <= 1 - _PPP
        advice = (
            ": data like these would be rare if the model were right; look at the residuals" if odd else ""
        )
        out.append(
            Check(
                f"predictive-{name}",
                "note" if odd else "ok",
                p,
                f"Posterior predictive p of the residuals' {name} {p:.2f}{advice}.",
            )
        )
    return out


def _optimiser(fit: Fit) -> list[Check]:
    point = fit.tree["point"].to_dataset()
    starts = fit.tree["starts"]["objective"].values
    best = float(point["objective"])
    reached = int((starts <= best * (1 + SAME_OPTIMUM) + 1e-300).sum())
    share = reached / len(starts)
    few = reached < 2 or share < 0.05
    advice = (
        ": it may not be the global one; look for a second optimum with other data or fix a parameter"
        if few
        else ""
    )
    out = [
        Check(
            "optimum",
            "warn" if few else "ok",
            share,
            f"{reached} of {len(starts)} starts reached the optimum {best:.8g} (within {SAME_OPTIMUM:g} relative){advice}.",
        )
    ]
    bound = [n for n in fit.spec.scalar_names if n in point and _at_bound(fit, n, float(point[n]))]
    if bound:
        out.append(
            Check(
                "bounds",
                "note",
                float(len(bound)),
                f"{', '.join(bound)} ended at a bound: the point fit cannot say how large it might be; the posterior can.",
            )
        )
    return out


def _at_bound(fit: Fit, name: str, value: float) -> bool:
    p = fit.spec.parameters.get(name)
    if p is None or p.support == "unit":
        low, high = (p.bounds or (0.0, 1.0)) if p else (0.0, 1.0)
        return value <= low + 1e-9 or value >= high - 1e-9
    return p.support == "positive" and value < 1e-9
