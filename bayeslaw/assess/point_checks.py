"""Checks of a point fit: whether the optimiser found the optimum, and what such a fit leaves out."""

from __future__ import annotations

from bayeslaw.core.check import Check
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.point_fit import SAME_OPTIMUM


def left_unpooled(fit: Fit) -> list[Check]:
    """Say that a point fit knows no groups, where the law pools parameters over them."""
    pooled = fit.spec.pooled
    if not pooled:
        return []
    message = (
        f"A point fit pools nothing: {', '.join(pooled)} is one value for every {' and '.join(fit.spec.group_columns)}, "
        "and a forecast for one group is that of all; fit with method='nuts', or one group by itself."
    )
    return [Check("pooling", "warn", float(len(pooled)), message)]


def optimiser_checks(fit: Fit) -> list[Check]:
    """Say how many starts reached the optimum, and which parameters ended at a bound."""
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
