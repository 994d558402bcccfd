"""Every public name, given what nobody should: one InputError of one line, or a sound result; never a raw traceback."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import PUBLISHED_SCHEDULES, handmade, noiseless

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.inference import fitting
from bayeslaw.studies import engine, stacking

ODD = {
    "list": [], "dict": {}, "none": None, "three": 3, "text": "x", "nan": float("nan"), "object": object(),
    "negative": -1, "true": True, "inf": float("inf"), "nones": [None], "array": np.array(1.0), "frame": pd.DataFrame(),
    "huge": 10**400, "lines": "a\nb",
}  # fmt: skip
SKIPPED = {"Check", "Fit", "InputError", "Schedule", "Spec", "plots", "models"}
"""Plain records, and what takes nothing."""
LADDER = pd.DataFrame({"x": np.geomspace(1, 1e3, 12), "y": np.geomspace(3, 2, 12)})
COUNTS = pd.DataFrame({
    "model": list("aabb"), "problem": list("pqpq"), "n": 9, "c": [1, 2, 3, 4], "compute": [1e18, 1e18, 1e19, 1e19],
})  # fmt: skip
CURVES = pd.DataFrame({
    "run": np.repeat(list(PUBLISHED_SCHEDULES), 3), "step": [1000, 2000, 3000] * 2, "loss": [3.0, 2.9, 2.8] * 2,
})  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Arguments of every public function that it takes as they are."""
    spec, data = noiseless("power", noise=0.02)
    point, posterior = bl.fit(spec, data, "map", bootstrap=8), handmade("power")
    folder = tmp_path_factory.mktemp("odd")
    fc = bl.forecast(point, {"x": [1e7]})
    bt = bl.backtest(spec, data, "x", methods="point", bootstrap=20, progress=False)
    study = xr.Dataset({"view": ("window", ["trailing"])}, {"window": ["all"], "parameter": ["alpha"]})
    figure = plots.plot_residuals(point)
    saved = point.save(folder / "fit.nc")
    fits = {"a": posterior, "b": posterior}
    mapped, quick = {"method": "map", "bootstrap": 4}, {"draws": 4, "tune": 50, "chains": 1}
    return {
        "Mixture": {"fits": fits, "weights": {"a": 0.5, "b": 0.5}, "scores": xr.Dataset({"log_score_joint": (("law", "window"), np.zeros((2, 1)))})},
        "backtest": {"spec": spec, "data": data, "along": "x", "methods": "point", "bootstrap": 20},
        "change": {"spec": spec},
        "checks": {"fit": point},
        "compare": {"fits": fits},
        "compile": {"spec": spec, "data": data},
        "contrast": {"fit": point, "a": {"x": [1e6]}, "b": {"x": [1e7]}},
        "fit": {"spec": spec, "data": data, **mapped},
        "fit_laws": {"laws": {"power": spec, "again": spec}, "data": data, **quick},
        "forecast": {"fit": point, "targets": {"x": [1e7]}},
        "groups": {"fit": posterior, "parameter": "E"},
        "load_fit": {"path": saved},
        "load_model": {"name": "power"},
        "log_likelihood": {"fit": posterior},
        "parse_schedule": {"text": "logged()", "logged": ([0, 5], [1.0, 1.0])},
        "pass_at_k": {"counts": COUNTS},
        "pymc_model": {"spec": spec, "data": data},
        "read_curves": {"table": CURVES, "spec": bl.load_model("annealing"), "schedules": PUBLISHED_SCHEDULES},
        "read_table": {"table": COUNTS, "spec": bl.load_model("compute")},
        "report": {"fits": point, "path": folder / "report.html"},
        "resolve": {"spec": spec, "data": data},
        "stability": {"spec": spec, "data": data, "along": "x", **quick},
        "stability_by_k": {"spec": bl.load_model("compute"), "table": COUNTS, "k": [1]},
        "stable_spans": {"st": study},
        "stack": {"fits": fits, **quick},
        "summary": {"fit": point},
        "to_sampling": {"spec": bl.resolve(spec, data), "natural": {"E": 1.0, "A": 2.0, "alpha": 0.3}},
        "plot_backtest": {"bt": bt}, "plot_backtest_targets": {"bt": bt}, "plot_by_k": {"st": study}, "plot_fit": {"fit": point},
        "plot_forecast": {"fit": point, "fc": fc}, "plot_pair": {"fit": posterior},
        "plot_posterior": {"fit": posterior}, "plot_prior_posterior": {"fit": posterior},
        "plot_reliability": {"bt": bt}, "plot_residuals": {"fit": point}, "plot_stability": {"st": study},
        "save": {"fig": figure, "path": folder / "figure.png"}, "save_all": {"fit": point, "folder": folder / "all"},
        "save_backtest": {"bt": bt, "folder": folder / "bt"},
        "Fit.save": {"self": point, "path": folder / "again.nc"},
    }  # fmt: skip


def public() -> dict[str, object]:
    """Return every public function by its name."""
    drawn = {n: getattr(plots, n) for n in plots.__all__}
    named = {n: getattr(bl, n) for n in bl.__all__ if n not in SKIPPED}
    return {**named, **drawn, "Fit.save": bl.Fit.save}


CASES = [
    (name, parameter)
    for name, function in public().items()
    for parameter, given in inspect.signature(function).parameters.items()
    if given.kind is not given.VAR_KEYWORD and parameter != "self"
]


@pytest.fixture(autouse=True)
def nothing_is_sampled(monkeypatch):
    """What comes behind the arguments' checks takes long and is not in question here."""

    def stop(*_, **__):
        raise bl.InputError("far enough")

    monkeypatch.setattr(fitting, "_posterior", stop)
    monkeypatch.setattr("bayeslaw.inference.compiled.compile_model", stop)
    monkeypatch.setattr(
        engine,
        "attempt",
        lambda task, _: engine.Outcome((-1.0, "")) if task.ask is stacking.block_score else stop(),
    )
    monkeypatch.setattr("bayeslaw.studies.compare.leave_one_out", stop)
    monkeypatch.setattr("bayeslaw.reports.build._sections", lambda *_: [])
    monkeypatch.setattr("bayeslaw.reports.page._png", lambda _: b"")


@pytest.mark.parametrize(("name", "parameter"), CASES, ids=[" ".join(case) for case in CASES])
def test_what_nobody_should_give_is_refused_in_words(name, parameter, sound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, arguments = public()[name], sound[name]
    for kind, value in ODD.items():
        told = ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                function(**{**arguments, parameter: value})
        except bl.InputError as error:
            told = str(error)
        except Exception as error:
            raise AssertionError(f"{name}({parameter}={kind}): {type(error).__name__}: {error}") from error
        assert "\n" not in told and len(told) < 700, (kind, told)
