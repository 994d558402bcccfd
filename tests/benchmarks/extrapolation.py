"""Measure forecasts beyond the data: scores, coverage, time and cleanness, on real tables and simulated worlds.

Run: uv run python tests/benchmarks/extrapolation.py [chinchilla gsm8k schedules humaneval worlds chinchilla_worlds]

Prints one table a part. Real tables are read from ../shared/data beside the project.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import bayeslaw as bl
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.law.priors import draw_priors

DATA = Path(__file__).parents[3] / "shared" / "data"
TRAINING = {
    "cosine_24000": "cosine(peak=3e-4, end=3e-5, warmup=2160, total=24000)",
    "constant_24000": "constant(peak=3e-4, warmup=2160, total=24000)",
    "wsdcon_9": "step(peak=3e-4, at=8000, to=9e-5, warmup=2160, total=16000)",
}
UNSEEN = {
    "constant_72000": "constant(peak=3e-4, warmup=2160, total=72000)",
    "cosine_72000": "cosine(peak=3e-4, end=3e-5, warmup=2160, total=72000)",
    "wsd_20000_24000": "wsd(peak=3e-4, end=3e-5, warmup=2160, stable=20000, total=24000, decay='exponential')",
    "wsdld_20000_24000": "wsd(peak=3e-4, end=3e-5, warmup=2160, stable=20000, total=24000)",
    "wsdcon_3": "step(peak=3e-4, at=8000, to=3e-5, warmup=2160, total=16000)",
    "wsdcon_18": "step(peak=3e-4, at=8000, to=18e-5, warmup=2160, total=16000)",
}


def fitted(spec: bl.Spec, data: xr.Dataset, method: str = "nuts") -> tuple[bl.Fit, float, str]:
    """Fit behind the compilation; return the fit, its seconds, and which sampler's checks it failed."""
    if method == "nuts":
        bl.compile(spec, data)
    started = time.perf_counter()
    fit = bl.fit(spec, data, method, progress=False, bootstrap=300)
    seconds = time.perf_counter() - started
    return fit, seconds, ", ".join(c.name for c in bl.checks(fit) if c.level == "fail") or "clean"


def scores(fit: bl.Fit, held: xr.Dataset) -> dict[str, float]:
    """Score a forecast of held-out rows; interval score and width as shares of the output."""
    h = held_out(fit, held)
    low, middle, high = np.quantile(h.draws, [0.05, 0.5, 0.95], axis=0)
    y = h.observed
    width = np.log(high / low)
    missed = np.maximum(np.log(low / y), 0) + np.maximum(np.log(y / high), 0)
    target = int(np.argmax(held["compute"].values)) if "compute" in held else -1
    return {
        "score": float(np.mean(width + 20 * missed)), "width": float(width.mean()),
        "cover": float(np.mean((low <= y) & (y <= high))), "error": float(np.mean(np.abs(middle / y - 1))),
        "target": float(abs(middle[target] / y[target] - 1)), "joint": h.log_joint, "rows": float(h.log_rows.sum()),
        "last": bool(low[-1] <= y[-1] <= high[-1]),
    }  # fmt: skip


def line(name: str, s: dict, seconds: float, state: str) -> str:
    return (
        f"{name:44s} score {100 * s['score']:6.2f} %  width {100 * s['width']:6.2f} %  covers {100 * s['cover']:5.1f} %  "
        f"error {100 * s['error']:6.2f} %  target {100 * s['target']:6.2f} %  joint {s['joint']:9.1f}  {seconds:5.2f} s  {state}"
    )


def chinchilla() -> None:
    """Windows of compute, with and without the five outlying rows, predicting all larger runs."""
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv")
    spec = bl.load_model("chinchilla")
    for skipped in (5, 0):
        for cut in (1e20, 3e20, 1e21):
            rows = runs.iloc[skipped:]
            seen = bl.read_table(rows[rows["compute"] <= cut], spec)
            held = bl.read_table(rows[rows["compute"] > cut], spec)
            for name, changed in (("discrepancy", spec), ("independent", bl.change(spec, discrepancy=None))):
                if skipped == 0 and name == "independent":
                    continue
                fit, seconds, state = fitted(changed, seen)
                outliers = "with outliers" if skipped == 0 else ""
                print(
                    line(f"chinchilla <= {cut:.0e} {name} {outliers}", scores(fit, held), seconds, state),
                    flush=True,
                )


def gsm8k() -> None:
    """Compute law of pass@k, growing windows up to 10^-4 … 10^-0.5 of the target."""
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    law = bl.load_model("compute")
    methods = {
        "discrepancy": (law, "nuts"),
        "independent": (bl.change(law, discrepancy=None), "nuts"),
        "point": (law, "map"),
    }
    found: dict[str, list] = {name: [] for name in methods}
    for k in (1, 4, 16, 64):
        data = bl.read_table(counts, law, k=k, where="lr_warming_up=0")
        compute = data["compute"].values
        for order in np.arange(-4, 0, 0.5):
            seen = compute <= 10**order * compute.max()
            for name, (spec, method) in methods.items():
                fit, seconds, state = fitted(spec, data.isel(obs=seen), method)
                s = scores(fit, data.isel(obs=~seen))
                found[name].append((s, seconds, state))
                print(line(f"gsm8k k={k} 10^{order:.1f} {name}", s, seconds, state), flush=True)
    for name, cases in found.items():
        means = {key: float(np.mean([s[key] for s, _, _ in cases])) for key in cases[0][0]}
        failed = sum(state != "clean" for _, _, state in cases)
        print(
            line(
                f"gsm8k mean of {len(cases)} {name}",
                means,
                np.mean([t for _, t, _ in cases]),
                f"{failed} not clean",
            )
        )


def read(spec: bl.Spec, size: str, schedules: dict[str, str]) -> xr.Dataset:
    """Read loss curves of one model size."""
    where = [f"model_size={size}", "run=" + "|".join(schedules)]
    return bl.read_curves(
        DATA / "schedules" / "loss_curves.csv", spec, schedules, where=where, rename={"schedule": "run"}
    )


def schedules() -> None:
    """Three schedules seen, six forecast (whole curves, as fresh runs); then each of nine left out."""
    law = bl.load_model("annealing")
    every = {**TRAINING, **UNSEEN}
    for size in ("25M", "100M"):
        seen = read(law, size, TRAINING)
        for name, spec, method in (
            ("discrepancy", law, "nuts"),
            ("independent", bl.change(law, discrepancy=None), "nuts"),
            ("point", law, "map"),
        ):
            fit, seconds, state = fitted(spec, seen, method)
            each = [scores(fit, as_new(read(law, size, {run: text}))) for run, text in UNSEEN.items()]
            means = {key: float(np.mean([s[key] for s in each])) for key in each[0]}
            print(
                line(f"schedules {size} {name} (mean of six)", means, seconds, state),
                "by curve:",
                [f"{100 * s['cover']:.0f}" for s in each],
                flush=True,
            )
    for name, spec in (("discrepancy", law), ("independent", bl.change(law, discrepancy=None))):
        inside, bad, error = 0, 0, []
        for size in ("25M", "100M"):
            for run, text in every.items():
                rest = {r: t for r, t in every.items() if r != run}
                fit, _, state = fitted(spec, thin(read(law, size, rest)))
                s = scores(fit, as_new(read(law, size, {run: text})).isel(obs=[-1]))
                inside, bad = inside + s["last"], bad + (state != "clean")
                error.append(s["error"])
        print(
            f"schedules left out, final losses, {name}: {inside} of 18 inside 90 %, mean error {100 * np.mean(error):.2f} %, {bad} fits not clean",
            flush=True,
        )


def thin(data: xr.Dataset, every: int = 4) -> xr.Dataset:
    """Keep every fourth row of a curve: nine whole ones hold the table up for nothing."""
    return data.isel(obs=slice(None, None, every))


def as_new(data: xr.Dataset) -> xr.Dataset:
    """Forecast a curve as a fresh run: it may share nothing with those seen."""
    fresh = np.array([f"{run} (unseen)" for run in data["run"].values], dtype=object)
    return data.assign_coords(run=("obs", fresh))


def humaneval() -> None:
    """Counts on HumanEval against compute, each family held out in turn."""
    table = pd.read_csv(DATA / "humaneval" / "base_models.csv").dropna(subset=["FLOPs (1E21)", "HumanEval"])
    rows = pd.DataFrame({
        "model": table["Model"], "family": table["Model Family"], "compute": table["FLOPs (1E21)"] * 1e21,
        "n": 164, "c": (table["HumanEval"] * 164).round().astype(int),
    })  # fmt: skip
    law = bl.change(
        bl.load_model("compute"), likelihood={"family": "Binomial"}, pool={"level": "family"}, prior=HUMANEVAL
    )
    data = bl.read_table(rows, law)
    family = data["family"].values
    families = list(dict.fromkeys(family))
    print(
        f"humaneval: {data.sizes['obs']} models, {len(families)} families, {int((data['c'].values == 0).sum())} without a success"
    )
    for name, spec in (("discrepancy", law), ("independent", bl.change(law, discrepancy=None))):
        joint, each, states, seconds, cover = 0.0, 0.0, [], [], []
        for left in families:
            fit, spent, state = fitted(spec, data.isel(obs=family != left))
            h = held_out(fit, data.isel(obs=family == left), draws=4000)
            joint, each = joint + h.log_joint, each + h.log_rows.sum()
            low, high = np.quantile(h.draws, [0.05, 0.95], axis=0)
            cover.append((low <= h.observed) & (h.observed <= high))
            states.append(state)
            seconds.append(spent)
        failed = [s for s in states if s != "clean"]
        print(
            f"humaneval {name} with a family effect: joint log score {joint:.1f}, rows {each:.1f}, covers {100 * np.mean(np.concatenate(cover)):.0f} %, {np.mean(seconds):.1f} s a fit, {len(failed)} of {len(states)} not clean {failed}",
            flush=True,
        )


HUMANEVAL = {"sigma": (0.05, 0.5)}


class Tally:
    """How often a law's intervals hold a simulated target, with its discrepancy and without, and how wide they are."""

    def __init__(self, law: bl.Spec) -> None:
        self.law = law
        self.specs = {"discrepancy": law, "independent": bl.change(law, discrepancy=None)}
        self.inside = dict.fromkeys(self.specs, 0)
        self.failed = dict.fromkeys(self.specs, 0)
        self.ratio: dict[str, list] = {name: [] for name in self.specs}

    def add(self, frame: pd.DataFrame, noise: float, target: dict[str, list[float]]) -> None:
        """Fit all rows but the last, which is the target."""
        data = bl.read_table(frame.iloc[:-1], self.law)
        oracle = oracle_width(self.law, data, noise, target)
        y = frame[self.law.output.name].iloc[-1]
        for name, spec in self.specs.items():
            fit, _, state = fitted(spec, data)
            fc = bl.forecast(fit, target).sel(kind="run")
            low, high = float(fc["lower"][0]), float(fc["upper"][0])
            self.inside[name] += low <= y <= high
            self.failed[name] += state != "clean"
            self.ratio[name].append(np.log(high / low) / oracle)

    def print(self, title: str) -> None:
        """Print a line a model."""
        for name, inside in self.inside.items():
            count = len(self.ratio[name])
            print(
                f"{title}, {name}: covers {100 * inside / count:.1f} % of {count}, median width {np.median(self.ratio[name]):.2f} times the oracle's, {self.failed[name]} not clean",
                flush=True,
            )


def worlds(count: int = 200) -> None:
    """Simulated ladders, the target two orders beyond: laws that are usual or any of the prior, right or drifting."""
    law = bl.load_model("compute")
    compute = np.geomspace(1e18, 1e21, 24)
    target = 1e23
    for kind in ("right", "drifting", "right, any law of the prior", "drifting, any law of the prior"):
        rng = np.random.default_rng(1)
        tally = Tally(law)
        for _ in range(count):
            frame, noise = world(rng, np.append(compute, target), kind)
            tally.add(frame, noise, {"C": [target]})
        tally.print(f"worlds {kind}")


def world(rng: np.random.Generator, compute: np.ndarray, kind: str) -> tuple[pd.DataFrame, float]:
    """Draw a law from what is usual, its drift, and noise."""
    level, floor, alpha = rng.uniform(2, 5), rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.25)
    noise = rng.uniform(0.03, 0.08)
    if kind.endswith("any law of the prior"):
        drawn = draw_priors(bl.load_model("compute"), 1, rng)
        level, floor, alpha, noise = (float(drawn[n][0]) for n in ("level", "floor", "alpha", "sigma"))
    x = np.log(compute / np.exp(np.log(compute[:-1]).mean()))
    z = np.log(level * (floor + (1 - floor) * np.exp(-alpha * x)))
    if kind.startswith("drifting"):
        z = z + drift(rng, x[:, None], noise)
    y = np.exp(z + noise * rng.standard_normal(len(x)))
    return pd.DataFrame({"compute": compute, "neg_log_pass_at_k": y}), noise


def drift(rng: np.random.Generator, places: np.ndarray, noise: float) -> np.ndarray:
    """Draw a smooth wandering over places in e-folds, one to four times the run noise in size."""
    length, scale = rng.uniform(3, 8), noise * rng.uniform(1, 4)
    r = np.linalg.norm(places[:, None] - places, axis=2) / length
    cov = np.exp(-0.5 * r**2) + 1e-9 * np.eye(len(places))
    return scale * rng.multivariate_normal(np.zeros(len(places)), cov)


def oracle_width(law: bl.Spec, data: xr.Dataset, noise: float, target: dict[str, list[float]]) -> float:
    """Return the log width of the independent normal law's interval, run noise known."""
    spec = bl.change(law, discrepancy=None, likelihood={"family": "Normal", "sigma": {"fixed": noise}})
    fit, _, _ = fitted(spec, data)
    fc = bl.forecast(fit, target).sel(kind="run")
    return float(np.log(fc["upper"][0] / fc["lower"][0]))


def chinchilla_worlds(count: int = 200, cut: float = 3e20) -> None:
    """Simulated tables on the real runs' inputs up to a cut, the largest run forecast; laws from the real fit."""
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    law = bl.load_model("chinchilla")
    whole, _, _ = fitted(bl.change(law, discrepancy=None), bl.read_table(runs, law))
    values = whole.draws.stack(sample=("chain", "draw"))
    design = pd.concat([runs[runs["compute"] <= cut], runs.nlargest(1, "compute")])
    for kind in ("right", "drifting"):
        rng = np.random.default_rng(1)
        tally = Tally(law)
        for _ in range(count):
            v = values.isel(sample=rng.integers(values.sizes["sample"]))
            E, A, B, alpha, beta, noise = (float(v[n]) for n in ("E", "A", "B", "alpha", "beta", "sigma"))
            N, D = (design[n].to_numpy(dtype=float) for n in ("params", "tokens"))
            z = np.log(E + A * N**-alpha + B * D**-beta)
            if kind == "drifting":
                z = z + drift(rng, np.log(np.stack([N, D], axis=1)), noise)
            frame = design.assign(loss=np.exp(z + noise * rng.standard_normal(len(z))))
            tally.add(frame, noise, {"N": [N[-1]], "D": [D[-1]]})
        tally.print(f"chinchilla worlds <= {cut:.0e}, {kind}")


PARTS = {f.__name__: f for f in (chinchilla, gsm8k, schedules, humaneval, worlds, chinchilla_worlds)}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
