"""Whether rows of one run, its checkpoints, share an error that the fit does not know of."""

from __future__ import annotations

import numpy as np

from bayeslaw.core.check import Check
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitted import residuals

_COLUMNS = ("run", "model")
_LEAST, _P = 3, 0.01


def run_column(fit: Fit) -> str | None:
    """Return the column that names the runs of a fit's rows: its discrepancy's, or one that is usual; None without one."""
    found, data = fit.spec.discrepancy, fit.data
    named = ((found.runs,) if found and found.runs else ()) + _COLUMNS
    return next((c for c in named if c in data.coords and data[c].dims == ("obs",)), None)


def shared_runs(fit: Fit) -> list[Check]:
    """Compare how rows of one run differ with how runs do, where several rows are of one run.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    list of Check
        ``shared-runs``: a warning where rows of one run lie together on one side of the curve, by an F test of one-way
        analysis of variance at 1 %. Empty where no run has several rows, along curves, and where the discrepancy has
        ``runs``.
    """
    spec, data = fit.spec, fit.data
    column = run_column(fit)
    known = spec.discrepancy is not None and (spec.discrepancy.runs is not None or spec.along_runs)
    if column is None or known or "step" in data.coords or spec.traits.counts:
        return []
    labels = np.unique(data[column].values.astype(str), return_inverse=True)[1]
    sizes = np.bincount(labels)
    runs, rows = len(sizes), len(labels)
    if (sizes > 1).sum() < _LEAST or rows - runs < _LEAST:
        return []
    from scipy.stats import f as f_distribution

    residual = residuals(fit)
    means = np.bincount(labels, residual) / sizes
    within = float(((residual - means[labels]) ** 2).sum()) / (rows - runs)
    between = float((sizes * (means - residual.mean()) ** 2).sum()) / (runs - 1)
    usual = (rows - (sizes**2).sum() / rows) / (
        runs - 1
    )  # rows of a run, where runs have unequal numbers of them
    share = (between - within) / max(between + (usual - 1) * within, 1e-300)
    if f_distribution.sf(between / max(within, 1e-300), runs - 1, rows - runs) > _P:
        return [Check("shared-runs", "ok", share, f"Rows of one {column} differ as much as rows of several (intraclass correlation {share:.2f}).")]  # fmt: skip
    message = (
        f"Rows of one {column} lie together on one side of the curve (intraclass correlation {share:.2f}): they share an error that "
        f"this fit takes for news from each. Fit with it, bl.change(spec, discrepancy={{'runs': '{column}'}}) (--runs {column})."
    )
    return [Check("shared-runs", "warn", share, message)]
