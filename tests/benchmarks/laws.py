"""Forecasts of several laws, each alone and all weighed by `stack`, on public tables held out ahead.

Run: uv run python tests/benchmarks/laws.py [tables curves]

`tables`: size and data, cut by compute. `curves`: one input, cut in it. Every law is fitted to the rows up to the cut and
forecasts those behind it. Prints a line a case, 90 % interval score (percent of the output, lower is better) and coverage of
each law, of equal weights, of weights that count all blocks alike, and of `stack`; and below, the mean over cases and the
geometric mean of the score over the best single law's of the part. Real tables are read from ../shared/data beside the project.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr
from extrapolation import DATA

import bayeslaw as bl

LAWS = {"tables": ("chinchilla", "coupled"), "curves": ("power", "broken-power", "sigmoid-power")}
AHEAD = (10**0.5, 10.0)
"""How far below the largest value a table is cut, as factors."""
FEWEST, MOST = {"tables": 18, "curves": 10}, 40
"""Rows that a cut must leave, and rows that are forecast, spread over what is held out."""
WAYS = ("equal", "blocks alike", "stack")
SETTINGS = {"draws": 500, "tune": 500, "chains": 2, "progress": False}


def tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield tables of loss by size and data."""
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    yield "chinchilla", runs
    far = pd.read_csv(DATA / "active_sl" / "farseer.csv").query("split == 'train'")
    yield "farseer", far.rename(columns={"N": "params", "D": "tokens"})
    for part in ("cool_end", "hot", "slim_chinchilla"):
        table = pd.read_csv(DATA / "gemstones" / f"wandb_df_for_fitting_{part}.csv")
        yield (
            f"gemstones {part}",
            table.rename(columns={"params_active_precise": "params", "final_loss": "loss"}),
        )
    gadre = pd.read_csv(DATA / "gadre" / "gadre_models_losses.csv").rename(columns={"loss_c4_val": "loss"})
    for name, table in gadre.groupby("dataset"):
        yield f"gadre {name}", table


def curves() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield single curves."""
    far = pd.read_csv(DATA / "active_sl" / "farseer.csv").query("split == 'train'")
    for size in sorted(far["N"].unique())[3:21:6]:
        table = far[far["N"] == size]
        yield f"farseer N = {size:.2g}", pd.DataFrame({"x": table["D"], "y": table["loss"]})
    logged = pd.read_csv(DATA / "schedules" / "loss_curves.csv").query("schedule == 'constant_72000'")
    for size, table in logged.groupby("model_size"):
        at = np.unique(np.searchsorted(table["step"], np.geomspace(2176, 71936, 40)))
        yield f"loss curve {size}", pd.DataFrame({"x": table["step"], "y": table["loss"]}).iloc[at]
    gadre = pd.read_csv(DATA / "gadre" / "gadre_models_losses.csv")
    for name, table in gadre.groupby("dataset"):
        yield (
            f"gadre {name}",
            pd.DataFrame({"x": 6.0 * table["params"] * table["tokens"], "y": table["loss_c4_val"]}),
        )
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    best = runs.groupby(np.round(4 * np.log10(runs["compute"])))["loss"].idxmin()
    yield "chinchilla, least loss", pd.DataFrame({"x": runs["compute"], "y": runs["loss"]}).loc[best]
    compute = bl.load_model("compute")
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    for k in (1, 16):
        data = bl.read_table(counts, compute, k=k, where="lr_warming_up=0")
        yield (
            f"gsm8k k = {k}",
            pd.DataFrame({"x": data["compute"].values, "y": data["neg_log_pass_at_k"].values}),
        )


def score(fit: bl.Fit | bl.Mixture, held: xr.Dataset) -> tuple[float, float]:
    """Return the mean interval score, as a share of the output, and the coverage of a forecast."""
    spec = next(iter(fit.fits.values())).spec if isinstance(fit, bl.Mixture) else fit.spec
    fc = bl.forecast(fit, {i.column: held[i.column].values for i in spec.inputs.values()}).sel(kind="run")
    low, high, y = fc["lower"].values, fc["upper"].values, held[spec.output.name].values
    missed = np.maximum(np.log(low / y), 0) + np.maximum(np.log(y / high), 0)
    return float(np.mean(np.log(high / low) + 20 * missed)), float(np.mean((low <= y) & (y <= high)))


def judged(laws: tuple[str, ...], seen: xr.Dataset, held: xr.Dataset) -> dict[str, tuple[float, float]]:
    """Fit the laws to what is seen, weigh them, and score every way to forecast."""
    fits = {name: bl.fit(bl.load_model(name), seen, **SETTINGS) for name in laws}
    stacked = bl.stack(fits, **SETTINGS)
    ways = {
        "equal": bl.Mixture(fits, dict.fromkeys(laws, 1 / len(laws)), stacked.scores),
        "blocks alike": bl.Mixture(fits, stacked.weights, stacked.scores),
        "stack": stacked,
    }
    return {name: score(fit, held) for name, fit in {**fits, **ways}.items()}


def cases(part: str) -> Iterator[tuple[str, xr.Dataset, xr.Dataset]]:
    """Yield each table cut in two: a name, what is seen, what is held out."""
    spec = bl.load_model(LAWS[part][0])
    for name, table in globals()[part]():
        columns = ["params", "tokens", "loss"] if part == "tables" else ["x", "y"]
        table = table[columns].drop_duplicates()
        data = bl.read_table(table.assign(run=np.arange(len(table))), spec)
        far = (6 * data["params"] * data["tokens"] if part == "tables" else data["x"]).values
        for factor in AHEAD:
            seen = far <= far.max() / factor
            if FEWEST[part] <= seen.sum() < len(far):
                held = np.flatnonzero(~seen)
                held = held[np.unique(np.linspace(0, len(held) - 1, MOST).astype(int))]
                yield f"{name}, {np.log10(factor):g} ahead", data.isel(obs=seen), data.isel(obs=held)


def main(part: str) -> None:
    """Print a line a case, and what all say together."""
    laws, found, started = LAWS[part], [], time.perf_counter()
    ways = [*laws, *WAYS]
    print(f"\n{part:36s} rows " + "".join(f"{way:>20s}" for way in ways))
    for name, seen, held in cases(part):
        said = judged(laws, seen, held)
        found.append([said[way] for way in ways])
        told = "".join(f"{100 * s:12.2f} % {100 * c:4.0f}%" for s, c in found[-1])
        print(f"{name:36s} {seen.sizes['obs']:4d} {told}", flush=True)
    scores, covers = np.array(found)[..., 0], np.array(found)[..., 1]
    best = np.log(scores[:, : len(laws)]).mean(axis=0).argmin()
    ratio = np.exp(np.log(scores / scores[:, [best]]).mean(axis=0))
    for label, row, unit in (("mean score", 100 * scores.mean(axis=0), " %"), ("mean coverage", 100 * covers.mean(axis=0), " %"),
                             (f"score over {laws[best]}'s", ratio, "")):  # fmt: skip
        print(f"{label:41s} " + "".join(f"{value:18.2f}{unit:2s}" for value in row))
    print(f"{len(found)} cases, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or LAWS:
        main(chosen)
