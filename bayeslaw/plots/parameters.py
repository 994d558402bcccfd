"""Draw parameters: prior and posterior, the posterior alone, and pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from bayeslaw.core.errors import check_choice, check_number, check_probability, check_type, listed
from bayeslaw.inference.fit import Fit, check_fit
from bayeslaw.inference.values import natural_names
from bayeslaw.plots.panels.densities import draw_densities, draw_posterior
from bayeslaw.plots.panels.pairs import dress_pairs, pair_name
from bayeslaw.plots.style.layout import panel_grid
from bayeslaw.plots.style.legends import figure_legend
from bayeslaw.plots.style.look import COLOURS, STYLE

_MAX_PAIRS = 7


def plot_prior_posterior(fit: Fit, names: Iterable[str] | None = None) -> Figure:
    """Draw the prior of each parameter behind its posterior.

    Parameters
    ----------
    fit : Fit
        Of a posterior: method "nuts".
    names : iterable of str, optional
        Sampled or derived parameters; by default all that were sampled, noise included.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per parameter. Posteriors are often a hundred times narrower than priors, so each
        density is scaled to its own peak, and the title says how much narrower. A discrepancy's length,
        which is marginalised on a grid, has a bar for each length: the masses of prior and posterior.

    Raises
    ------
    InputError
        If the fit has no posterior, or not a parameter of that name.
    """
    check_fit("plot_prior_posterior(fit)", fit, posterior=True)
    prior = fit.tree["prior"].to_dataset()
    sampled = [n for n in (*fit.spec.scalar_names, *fit.spec.noise) if n in fit.draws]
    names = sampled if names is None else _known(fit, names, "plot_prior_posterior")
    with mpl.rc_context(STYLE):
        figure, axes = panel_grid(len(names))
        for ax, name in zip(axes, names, strict=True):
            draw_densities(ax, fit.spec, name, prior[name].values.ravel(), fit.draws[name].values.ravel())
        figure_legend(figure, axes)
    return figure


def plot_posterior(
    fit: Fit,
    names: Iterable[str] | None = None,
    marks: Mapping[str, Mapping[str, float]] | None = None,
    prob: float = 0.9,
) -> Figure:
    """Draw the posterior of each parameter with its interval, and values to hold it against.

    Parameters
    ----------
    fit : Fit
        Of a posterior: method "nuts".
    names : iterable of str, optional
        Sampled or derived parameters; by default the paper's.
    marks : mapping of str to mapping of str to float, optional
        Values to draw as lines, by label and parameter: ``{"truth": {"alpha": 0.3}}``.
    prob : float
        Probability of the interval, in (0, 1).

    Returns
    -------
    matplotlib.figure.Figure
        One panel per parameter.

    Raises
    ------
    InputError
        If the fit has no posterior, not a parameter of that name, or `prob` is no probability.
    """
    check_fit("plot_posterior(fit)", fit, posterior=True)
    check_probability("prob", prob)
    marks = _marked(marks)
    names = natural_names(fit.spec, fit.draws) if names is None else _known(fit, names, "plot_posterior")
    with mpl.rc_context(STYLE):
        figure, axes = panel_grid(len(names))
        for ax, name in zip(axes, names, strict=True):
            values = {label: v[name] for label, v in marks.items() if name in v}
            draw_posterior(ax, fit.spec, fit.draws[name], values, prob)
        figure_legend(figure, axes)
    return figure


def plot_pair(fit: Fit) -> Figure:
    """Draw the posterior of every pair of the paper's parameters, divergent draws marked.

    Parameters
    ----------
    fit : Fit
        Of a posterior: method "nuts".

    Returns
    -------
    matplotlib.figure.Figure
        Parameters that span more than a factor of twenty are drawn as their log10. At most seven.

    Raises
    ------
    InputError
        If the fit has no posterior.
    """
    import arviz_plots
    from matplotlib import pyplot

    check_fit("plot_pair(fit)", fit, posterior=True)
    names = natural_names(fit.spec, fit.draws)[:_MAX_PAIRS]
    data = xr.Dataset(
        {pair_name(v): v if pair_name(v) == v.name else np.log10(v) for v in (fit.draws[n] for n in names)}
    )
    stats = fit.tree["sample_stats"].to_dataset()
    tree = xr.DataTree.from_dict({"posterior": data, "sample_stats": stats})
    divergent = bool(stats["diverging"].any()) if "diverging" in stats else False
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        matrix = arviz_plots.plot_pair(
            tree, backend="matplotlib", marginal=len(names) > 1,
            visuals={
                "divergence": {"color": COLOURS[1], "alpha": 0.9} if divergent else False,
                "scatter": {"color": COLOURS[0], "alpha": 0.15, "size": 5, "width": 0},
                "dist": {"color": COLOURS[0]},
            },
            figure_kwargs={"figsize": (1.9 * len(names) + 0.8,) * 2, "sharex": "col"},
        )  # fmt: skip
        figure = matrix.viz["figure"].item()
        pyplot.close(figure)  # pyplot must not keep it: the caller owns it
        dress_pairs(figure, fit.spec, list(data.data_vars), divergent)
    return figure


def _known(fit: Fit, names: Iterable[str], what: str) -> list[str]:
    """Refuse names of no parameter, and none at all."""
    names = listed(f"{what}, names", names, "a list of parameters' names")
    for name in names or [""]:
        check_choice(f"{what}, parameter", name, map(str, fit.draws.data_vars))
    return names


def _marked(marks: Mapping[str, Mapping[str, float]] | None) -> dict[str, Mapping[str, float]]:
    """Return marks by label, or refuse what is none."""
    allowed = "a mapping of labels to parameters' values, {'truth': {'alpha': 0.3}}"
    check_type("marks", marks, Mapping | None, allowed)
    for label, values in (marks or {}).items():
        check_type(f"marks, {label}", values, Mapping, allowed)
        for name, value in values.items():
            check_number(f"marks, {label}, {name}", value)
    return {str(label): values for label, values in (marks or {}).items()}
