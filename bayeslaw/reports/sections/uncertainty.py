"""Show where each forecast's uncertainty comes from."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayeslaw.core.numbers import show
from bayeslaw.forecasts.variance import COMPONENTS, TOTAL, split
from bayeslaw.reports.ahead import Ahead
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Section, Table
from bayeslaw.reports.wording import place


def uncertainty_section(content: Content) -> Section | None:
    """Show where each forecast's uncertainty comes from."""
    cases = content.cases
    texts = (
        "What of each forecast's variance (of a run, on the scale of errors) comes from what: its covariance with the whole over the variance of "
        "the whole, so that shares add up to one. Law and discrepancy trade off given the data; a negative share says that a component "
        "mostly makes up for another one, so that without it the forecast would be wider.",
        "Parameters and law choice shrink with more or other data; run noise and evaluation noise do not.",
    )
    tables = [split(case.fit, **_last_step(ahead)) for case in cases for ahead in case.ahead]
    if not tables:
        return None
    places = [(case, ahead, row) for case in cases for ahead in case.ahead for row in ahead.rows]
    owns = [own for table in tables for _, own in table.groupby(table.columns[0], sort=False)]
    frame = pd.DataFrame([
        {"fit": case.name, "run at": place(case, ahead, row), **_share_words(own)}
        for (case, ahead, row), own in zip(places, owns, strict=True)
    ]).set_index("fit")  # fmt: skip
    units = ", ".join(dict.fromkeys(table.attrs["units"] for table in tables))
    frame = frame[[n for n in ("run at", *COMPONENTS, "sd") if n in frame]].fillna("–")
    frame = frame.rename(columns={n: f"{n} (%)" for n in COMPONENTS} | {"sd": f"sd ({units})"})
    caption = "Shares of the variance, and the standard deviation of the whole."
    return Section("Where the uncertainty comes from", texts, (Table(frame, caption),))


def _last_step(ahead: Ahead) -> dict[str, Any]:
    """Return the arguments of `split`: of a schedule, its last step."""
    steps = {"steps": [int(ahead.fc["step"].values[-1])]} if "step" in ahead.fc.dims else {}
    return ahead.asked | steps


def _share_words(own: pd.DataFrame) -> dict[str, str]:
    """Return the shares of one forecast in per cent, and the sd of the whole."""
    share, sd = (dict(zip(own["component"], own[n], strict=True)) for n in ("share", "sd"))
    return {n: f"{100 * v:.1f}" for n, v in share.items() if n != TOTAL} | {"sd": show(float(sd[TOTAL]))}
