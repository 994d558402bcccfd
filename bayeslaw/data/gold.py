"""Turn the likelihoods of gold solutions from per-problem values into one covariate per checkpoint."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.core.check import Check
from bayeslaw.core.errors import InputError
from bayeslaw.data.schema import check_columns, check_unique

GOLD = ("mean-probability", "mean-log-likelihood")
COVARIATES = ("gold_nll", "gold_mean_nll", "gold_problems", "gold_effective_problems")
"""What the per-problem likelihoods of a checkpoint become."""
_NAMED = 5
FEW = 10.0
"""Below this many effective problems a covariate is called fragile."""


def gold_covariates(
    table: pd.DataFrame, counts: pd.DataFrame, on: str, kind: str
) -> tuple[pd.DataFrame, list[Check]]:
    """Average the gold solutions' likelihood over the problems that every checkpoint has.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `on`, ``problem``, ``gold_nll`` (nats, summed over the solution's tokens).
    counts : pandas.DataFrame
        The first table; its ``problem`` column, where there is one, limits the problems.
    on : str
        The column that names a checkpoint.
    kind : str
        One of `GOLD`: −log of the mean probability, or minus the mean log-likelihood.

    Returns
    -------
    covariates : pandas.DataFrame
        One row per checkpoint: ``gold_nll`` (of the asked kind), ``gold_mean_nll``, ``gold_problems``,
        ``gold_effective_problems``; nats.
    checks : list of Check
        How many problems the covariate rests on; and, where some lack a value at some checkpoint, how many
        are used and who lacks them.

    Raises
    ------
    InputError
    """
    if table.empty:
        raise InputError(f"join: no value of {on!r} stands in both tables.")
    table = check_columns(table, ["problem", "gold_nll"], "joined table")
    check_unique(table, [on, "problem"], "joined table")
    nll = table.pivot(index=on, columns="problem", values="gold_nll")
    lacking = {str(model): set(nll.columns[nll.loc[model].isna()]) for model in nll.index}
    if "problem" in counts:
        counted = counts[counts[on].astype(str).isin(nll.index)]
        sets = {str(model): set(g["problem"].astype(str)) for model, g in counted.groupby(on)}
        asked = set.union(*sets.values())
        lacking = {m: (asked - sets[m]) | (asked - (set(nll.columns) - lacking[m])) for m in sets}
    else:
        asked = set(nll.columns)
    shared = nll.columns[nll.columns.isin(asked - set().union(*lacking.values()))]
    if not len(shared):
        raise InputError(
            "join: no problem stands with every model of both tables; check the 'problem' columns."
        )
    nll = nll[shared]
    log_p = -nll.to_numpy()
    top = log_p.max(axis=1, keepdims=True)
    weight = np.exp(log_p - top)
    mean_probability = -(top[:, 0] + np.log(weight.mean(axis=1)))
    effective = weight.sum(axis=1) ** 2 / (weight**2).sum(axis=1)
    covariates = pd.DataFrame({
        on: nll.index.astype(str),
        "gold_nll": mean_probability if kind == "mean-probability" else nll.mean(axis=1).to_numpy(),
        "gold_mean_nll": nll.mean(axis=1).to_numpy(),
        "gold_problems": float(len(shared)),
        "gold_effective_problems": effective,
    })  # fmt: skip
    return covariates, [
        *_used(len(shared), len(asked), lacking, on),
        _effective(nll, weight, effective, kind),
    ]


def _used(used: int, asked: int, lacking: dict[str, set], on: str) -> list[Check]:
    """Say how many problems are left when some lack a value, or samples, at some checkpoint."""
    if used == asked:
        return []
    who = {name: len(missing) for name, missing in lacking.items() if missing}
    named = ", ".join(f"{name} ({count})" for name, count in list(who.items())[:_NAMED])
    more = f" and {len(who) - _NAMED} more" if len(who) > _NAMED else ""
    message = (
        f"gold_nll is averaged over {used} of {asked} problems, those that every {on} has in both tables: "
        f"{named}{more} lack some; complete the tables, or leave these out, so that all problems count."
    )
    return [Check("gold-problems", "warn", float(used), message)]


def _effective(nll: pd.DataFrame, weight: np.ndarray, effective: np.ndarray, kind: str) -> Check:
    """Say how many problems carry the mean probability."""
    problems, value = nll.shape[1], float(np.median(effective))
    share = (weight / weight.sum(axis=1, keepdims=True)).max(axis=1).min()
    carriers = sorted(set(nll.columns[weight.argmax(axis=1)].astype(str)))
    name = f"problem {carriers[0]} carries at least {100 * share:.1f} % of it at every model" if len(carriers) == 1 else (
        f"single problems ({', '.join(carriers[:5])}) carry at least {100 * share:.0f} % of it"
    )  # fmt: skip
    message = f"The mean gold probability rests on {value:.1f} effective problem(s) of {problems}: {name}."
    if value >= FEW:
        return Check("gold-effective-problems", "ok", value, message)
    if kind == "mean-log-likelihood":
        return Check(
            "gold-effective-problems",
            "ok",
            float(problems),
            message + " The mean log-likelihood, used here, rests on all.",
        )
    advice = " Compare with the mean log-likelihood: gold='mean-log-likelihood' (--gold mean-log-likelihood)."
    return Check("gold-effective-problems", "warn", value, message + advice)
