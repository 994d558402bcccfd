"""Show a fit or a mixture by itself: ten lines of text, and a small piece of HTML for notebooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from bayeslaw.assess.summary import summary
from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import Fit
from bayeslaw.reports.elements import Section, Table
from bayeslaw.reports.page import fragment
from bayeslaw.reports.shown_lines import (
    PROB,
    checks_line,
    fit_lines,
    how_line,
    known_checks,
    law_line,
    mixture_lines,
)
from bayeslaw.reports.sparks import pictures

_WIDTH = 110


def text(shown: Fit | Mixture) -> str:
    """Describe a fit or a mixture in ten lines at most.

    Parameters
    ----------
    shown : Fit or Mixture

    Returns
    -------
    str
        Law, rows, how it was fitted, the paper's parameters (median and 90 % interval; of a point fit
        the point and its bootstrap's), and the checks that are not fine. Of a mixture its laws'
        weights. What cannot be told of a damaged fit is said in its place.
    """
    parts = mixture_lines(shown) if isinstance(shown, Mixture) else fit_lines(shown)
    return "\n".join(line for what, part in parts for line in _guarded(what, part))


def html(shown: Fit | Mixture) -> str:
    """Show a fit or a mixture in a notebook: parameters, checks, and a small figure.

    Parameters
    ----------
    shown : Fit or Mixture

    Returns
    -------
    str
        HTML, below 60 kB; all text is escaped, nothing is fetched.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        section = _mixture_section(shown) if isinstance(shown, Mixture) else _fit_section(shown)
        return fragment(section)


def _guarded(what: str, part: Callable[[], list[str]]) -> list[str]:
    """Return a part's lines; of a damaged fit, what is wrong with that part: a repr never raises."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in part()]
    except Exception as error:
        return [f"  ({what} cannot be told: {type(error).__name__})"]


def _fit_section(fit: Fit) -> Section:
    shown = summary(fit, PROB)
    named = shown["unit"].where(~shown["unit"].isin(["", "1"]), "")
    shown = shown.drop(columns=["mean", "sd", "ess_tail"], errors="ignore").assign(unit=named)
    shown = shown.assign(**{n: shown[n].round().astype("Int64") for n in ("ess_bulk",) if n in shown})
    shown = shown.rename(columns={"rhat": "R\u2011hat", "ess_bulk": "bulk ESS"})
    caption = f"Central {100 * PROB:g} % intervals{' of the bootstrap' if not fit.is_posterior else ''}."
    found, whole = known_checks(fit)
    return Section(
        f"{fit.spec.name}: {fit.spec.title}",
        (f"{law_line(fit)}. {fit.data.sizes['obs']} rows; {how_line(fit)}.", checks_line(found, whole)),
        (Table(shown, caption),), pictures(fit), tuple(c for c in found if c.level != "ok"),
    )  # fmt: skip


def _mixture_section(mixture: Mixture) -> Section:
    laws = {n: law_line(fit) for n, fit in mixture.fits.items()}
    shown = pd.DataFrame({"weight": pd.Series(dict(mixture.weights)), "law": laws}).rename_axis("name")
    found, whole = known_checks(mixture)
    rows = next(iter(mixture.fits.values())).data.sizes["obs"]
    return Section(
        f"Mixture of {len(mixture.weights)} laws",
        (f"{rows} rows, fitted by each law.", checks_line(found, whole)),
        (Table(shown, "How much each law counts."),), pictures(mixture),
        tuple(c for c in dict.fromkeys(found) if c.level != "ok"),
    )  # fmt: skip
