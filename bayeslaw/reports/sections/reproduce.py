"""Say how each fit is made again, and what else a page can show."""

from __future__ import annotations

import json

import pandas as pd

from bayeslaw.forecasts.mixture import Mixture
from bayeslaw.inference.fit import Fit
from bayeslaw.reports.cases import Case
from bayeslaw.reports.commands import python_commands, shell_commands
from bayeslaw.reports.content import Content
from bayeslaw.reports.elements import Code, Section, Table

_MORE = {
    "stability": "`--stability` (a file of `bayeslaw stability`: over how many orders the law holds)",
    "comparison": "`--compare` (laws that were fitted to the same rows, side by side)",
    "backtest": "`--backtest` (a file of `bayeslaw backtest`: how forecasts of rows that were not seen turned out)",
}
"""What a report shows if it is given."""


def reproduce_section(content: Content) -> Section:
    """Say how each fit is made again, to the bit on the same machine, and what else a page can show."""
    cases = content.cases
    text = (
        "TABLE is the file that the rows came from, read with the conditions, renames and joins of then. The frozen law below goes "
        "into the file that the commands name; the rows' hash says whether the table is the same. Seeds make results bit-identical on one machine."
    )
    posteriors = sum(isinstance(case.fit, Fit) and case.fit.is_posterior for case in cases)
    more = [how for name, how in _MORE.items() if name not in content.given and (name != "comparison" or posteriors > 1)]  # fmt: skip
    add = (f"A report also takes {'; '.join(more)}.",) if more else ()
    return Section("Reproduce", (text, *add), parts=tuple(_made_again(case, content.prob) for case in cases))


def _made_again(case: Case, prob: float) -> Section:
    fit = case.fit
    if isinstance(fit, Mixture):
        told = {n: fit.scores.attrs.get(n) for n in ("along", "settings")}
        asked = "; ".join(f"{n}: {v}" for n, v in told.items() if v)
        named = ", ".join(f'"{name}": …' for name in fit.fits)
        text = f"`bl.stack({{{named}}})` of the fits below{', with ' + asked if asked else ''}."
        return Section(case.name, (text,))
    settings = {"method": fit.method, **fit.settings, "data hash (SHA-256)": fit.tree.attrs["data_hash"]}
    versions = {f"version of {name}": v for name, v in json.loads(fit.tree.attrs["versions"]).items()}
    values = {n: str(v) for n, v in (settings | versions).items()}
    frame = pd.DataFrame({"value": values}).rename_axis("setting")
    code = (
        Code(shell_commands(fit, case.ahead, prob), "In a shell"),
        Code(python_commands(fit, case.ahead, prob), "In Python"),
        Code(fit.tree.attrs["spec"], f"The frozen law, {fit.spec.name}-frozen.toml", folded=True),
    )
    return Section(case.name, tables=(Table(frame, "Settings, seed, versions."),), code=code)
