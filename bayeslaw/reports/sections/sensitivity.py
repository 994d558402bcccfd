"""Show how much the prior has a say in each parameter of a posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.assess.prior_checks import SENSITIVE, prior_sensitivity, width_shares
from bayeslaw.inference.fit import Fit
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section, Table


def sensitivity_section(content: Content) -> Section | None:
    """Show how much the prior has a say in each parameter of a posterior."""
    text = (
        f"How far a slightly stronger or weaker prior would move each parameter (power-scaling); from {SENSITIVE:g} on the prior has a say. "
        "Beside it, how much narrower the posterior is than the prior, on the scale on which the prior is a normal: near 100 % the data say little."
    )
    parts = [
        Section(case.name, tables=(Table(_sensitivity(case.fit)),))
        for case in content.fits
        if case.fit.is_posterior
    ]
    return Section("Sensitivity to the priors", (text,), parts=tuple(parts)) if parts else None


def _sensitivity(fit: Fit) -> pd.DataFrame:
    draws = fit.draws
    names = [n for n in (*fit.spec.constants, *draws.data_vars) if n in draws]
    moved = prior_sensitivity(fit, draws[list(dict.fromkeys(map(str, names)))])
    narrower = {n: 100 * share for n, share in width_shares(fit).items()}
    frame = pd.DataFrame({"sensitivity (1)": moved, "sd, % of the prior's": narrower}).reindex(list(moved))
    says = np.where(frame["sensitivity (1)"] >= SENSITIVE, "has a say", "hardly matters")
    return frame.assign(**{"the prior": says}).rename_axis("parameter")
