"""Give a first look: two fits, their figures and one page, on data that ships with the package.

The first part shows curves whose points err together; the second one a law whose truth is known, because its
data are simulated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.core.files import write_text
from bayeslaw.core.folders import make_folder

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.inference.fit import Fit
    from bayeslaw.reports.elements import Section, Table

CURVES = Path(__file__).parent / "example_data" / "annealing_curves_20k.csv"
SCHEDULES = {
    "cosine_20000": "cosine(peak=2e-4, end=0, warmup=500, total=20000, hold=true)",
    "constant_20000": "constant(peak=2e-4, warmup=500, total=20000, hold=true)",
}
NEW_SCHEDULE = "wsd(peak=2e-4, end=0, warmup=500, stable=16000, total=20000, decay='linear', hold=true)"
STEPS = range(500, 20_001, 50)
TRUTH = {"E0": 0.6, "C0": 2200.0, "alpha": 0.15}
"""The law that the simulated ladder follows: nat, nat FLOP^alpha, 1."""
RUN_NOISE = 0.04
"""Standard deviation of log(−log pass@1) from run to run."""
LADDER = np.geomspace(1e18, 1e22, 22)
"""Pretraining compute of the simulated checkpoints, in FLOP."""
BEYOND = [1e23, 1e24]
PROBLEMS, SAMPLES = 128, 400
PROB = 0.9


def run(folder: Path, say: Callable[[str], None]) -> Path:
    """Fit, forecast, draw, and put it all on a page.

    Parameters
    ----------
    folder : path
        Where to write; made if it is not there. Files of an earlier demo are overwritten.
    say : callable
        Takes a line of progress.

    Returns
    -------
    pathlib.Path
        The page, ``index.html``. Beside it are the fits (.nc) and the figures (.png).

    Raises
    ------
    InputError
        If the folder is a file, or cannot be written to.
    """
    folder = make_folder(folder)
    start = time.perf_counter()
    from bayeslaw.reports.page import write_page

    sections = [*_annealing(folder, say), *_ladder(folder, say)]
    page = write_page(
        folder / "index.html",
        "bayeslaw demo: what a posterior of a scaling law can and cannot tell",
        sections,
    )
    say(f"\ndone in {time.perf_counter() - start:.0f} s; open {page}")
    return page


@contextmanager
def _timed(what: str, say: Callable[[str], None]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    say(f"  {time.perf_counter() - start:5.1f} s  {what}")


# ---- (a) published curves


def _annealing(folder: Path, say: Callable[[str], None]) -> list[Section]:
    """Fit the annealing law twice, forecast a schedule that was never run, and say what to make of it."""
    from bayeslaw.assess.checks import checks
    from bayeslaw.data.curves import read_curves
    from bayeslaw.forecasts.forecast import forecast
    from bayeslaw.inference.fitting import fit
    from bayeslaw.law.catalogue import load_model

    say("Annealing law, two published loss curves of 20,000 steps")
    spec = load_model("annealing")
    data = read_curves(CURVES, spec, SCHEDULES)
    with _timed("posterior by NUTS, 4 x (1000 + 1000) draws", say):
        posterior = fit(spec, data, seed=0, progress=False)
    with _timed("point fit as in the paper, 300 bootstrap resamples", say):
        point = fit(spec, data, "map", bootstrap=300, progress=False)
    with _timed("checks, and the forecast of a schedule that was never run", say):
        found = checks(posterior)
        forecasts = {
            name: forecast(f, schedule=NEW_SCHEDULE, steps=STEPS, prob=PROB)
            for name, f in (("posterior", posterior), ("point fit", point))
        }
    texts = _verdict(posterior, point, found, checks(point))
    for text in texts:
        say(f"  {text}")
    posterior.save(folder / "annealing.nc")
    point.save(folder / "annealing-point.nc")
    with _timed("figures", say):
        figures = _annealing_figures(folder, posterior, point, forecasts["posterior"], found)
    return _annealing_sections(posterior, point, forecasts, texts, figures, found)


def _verdict(posterior: Fit, point: Fit, found: list, found_point: list) -> tuple[str, ...]:
    """Compare posterior and point fit in words; every number is this fit's."""
    low, high = _interval(posterior, "L0")
    published = float(point.tree["point"]["L0"])
    inside = "holds" if low <= published <= high else "does NOT hold"
    correlated = next((c.value for c in found_point if c.name == "residual-correlation"), np.nan)
    scale, length = (posterior.draws[f"discrepancy_{name}"].values for name in ("scale", "length"))
    ends = np.quantile(scale, [(1 - PROB) / 2, (1 + PROB) / 2])
    return (
        f"The posterior {_passed(found)}. Its {100 * PROB:g} % interval of L0, [{low:.4f}, {high:.4f}] nat/token, {inside} the "
        f"published point fit's {published:.4f}.",
        f"Points of one curve err together: the point fit's residuals have a lag-1 correlation of {correlated:.2f}. So each run is "
        f"given a discrepancy of its own, by which it departs from the law: {100 * np.median(scale):.2g} % of the loss [{100 * ends[0]:.2g}, {100 * ends[1]:.2g}], "
        f"over {np.median(length):.1f} e-folds of the step. A likelihood of independent errors counts each point as news of its own, "
        "and its interval can be narrow and wrong; change(spec, discrepancy=None) fits that, to compare.",
    )


def _passed(found: list) -> str:
    """Say which checks a fit passed."""
    odd = [c.name for c in found if c.level != "ok"]
    if not odd:
        return "passes every check, the sampler's and the residuals'"
    if any(c.level == "fail" for c in found):
        return f"FAILS checks ({', '.join(odd)})"
    return f"fails no check (to know: {', '.join(odd)})"


def _annealing_figures(
    folder: Path, posterior: Fit, point: Fit, fc: xr.Dataset, found: list
) -> dict[str, Any]:
    from bayeslaw import plots

    values = point.tree["point"].to_dataset()
    marks = {"published point fit": {n: float(values[n]) for n in ("L0", "A", "alpha", "C")}}
    figures = {
        "annealing-fit": plots.plot_fit(posterior, PROB, found=found),
        "annealing-residuals": plots.plot_residuals(posterior, PROB, found=found),
        "annealing-point-residuals": plots.plot_residuals(point, PROB),
        "annealing-posterior": plots.plot_posterior(posterior, ["L0", "A", "alpha", "C"], marks),
        "annealing-pair": plots.plot_pair(posterior),
        "annealing-forecast": plots.plot_forecast(posterior, fc, found=found),
    }
    for name, figure in figures.items():
        plots.save(figure, folder / f"{name}.png")
    return figures


def _annealing_sections(
    posterior: Fit, point: Fit, forecasts: dict, texts: tuple[str, ...], figures: dict, found: list
) -> list[Section]:
    from bayeslaw.core.check import from_json
    from bayeslaw.reports.elements import Picture, Section

    intro = (
        "Two published loss curves (arXiv:2408.11029), one with a cosine schedule, one with a constant rate, 20 points each. "
        f"The law: {posterior.spec.law.text}. Fitted twice: as a posterior in which each run departs from the law in its own way, with lam inferred, "
        "and as the paper's point fit."
    )
    ahead = (
        f"{NEW_SCHEDULE}: constant up to step 16,000, then straight down to zero. The peak rate is the one that was trained; the "
        "law holds for no other. The interval is that of a new run, which departs from the law as the seen ones do.",
    )
    compared, ends = _annealing_tables(posterior, point, forecasts)
    pictures = (
        Picture(figures["annealing-posterior"], "Posterior densities of L0, A, alpha and C with the point fit as a line.", "The posterior of the paper's parameters, and where the published point fit lies."),
        Picture(figures["annealing-residuals"], "Residuals of the posterior against the step, by run.", "Residuals of the posterior (against its median law)."),
        Picture(figures["annealing-point-residuals"], "Residuals of the point fit against the step, by run.", "Residuals of the point fit."),
        Picture(figures["annealing-fit"], "The two loss curves with the fans of the posterior.", "The same at the scale of the loss, where little of it is to be seen."),
    )  # fmt: skip
    forecast = Picture(
        figures["annealing-forecast"], "Forecast of the loss along the new schedule, above its learning rate."
    )
    checks = tuple(from_json(forecasts["posterior"].attrs["checks"]))
    return [
        Section("Published curves: a posterior against the published point fit", (intro, *texts), (compared,), pictures, tuple(found)),
        Section("The forecast of a schedule that was never run", ahead, (ends,), (forecast,), checks),
    ]  # fmt: skip


def _annealing_tables(posterior: Fit, point: Fit, forecasts: dict) -> tuple[Table, Table]:
    """Return the parameters of both fits, and what both forecast at the last step."""
    from bayeslaw.reports.elements import Table

    values = {n: float(v) for n, v in point.tree["point"].to_dataset().items() if not v.ndim}
    values |= {p.name: p.fixed for p in point.spec.parameters.values() if p.fixed is not None}
    rows = []
    for name in ("L0", "A", "alpha", "C", "lam", "discrepancy_scale"):
        low, high = _interval(posterior, name)
        other = values.get(name, np.nan)
        inside = "" if np.isnan(other) else "yes" if low <= other <= high else "no"
        rows.append({"parameter": name, "median": float(posterior.draws[name].median()), "lower": low,
                     "upper": high, "point fit": other, "point inside": inside})  # fmt: skip
    per = f"{100 * PROB:g} %"
    held = ", ".join(
        f"{p.name} held at {p.fixed:g}" for p in point.spec.parameters.values() if p.fixed is not None
    )
    ends = [
        {"fit": name, **{q: float(fc.sel(kind="run")[q][-1]) for q in ("median", "lower", "upper")}}
        for name, fc in forecasts.items()
    ]
    return (
        Table(pd.DataFrame(rows).set_index("parameter"), f"Posterior with {per} intervals, and the point fit (Huber, {held} as in the paper)."),
        Table(pd.DataFrame(ends).set_index("fit"), f"Loss at the last step in nat/token, {per} interval of a run."),
    )  # fmt: skip


# ---- (b) simulated ladder


def simulated_counts(seed: int = 2509) -> pd.DataFrame:
    """Simulate a ladder of checkpoints with per-problem counts under a known law.

    Parameters
    ----------
    seed : int

    Returns
    -------
    pandas.DataFrame
        One row per checkpoint and problem: ``model``, ``compute`` (FLOP), ``problem``, ``n`` (samples), ``c`` (correct).

    Notes
    -----
    For each checkpoint −log(mean pass@1) is the law at its compute, times exp(run noise). The problems'
    success rates are spread like a Beta distribution with that mean, the same problems being hard at
    every checkpoint; the counts are binomial.
    """
    from scipy.stats import beta

    rng = np.random.default_rng(seed)
    level = true_law(LADDER) * np.exp(RUN_NOISE * rng.standard_normal(len(LADDER)))
    difficulty = (rng.permutation(PROBLEMS) + 0.5) / PROBLEMS
    frames = []
    for i, (compute, mean) in enumerate(zip(LADDER, np.exp(-level), strict=True)):
        rate = beta.ppf(difficulty, 0.5, 0.5 * (1 - mean) / mean)
        rate = np.minimum(rate * mean / rate.mean(), 1.0)  # so that the mean is exact, not only on average
        frames.append(pd.DataFrame({
            "model": f"simulated-{i + 1:02d}", "compute": compute, "problem": np.arange(PROBLEMS),
            "n": SAMPLES, "c": rng.binomial(SAMPLES, rate),
        }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def true_law(compute: np.ndarray) -> np.ndarray:
    """Return −log pass@1 (nat) of the simulation's law at a compute in FLOP."""
    return TRUTH["E0"] + TRUTH["C0"] * np.asarray(compute, dtype=float) ** -TRUTH["alpha"]


def _ladder(folder: Path, say: Callable[[str], None]) -> list[Section]:
    """Fit the compute law to simulated counts and hold it against the truth."""
    from bayeslaw.assess.checks import checks
    from bayeslaw.data.tables import read_table
    from bayeslaw.forecasts.forecast import forecast
    from bayeslaw.inference.fitting import fit
    from bayeslaw.law.catalogue import load_model

    say("Compute law, a SIMULATED ladder of checkpoints with known truth")
    counts = simulated_counts()
    write_text(folder / "simulated-counts.csv", counts.to_csv(index=False))
    spec = load_model("compute")
    data = read_table(counts, spec, k=1)
    with _timed("posterior by NUTS, 4 x (1000 + 1000) draws", say):
        posterior = fit(spec, data, seed=0, progress=False)
    found = checks(posterior)
    fc = forecast(posterior, {"C": BEYOND}, PROB)
    posterior.save(folder / "simulated-ladder.nc")
    parameters, targets = _against_truth(posterior, fc)
    inside = int((parameters["truth inside"] == "yes").sum())
    say(f"  truth inside the {100 * PROB:g} % interval: {inside} of {len(parameters)} parameters; "
        + "; ".join(f"at {c:.0e} FLOP {row['median']:.2f} [{row['lower']:.2f}, {row['upper']:.2f}], truth {row['truth']:.2f}"
                    for c, row in zip(BEYOND, targets.to_dict("records"), strict=True)))  # fmt: skip
    with _timed("figures", say):
        figures = _ladder_figures(folder, posterior, fc, found)
    return [_ladder_section(posterior, fc, parameters, targets, figures, found)]


def _against_truth(posterior: Fit, fc: xr.Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables of the parameters and of the forecast's law, with whether each interval holds the truth."""
    rows = []
    for name, truth in TRUTH.items():
        low, high = _interval(posterior, name)
        rows.append({"parameter": name, "truth": truth, "median": float(posterior.draws[name].median()), "lower": low,
                     "upper": high, "truth inside": "yes" if low <= truth <= high else "no"})  # fmt: skip
    ahead = fc.sel(kind="run")
    targets = pd.DataFrame({
        "compute (FLOP)": BEYOND, "orders beyond": fc["orders_beyond"].values, "truth": true_law(BEYOND),
        **{q: ahead[q].values for q in ("median", "lower", "upper")},
    })  # fmt: skip
    inside = (targets["lower"] <= targets["truth"]) & (targets["truth"] <= targets["upper"])
    return pd.DataFrame(rows).set_index("parameter"), targets.assign(
        **{"truth inside": np.where(inside, "yes", "no")}
    )


def _ladder_figures(folder: Path, posterior: Fit, fc: xr.Dataset, found: list) -> dict[str, Any]:
    import matplotlib as mpl

    from bayeslaw import plots
    from bayeslaw.plots.style.legends import legends
    from bayeslaw.plots.style.look import MARK, STYLE

    forecast = plots.plot_forecast(posterior, fc, found=found)
    ax = forecast.axes[0]
    grid = np.geomspace(LADDER[0], BEYOND[-1], 100)
    ax.plot(grid, true_law(grid), color=MARK, ls="--", lw=1.6, zorder=5, label="truth (simulated)")
    with mpl.rc_context(STYLE):
        legends([ax])
    figures = {
        "simulated-ladder-forecast": forecast,
        "simulated-ladder-posterior": plots.plot_posterior(posterior, list(TRUTH), {"truth": TRUTH}),
        "simulated-ladder-prior-posterior": plots.plot_prior_posterior(posterior),
    }
    for name, figure in figures.items():
        plots.save(figure, folder / f"{name}.png")
    return figures


def _ladder_section(
    posterior: Fit,
    fc: xr.Dataset,
    parameters: pd.DataFrame,
    targets: pd.DataFrame,
    figures: dict,
    found: list,
) -> Section:
    from bayeslaw.core.check import from_json
    from bayeslaw.reports.elements import Picture, Section, Table

    per = f"{100 * PROB:g} %"
    missed = [n for n, row in parameters.iterrows() if row["truth inside"] == "no"]
    outcome = "All parameters' intervals hold the truth." if not missed else (
        f"The interval of {', '.join(missed)} misses the truth, as one in ten such intervals should.")  # fmt: skip
    texts = (
        f"SIMULATED DATA, with a known truth: {len(LADDER)} checkpoints from {LADDER[0]:.0e} to {LADDER[-1]:.0e} FLOP, {PROBLEMS} problems, "
        f"{SAMPLES} samples each. −log pass@1 follows {posterior.spec.law.text} with E0 = {TRUTH['E0']:g}, C0 = {TRUTH['C0']:g}, "
        f"alpha = {TRUTH['alpha']:g}, times {100 * RUN_NOISE:g} % run noise. The counts go the way that a table of yours would.",
        f"{outcome} Here the law is right, which the fit does not know: its interval leaves room for a curve that departs from it. "
        "E0, C0 and alpha trade off against each other: each alone is uncertain, the curve they draw is not.",
    )
    return Section("A simulated ladder of checkpoints: the truth is known", texts, (
        Table(parameters, f"Parameters with {per} intervals, against the truth."),
        Table(targets, f"Forecasts of −log pass@1 in nat beyond the ladder, {per} interval of a run, against the true law."),
    ), (
        Picture(figures["simulated-ladder-forecast"], "The simulated checkpoints, the fans of the compute law and the true law as a dashed line.", "The truth drawn over the posterior, up to two orders of magnitude beyond the data."),
        Picture(figures["simulated-ladder-posterior"], "Posterior densities of E0, C0 and alpha with the truth as a line.", ""),
        Picture(figures["simulated-ladder-prior-posterior"], "Prior and posterior of each sampled parameter.", "What the data add to the prior, in the coordinates that are sampled."),
    ), (*found, *from_json(fc.attrs["checks"])))  # fmt: skip


def _interval(fit: Fit, name: str) -> tuple[float, float]:
    low, high = np.quantile(fit.draws[name].values, [(1 - PROB) / 2, (1 + PROB) / 2])
    return float(low), float(high)
