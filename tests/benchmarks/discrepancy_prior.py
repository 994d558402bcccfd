"""Derive the default prior of a discrepancy from several datasets, and try it on each one left out.

Run: uv run python tests/benchmarks/discrepancy_prior.py

For every dataset the size of the discrepancy, in units of run noise, and its length are inferred under wide
priors. The prior that a new dataset deserves is the normal distribution of their logarithms over datasets,
with the spread between datasets and the uncertainty within them. Leaving one dataset out at a time gives the
prior that it would have had from the others; its forecasts under that prior stand beside those under
the shipped one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from extrapolation import DATA, TRAINING, fitted, read, scores

import bayeslaw as bl

WIDE = {"scale": {"prior_90": [0.05, 30], "unit": "sigma"}, "length": {"prior_90": [0.5, 15]}}
Z = 1.645


def datasets() -> dict[str, tuple[bl.Spec, xr.Dataset, str, float]]:
    """Return by name: law, table, the column of its window, and the share of the largest value that is seen."""
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    models = pd.read_csv(DATA / "humaneval" / "base_models.csv").dropna(subset=["FLOPs (1E21)", "HumanEval"])
    models = models[models["HumanEval"] > 0]
    models = pd.DataFrame({"compute": models["FLOPs (1E21)"] * 1e21, "pass_at_k": models["HumanEval"]})
    laws = {name: bl.load_model(name) for name in ("chinchilla", "compute", "params-tokens")}
    out = {"chinchilla": (laws["chinchilla"], bl.read_table(runs, laws["chinchilla"]), "compute", 0.03)}
    for k in (1, 16):
        for name in ("compute", "params-tokens"):
            data = bl.read_table(counts, laws[name], k=k, where="lr_warming_up=0")
            out[f"gsm8k {name} k={k}"] = laws[name], data, "compute", 0.01
    out["humaneval"] = laws["compute"], bl.read_table(models, laws["compute"]), "compute", 0.01
    return out


def family(name: str) -> str:
    """Return the dataset that a case belongs to: one benchmark's checkpoints are one."""
    return name.split()[0]


def inferred() -> dict[str, list[np.ndarray]]:
    """Return mean and variance of log ratio and log length under wide priors, by dataset."""
    found: dict[str, list] = {}
    for name, (spec, data, _, _) in datasets().items():
        fit, _, state = fitted(bl.change(spec, discrepancy=WIDE), data)
        logs = [np.log(fit.draws[f"discrepancy_{p}"].values.ravel()) for p in ("scale", "length")]
        report(name, logs, state)
        found.setdefault(family(name), []).append(np.array([[v.mean(), v.var()] for v in logs]))
    for size in ("25M", "100M"):  # curves: their noise is held, and lengths count in steps, not in size
        fit, _, state = fitted(bl.load_model("annealing"), read(bl.load_model("annealing"), size, TRAINING))
        ratio = np.log(fit.draws["discrepancy_scale"].values.ravel() / fit.spec.noise["sigma"].fixed)
        report(f"schedules {size}", [ratio], state)
        found.setdefault("schedules", []).append(np.array([[ratio.mean(), ratio.var()], [np.nan, np.nan]]))
    return found


def report(name: str, logs: list[np.ndarray], state: str) -> None:
    parts = [f"{what} {np.exp(np.median(v)):.2f} [{np.exp(np.quantile(v, 0.05)):.2f}, {np.exp(np.quantile(v, 0.95)):.2f}]"
             for what, v in zip(("scale / sigma", "length (e-folds)"), logs, strict=False)]  # fmt: skip
    print(f"{name:28s} {'  '.join(parts)}  {state}", flush=True)


def pooled(found: dict[str, list[np.ndarray]]) -> list[tuple[float, float]]:
    """Return the central 90 % of ratio and length for a new dataset."""
    each = np.stack(
        [np.mean(cases, axis=0) for cases in found.values()]
    )  # datasets, (ratio, length), (mean, var)
    out = []
    for j in range(2):
        mean, within = each[:, j, 0], each[:, j, 1]
        kept = np.isfinite(mean)
        spread = np.sqrt(mean[kept].var(ddof=1) + within[kept].mean())
        out.append(tuple(float(v) for v in np.exp(mean[kept].mean() + Z * spread * np.array([-1, 1]))))
    return out


def main() -> None:
    """Derive, leave one out, score."""
    found = inferred()
    print("all datasets: scale / sigma, length:", [f"[{a:.2f}, {b:.2f}]" for a, b in pooled(found)])
    cases = datasets()
    for left in {family(name) for name in cases}:
        ratio, length = pooled({name: v for name, v in found.items() if name != left})
        print(
            f"without {left}: scale / sigma [{ratio[0]:.2f}, {ratio[1]:.2f}], length [{length[0]:.2f}, {length[1]:.2f}]"
        )
        for name, (spec, data, along, share) in cases.items():
            if family(name) != left:
                continue
            values = data[along].values
            seen = values <= share * values.max()
            others = {"discrepancy_scale": ratio, "discrepancy_length": length}
            for label, changed in (
                ("shipped", spec),
                ("from the others", bl.change(spec, prior=others)),
                ("none", bl.change(spec, discrepancy=None)),
            ):
                fit, _, state = fitted(changed, data.isel(obs=seen))
                s = scores(fit, data.isel(obs=~seen))
                print(
                    f"   {name:26s} {label:16s} score {100 * s['score']:6.2f} %  width {100 * s['width']:6.2f} %  covers {100 * s['cover']:4.0f} %  joint {s['joint']:7.1f}  {state}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
