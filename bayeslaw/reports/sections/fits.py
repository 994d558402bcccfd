"""Show every fit's parameters, the point fit beside them."""

from __future__ import annotations

import pandas as pd

from bayeslaw.assess.summary import summary
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.methods import METHODS
from bayeslaw.reports.cases import BOOTSTRAP, Case
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section, Table


def fits_section(content: Content) -> Section:
    """Show every fit's parameters, the point fit beside them."""
    parts = [
        _mixture_part(case) if isinstance(case.fit, Mixture) else _fit_part(case, content.prob)
        for case in content.cases
    ]
    return Section("Fits", parts=tuple(parts))


def _mixture_part(case: Case) -> Section:
    mixture = case.fit
    score = mixture.scores["log_score_joint"]
    weights = pd.DataFrame({"weight (share)": pd.Series(dict(mixture.weights))}).rename_axis("law")
    if {"law", "window"} == set(score.dims):
        weights["log score of blocks ahead (nat)"] = score.sum("window").to_pandas().reindex(weights.index)
    text = f"A weighted mixture of {len(mixture.weights)} laws, which predicts like one fit; its laws follow."
    return Section(
        case.name, (text,), (Table(weights, "How much each law counts, by how it predicted rows ahead."),)
    )


def _fit_part(case: Case, prob: float) -> Section:
    fit, beside = case.fit, case.point
    table = summary(fit, prob)
    caption = f"Parameters: median, central {100 * prob:g} % interval, mean, standard deviation"
    if fit.is_posterior:
        table = table.assign(**{n: table[n].round().astype("Int64") for n in ("ess_bulk", "ess_tail")})
        caption += ", R-hat and effective sample sizes (ESS)"
    else:
        caption = f"Parameters: the point, and median, central {100 * prob:g} % interval, mean and standard deviation of its bootstrap"
    told = [fit_words(fit)]
    if beside is not None:
        values = summary(beside, prob).reindex(table.index)
        table = table.assign(
            **{"point fit": values["point"], "its lower": values["lower"], "its upper": values["upper"]}
        )
        caption += f"; then the point fit with its bootstrap's interval ({BOOTSTRAP} resamples)"
        held = [f"{p.name} at {p.fixed:g}" for p in beside.spec.parameters.values() if p.fixed is not None]
        told += [f"The point fit holds {', '.join(held)}, as its source does."] if held else []
    elif case.reason:
        told.append(f"No point fit beside it: {case.reason}")
    names = {"rhat": "R\u2011hat", "ess_bulk": "bulk ESS", "ess_tail": "tail ESS"}
    # What a posterior's parameters mean stands with its priors; a point fit has none.
    unshown = ("unit", "meaning") if fit.is_posterior else ("unit",)
    table = table[[c for c in table if c not in unshown]].set_axis(_with_units(table), axis=0)
    return Section(case.name, tuple(told), (Table(table.rename(columns=names), caption + "."),))


def _with_units(table: pd.DataFrame) -> pd.Index:
    units = [f"{n} ({u})" if u not in ("", "1") else str(n) for n, u in table["unit"].items()]
    return pd.Index(units, name="parameter")


def fit_words(fit: Fit) -> str:
    """Say how a fit was made."""
    wanders = fit.spec.discrepancy is not None and fit.is_posterior
    errors = (
        "with a discrepancy: the true curve may wander from the law" if wanders else "with independent errors"
    )
    if not fit.is_posterior:
        errors = (
            "Huber loss, minimised from many starts; its intervals come from a bootstrap and the residuals"
        )
    title = METHODS[fit.method].title
    return f"{fit.spec.title}: {fit.spec.law.text} ({fit.spec.source}). {title[0].upper() + title[1:]} of {fit.data.sizes['obs']} rows, {errors}."
