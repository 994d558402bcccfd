"""Count fits that fail a sampler's check, by law, at default settings and for several seeds.

Run: uv run python tests/benchmarks/failures.py [own gsm8k ladders gold chinchilla curves humaneval] [--seeds 4]

Prints a line a law: how many of its fits fail, and of what. Another law is another row of `PARTS`' functions.
Real tables are read from ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr
from extrapolation import DATA, HUMANEVAL, world

import bayeslaw as bl

Case = tuple[str, bl.Spec, xr.Dataset]
"""What a line counts together, law, table."""
K, CUTS = (1, 10, 100), (0, 1e18, 1e19, 1e20, 3e20, 1e21)
GOLD = {"join": DATA / "pythia" / "gsm8k_gold_nll.csv", "on": "model"}
AT_END = {"cosine_20000": ", end=2e-5", "constant_20000": ""}
SHAPES = ("power", "broken-power", "sigmoid-power")


def both(name: str, spec: bl.Spec, data: xr.Dataset) -> Iterator[Case]:
    """Yield a case with the law's discrepancy and one with independent errors."""
    yield f"{name}, discrepancy", spec, data
    yield f"{name}, independent errors", bl.change(spec, discrepancy=None), data


def own() -> Iterator[Case]:
    """Each shipped law on a public table of its own kind, as it is shipped."""
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    for law, more in (("compute", {}), ("params-tokens", {}), ("gold-likelihood", GOLD)):
        spec = bl.load_model(law)
        yield law, spec, bl.read_table(counts, spec, where="lr_warming_up=0", **more)
    spec = bl.load_model("chinchilla")
    yield "chinchilla", spec, bl.read_table(pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:], spec)
    runs, spec = pd.read_csv(DATA / "published" / "annealing_curves_20k.csv"), bl.load_model("annealing")
    schedules = {n: f"{n.split('_')[0]}(peak=2e-4, warmup=500, total=20000, hold=true{AT_END[n]})" for n in runs["run"].unique()}  # fmt: skip
    yield "annealing", spec, bl.read_curves(runs, spec, schedules)
    table = pd.read_csv(DATA / "gadre" / "gadre_models_losses.csv").query("dataset == 'c4_original'")
    rows = pd.DataFrame(
        {"x": 6.0 * table["params"] * table["tokens"], "y": table["loss_c4_val"], "run": table["name"]}
    )
    for law in SHAPES:
        spec = bl.load_model(law)
        yield law, spec, bl.read_table(rows, spec)
    far = pd.read_csv(DATA / "active_sl" / "farseer.csv").query("split == 'train'")
    far = far.rename(columns={"N": "params", "D": "tokens"}).assign(run=range(len(far)))
    for law in ("chinchilla", "coupled"):
        spec = bl.load_model(law)
        yield f"farseer, {spec.name}", spec, bl.read_table(far, spec)


def gsm8k() -> Iterator[Case]:
    """Eighteen windows of the checkpoints: three k, six lower cuts of compute."""
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    for law in ("compute", "params-tokens"):
        spec = bl.load_model(law)
        for k in K:
            data = bl.read_table(counts, spec, k=k, where="lr_warming_up=0")
            for cut in CUTS:
                yield from both(f"gsm8k {law}", spec, data.isel(obs=data["compute"].values >= cut))


def ladders(count: int = 6) -> Iterator[Case]:
    """Simulated ladders of a usual law that is right."""
    rng, spec = np.random.default_rng(2), bl.load_model("compute")
    for _ in range(count):
        frame, _ = world(rng, np.geomspace(1e18, 1e21, 24), "right")
        yield from both("simulated ladders", spec, bl.read_table(frame, spec))


def gold() -> Iterator[Case]:
    """Nine checkpoints with the likelihood of gold solutions."""
    counts, spec = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv"), bl.load_model("gold-likelihood")
    for k in (1, 16, 128):
        yield from both(
            "gold-likelihood", spec, bl.read_table(counts, spec, k=k, where="lr_warming_up=0", **GOLD)
        )


def chinchilla() -> Iterator[Case]:
    """Both laws of loss on the 240 runs, and on the 48 smallest alone."""
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    for law in ("chinchilla", "coupled"):
        spec = bl.load_model(law)
        yield from both(f"{law}, 240 runs", spec, bl.read_table(runs, spec))
        yield from both(f"{law}, 48 smallest", spec, bl.read_table(runs.nsmallest(48, "compute"), spec))


def curves(noise: float = 0.015) -> Iterator[Case]:
    """Each law in one input on curves of each, 25 points over 3.6 orders."""
    rng, x = np.random.default_rng(3), np.geomspace(1e2, 4e5, 25)
    t = np.log(x / x[0])
    falls = {
        "power": 0.2 + 0.8 * np.exp(-0.3 * t),
        "broken-power": np.exp(-0.1 * t - 0.2 * np.logaddexp(0, 3 * (t - 4)) / 3),
        "sigmoid-power": 0.2 + 0.8 / (1 + np.exp(t - 4)),
    }
    for fall in falls.values():
        frame = pd.DataFrame({"x": x, "y": 3 * fall * np.exp(noise * rng.standard_normal(len(x)))})
        for law in SHAPES:
            spec = bl.load_model(law)
            yield f"curves {law}", spec, bl.read_table(frame, spec)


def humaneval() -> Iterator[Case]:
    """Counts of 112 models, their level pooled by family."""
    table = pd.read_csv(DATA / "humaneval" / "base_models.csv").dropna(subset=["FLOPs (1E21)", "HumanEval"])
    rows = pd.DataFrame({
        "model": table["Model"], "family": table["Model Family"], "compute": table["FLOPs (1E21)"] * 1e21,
        "n": 164, "c": (table["HumanEval"] * 164).round().astype(int),
    })  # fmt: skip
    law = bl.change(
        bl.load_model("compute"), likelihood={"family": "Binomial"}, pool={"level": "family"}, prior=HUMANEVAL
    )
    yield from both("humaneval, pooled counts", law, bl.read_table(rows, law))


PARTS = {f.__name__: f for f in (own, gsm8k, ladders, gold, chinchilla, curves, humaneval)}


def main(parts: list[str], seeds: int, only: str) -> None:
    """Fit every case with every seed and print a line a name."""
    for part in parts:
        fits, failed, of = Counter(), Counter(), {}
        for name, spec, data in PARTS[part]():
            for seed in range(seeds if only in name else 0):
                found = bl.checks(bl.fit(spec, data, seed=seed, progress=False))
                bad = [f"{c.name} {c.value:.3g}" for c in found if c.level == "fail"]
                fits[name] += 1
                failed[name] += bool(bad)
                of.setdefault(name, []).extend(bad)
        for name, count in fits.items():
            print(f"{name}: {failed[name]} of {count} fits fail {of[name] or ''}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--only", default="", help="cases whose names have this")
    given = parser.parse_args()
    main(given.parts or list(PARTS), given.seeds, given.only)
