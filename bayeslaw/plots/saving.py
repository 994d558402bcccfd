"""Save figures as files, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import xarray as xr
from matplotlib.figure import Figure

from bayeslaw.core.errors import check_type
from bayeslaw.core.files import write_bytes
from bayeslaw.core.folders import make_folder
from bayeslaw.core.outputs import FIGURES, check_suffix
from bayeslaw.inference.fit import Fit, check_fit
from bayeslaw.plots.backtest import plot_backtest
from bayeslaw.plots.backtest_targets import plot_backtest_targets
from bayeslaw.plots.fit import plot_fit, plot_residuals
from bayeslaw.plots.panels.backtests import check_backtest
from bayeslaw.plots.parameters import plot_pair, plot_prior_posterior
from bayeslaw.plots.reliability import plot_reliability
from bayeslaw.plots.style.captions import checks_of
from bayeslaw.plots.style.look import STYLE

FILES = {"map": ("fit", "residuals"), "nuts": ("fit", "residuals", "prior-posterior", "pair")}
"""The figures of a fit, by its method, as `save_all` names them."""
BACKTEST_FILES = ("backtest", "targets", "reliability")


def save(fig: Figure, path: str | Path) -> Path:
    """Write a figure, whole or not at all.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    path : path
        Ends in .png, .svg or .pdf.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the suffix is another, or the file cannot be written.
    """
    check_type("save(fig, path)", fig, Figure, "a matplotlib Figure")
    path = check_suffix(path, FIGURES, "a figure's name")
    drawn = io.BytesIO()
    with mpl.rc_context(STYLE):
        fig.savefig(drawn, format=path.suffix.lower()[1:])
    return write_bytes(path, drawn.getbuffer())


def save_all(fit: Fit, folder: str | Path) -> list[Path]:
    """Write every figure of a fit as PNG.

    Parameters
    ----------
    fit : Fit
        A point fit has no prior and no posterior: those figures are left out.
    folder : path
        Made if it is not there.

    Returns
    -------
    list of pathlib.Path
        fit.png, residuals.png and, with a posterior, prior-posterior.png and pair.png.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    check_fit("save_all(fit, folder)", fit)
    folder = make_folder(folder)
    found = checks_of(fit, None)
    figures = {
        "fit": lambda: plot_fit(fit, found=found),
        "residuals": lambda: plot_residuals(fit, found=found),
        "prior-posterior": lambda: plot_prior_posterior(fit),
        "pair": lambda: plot_pair(fit),
    }
    return [save(figures[name](), folder / f"{name}.png") for name in FILES[fit.method]]


def save_backtest(bt: xr.Dataset, folder: str | Path) -> list[Path]:
    """Write the figures of a back-test as PNG.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.
    folder : path
        Made if it is not there.

    Returns
    -------
    list of pathlib.Path
        backtest.png, targets.png and reliability.png.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    check_backtest(bt, "save_backtest")
    folder = make_folder(folder)
    drawn = zip(BACKTEST_FILES, (plot_backtest, plot_backtest_targets, plot_reliability), strict=True)
    return [save(draw(bt), folder / f"{name}.png") for name, draw in drawn]
