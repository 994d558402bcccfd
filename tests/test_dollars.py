"""A user's text in a figure is text: a dollar sign opens no formula, however broken the formula would be."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import PUBLISHED_SCHEDULES, handmade, noiseless
from matplotlib.text import Text

import bayeslaw as bl
from bayeslaw import plots

BROKEN = r"$\frac{x_$ costs 5\$"


def dollars(fit: bl.Fit) -> bl.Fit:
    """Return a fit whose every text is broken."""
    spec = fit.spec
    entries = {
        kind: {n: replace(e, unit=BROKEN, meaning=BROKEN) for n, e in getattr(spec, kind).items()}
        for kind in ("inputs", "parameters", "derived", "noise")
    }
    return bl.Fit(replace(spec, title=BROKEN, output=replace(spec.output, unit=BROKEN), **entries), fit.tree)


@pytest.fixture(scope="module")
def posterior():
    return dollars(handmade("power"))


@pytest.fixture(scope="module")
def two_inputs():
    return dollars(bl.fit(*noiseless("chinchilla", 0.02), "map", bootstrap=4))


@pytest.fixture(scope="module")
def curves():
    names = dict(zip(PUBLISHED_SCHEDULES, (BROKEN, "$_$"), strict=True))
    spec, data = noiseless("annealing")
    frame = pd.DataFrame(
        {"run": data["run"].values, "step": data["step"].values, "loss": 3.0 + data["loss"].values / 9}
    )
    frame["run"] = frame["run"].map(names)
    schedules = {names[n]: text for n, text in PUBLISHED_SCHEDULES.items()}
    return dollars(bl.fit(spec, bl.read_curves(frame, spec, schedules), "map", bootstrap=4))


def study() -> xr.Dataset:
    one, both = ("window", np.array([1.0, 2.0])), (("window", "parameter"), np.ones((2, 1)))
    return xr.Dataset(
        dict.fromkeys(("median", "lower", "upper", "resolved"), both)
        | dict.fromkeys(("target_median", "target_lower", "target_upper"), one)
        | {"verdict": ("parameter", np.array([BROKEN], object)), "unit": ("parameter", np.array([BROKEN], object))}
        | {"drift_at": ("parameter", [1.0]), "failed": ("window", np.array(["", BROKEN], object)), "fitted": ("window", [True, True])},
        {"window": ["a", "b"], "parameter": [BROKEN], "view": ("window", ["growing", "trailing"]), "orders": one},
        {"title": BROKEN, "along": BROKEN, "units": BROKEN, "law_verdict": BROKEN, "early_orders": 1.0, "observed": 1.5, "prob": 0.9},
    )  # fmt: skip


def by_k() -> xr.Dataset:
    both = (("k", "parameter"), np.ones((2, 1)))
    return xr.Dataset(
        dict.fromkeys(("median", "lower", "upper", "stable_orders"), both)
        | {"unit": ("parameter", np.array([BROKEN], object)), "rows": ("k", [3, 4])},
        {"k": [1, 16], "parameter": [BROKEN]},
        {"title": BROKEN, "prob": 0.9},
    )


def backtest(leave_out: bool) -> xr.Dataset:
    x = np.geomspace(1, 1e3, 12)
    table = pd.DataFrame(
        {"x": x, "y": 3 * x**-0.2, BROKEN: x if not leave_out else np.repeat([BROKEN, "$_$"], 6)}
    )
    spec = bl.load_model("power")
    data = bl.read_table(table, spec)
    bt = bl.backtest(spec, data, BROKEN, methods="point", bootstrap=20, progress=False)
    return bt.assign_attrs(title=BROKEN, units=BROKEN)


FIGURES = {
    "fit": lambda f: plots.plot_fit(f["posterior"]),
    "fit of two inputs": lambda f: plots.plot_fit(f["two"]),
    "fit of curves": lambda f: plots.plot_fit(f["curves"]),
    "residuals": lambda f: plots.plot_residuals(f["posterior"]),
    "residuals of curves": lambda f: plots.plot_residuals(f["curves"]),
    "prior and posterior": lambda f: plots.plot_prior_posterior(f["posterior"]),
    "posterior": lambda f: plots.plot_posterior(f["posterior"], marks={BROKEN: {"alpha": 0.3}}),
    "pairs": lambda f: plots.plot_pair(f["posterior"]),
    "forecast": lambda f: plots.plot_forecast(f["posterior"], bl.forecast(f["posterior"], {"x": [1e7]})),
    "forecast along a schedule": lambda f: plots.plot_forecast(
        f["curves"], bl.forecast(f["curves"], schedule="constant(peak=2e-4, warmup=500, total=20000)", steps=range(600, 20001, 100))
    ),
    "forecast of a mixture": lambda f: plots.plot_forecast(f["mixture"], bl.forecast(f["mixture"], {"x": [1e7]})),
    "stability": lambda f: plots.plot_stability(study()),
    "by k": lambda f: plots.plot_by_k(by_k()),
    "back-test": lambda f: plots.plot_backtest(backtest(False)),
    "back-test of groups": lambda f: plots.plot_backtest(backtest(True)),
    "reliability": lambda f: plots.plot_reliability(backtest(False)),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_a_dollar_sign_as_it_is(name, posterior, two_inputs, curves):
    scores = xr.Dataset({"log_score_joint": (("law", "window"), np.zeros((2, 1)))})
    laws = {BROKEN: posterior, "$_$": posterior}
    mixture = bl.Mixture(laws, {BROKEN: 0.5, "$_$": 0.5}, scores)
    figure = FIGURES[name]({"posterior": posterior, "two": two_inputs, "curves": curves, "mixture": mixture})
    figure.savefig(io.BytesIO(), dpi=20)
    theirs = [t.get_text() for t in figure.findobj(Text) if "costs" in t.get_text()]
    assert theirs, "none of the texts is in the figure"
    for text in theirs:
        assert text.replace("\n", " ").count("$") == text.count(r"\$"), text
