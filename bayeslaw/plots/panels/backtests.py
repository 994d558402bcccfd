"""Draw what all figures of a back-test share: marks, names of groups, the caption."""

from __future__ import annotations

import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayeslaw.core.errors import InputError
from bayeslaw.plots.style.look import COLOURS
from bayeslaw.plots.style.texts import plain

MARKS = ("o", "s", "^")
_LONGEST_LABEL = 28


def method_keys(bt: xr.Dataset) -> list[Line2D]:
    """Return a key per method for the figure's legend."""
    looks = zip(bt["method"].values, COLOURS, MARKS, strict=False)
    return [Line2D([], [], color=c, marker=m, ms=5, label=str(name)) for name, c, m in looks]


def check_backtest(bt: object, what: str) -> None:
    """Refuse what is no back-test; `what` is the public function that was called."""
    if not isinstance(bt, xr.Dataset) or not {"method", "window", "level"} <= set(bt.dims):
        raise InputError(f"{what}(bt): bt must be what backtest(…) returned.")


def name_groups(ax: Axes, bt: xr.Dataset) -> None:
    """Name the rows of a panel after the groups that were left out."""
    labels = [plain(textwrap.shorten(str(w), _LONGEST_LABEL, placeholder="…")) for w in bt["window"].values]
    ax.set_yticks(np.arange(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_xlabel(ax.get_ylabel())
    ax.set_ylabel(
        f"{plain(bt.attrs['along'])} left out (label)" if ax.get_subplotspec().is_first_col() else ""
    )


def value_axis(bt: xr.Dataset) -> str:
    """Return which axis has the values: across where groups stand below one another."""
    return "x" if bt.attrs["leave_out"] else "y"


def backtest_caption(figure: Figure, bt: xr.Dataset) -> None:
    """Write the law above the figure, and below it which fits are not clean."""
    what = "groups left out" if bt.attrs["leave_out"] else "growing windows"
    figure.suptitle(
        plain(f"{bt.attrs['title']}: back-test along {bt.attrs['along']}, {bt.sizes['window']} {what}"),
        x=0.01, ha="left", fontsize=10.5,
    )  # fmt: skip
    failed = bt["failed"].values != ""
    text = "fits: all clean"
    if failed.any():
        named = [
            f"{n} {int(bad.sum())}" for n, bad in zip(bt["method"].values, failed, strict=True) if bad.any()
        ]
        text = f"fits: {int(failed.sum())} of {failed.size} failed, or failed a check: {', '.join(named)}"
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8, color="#b00020" if failed.any() else "#2b8a57")
