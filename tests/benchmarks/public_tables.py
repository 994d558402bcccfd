"""Public tables of trained runs, each cut in two: what a law is fitted to, and the runs beyond that it forecasts.

Run: uv run python tests/benchmarks/public_tables.py

Prints the cases, a line each: source, table, kind of data, law, rows seen and held out. Other scripts take them from here.
The tables are read from ../shared/data beside the project.

A *source* is who trained the runs, a *table* one set of runs and data, which may hold many curves, losses or values of k: they
share its errors and count as one. What is held out always lies behind a cut along compute, or along a curve's own input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from extrapolation import DATA, TRAINING, UNSEEN, as_new, read, thin

import bayeslaw as bl

CURVE = ("power", "broken-power", "sigmoid-power")
PLANE = ("chinchilla", "coupled")
FACTORS = (10**0.5, 10.0, 100.0, 1000.0)
"""How far below its largest value a table is cut."""
SHARES = (0.5, 0.75)
"""The shares of a table's rows behind which it is cut, too."""
FEWEST = {1: 6, 2: 12}
"""Rows that a cut must leave, by the number of inputs."""
MOST_SEEN, MOST_HELD = 150, 30
"""Rows of a case; of more, evenly spaced ones along the cut."""
REPEATED = 15.39
"""Epochs after which repeated tokens are worth little, arXiv:2305.16264."""


@dataclass(frozen=True)
class Table:
    """Rows of one set of runs and data, for some laws.

    Attributes
    ----------
    source, name, kind : str
        Who trained the runs; which of them, and on which data; ``loss`` or ``pass@k``.
    part : str
        Which curve, loss or k of the table.
    laws : tuple of str
        Shipped laws that the columns suit.
    rows : dict of str to xarray.Dataset
        By law, all in the same order.
    along : numpy.ndarray, shape (rows,)
        What cuts are made along.
    far : numpy.ndarray of bool, shape (rows,), or None
        What the table itself marks as its target region.
    """

    source: str
    name: str
    kind: str
    part: str
    laws: tuple[str, ...]
    rows: dict[str, xr.Dataset]
    along: np.ndarray
    far: np.ndarray | None = None


@dataclass(frozen=True)
class Case:
    """What one law is fitted to, and what it forecasts."""

    source: str
    table: str
    kind: str
    part: str
    law: str
    seen: xr.Dataset
    held: xr.Dataset


def tables() -> Iterator[Table]:
    """Yield every table."""
    for some in (curves, planes, checkpoints):
        yield from some()


def curves() -> Iterator[Table]:
    """Yield single curves of loss: size at one number of tokens, tokens at one size, steps of a run."""
    far = active("farseer").query("split == 'train'")
    for size in sorted(far["N"].unique())[2::8]:
        yield curve("farseer", "farseer", f"N = {size:.2g}", far[far["N"] == size], "D", "loss")
    tokens = far["D"].map(lambda d: float(f"{d:.1e}"))
    long = [d for d, rows in far.groupby(tokens) if len(rows) >= 10]
    for d in long[::6]:
        yield curve("farseer", "farseer", f"D = {d:.2g}", far[tokens == d], "N", "loss")
    repeated = active("data_constrained")
    for (unique, size), rows in repeated.groupby(["unique_tokens", "params"]):
        if len(rows) >= 8:
            yield curve("data-constrained", "data-constrained", f"{unique:.2g} of N = {size:.2g}", rows, "tokens", "loss")  # fmt: skip
    for name, rows in gadre().groupby("dataset"):
        for size, own in rows.groupby("params"):
            for loss in ("loss_c4_val", "loss_openlm"):
                if len(own) >= 8:
                    yield curve("gadre", f"gadre {name}", f"{loss} of N = {size:.2g}", own, "tokens", loss)
    slim = gemstones("slim_chinchilla")
    slim = slim.assign(compute=6.0 * slim["params"] * slim["tokens"])
    yield curve("gemstones", "gemstones slim", "compute", slim, "compute", "loss")
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    best = runs.loc[runs.groupby(np.round(4 * np.log10(runs["compute"])))["loss"].idxmin()]
    yield curve("chinchilla", "chinchilla", "least loss", best, "compute", "loss")
    logged = pd.read_csv(DATA / "schedules" / "loss_curves.csv").query("schedule == 'constant_72000'")
    for size, rows in logged.groupby("model_size"):
        at = np.unique(np.searchsorted(rows["step"], np.geomspace(2176, 71936, 40)))
        yield curve("schedules", f"schedules {size}", "steps", rows.iloc[at], "step", "loss")


def planes() -> Iterator[Table]:
    """Yield tables of loss by size and data."""
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv").iloc[5:]
    yield plane("chinchilla", "chinchilla", "", runs)
    far = active("farseer").rename(columns={"N": "params", "D": "tokens"})
    yield plane("farseer", "farseer", "", far)
    for part in ("slim_chinchilla", "cool_end"):
        yield plane("gemstones", f"gemstones {part.split('_')[0]}", "", gemstones(part))
    for name, rows in gadre().groupby("dataset"):
        for loss in ("loss_c4_val", "loss_openlm"):
            yield plane("gadre", f"gadre {name}", loss, rows.drop(columns="loss", errors="ignore").rename(columns={loss: "loss"}))  # fmt: skip
    repeated = active("data_constrained")
    extra = repeated["tokens"] / repeated["unique_tokens"] - 1
    worth = repeated["unique_tokens"] * (1 + REPEATED * -np.expm1(-np.maximum(extra, 0) / REPEATED))
    yield plane("data-constrained", "data-constrained", "", repeated.assign(tokens=np.minimum(worth, repeated["tokens"])))  # fmt: skip


def marked() -> Iterator[Table]:
    """Yield the tables that mark a far target region, all inputs named as the laws name theirs."""
    for table in planes():
        if table.far is not None:
            yield table
    moe = active("moe").rename(columns={"dense_parameter_count": "params", "num_experts": "tokens", "loss_validation": "loss"})  # fmt: skip
    yield plane("moe", "moe", "size, experts", moe)
    for group, rows in active("parallel").groupby("group"):
        yield plane("parallel", f"parallel {group}", "size, streams", rows.rename(columns={"num_params": "params", "parallel_size": "tokens"}))  # fmt: skip


def checkpoints() -> Iterator[Table]:
    """Yield tables of pass@k."""
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    for k in (1, 16, 64):
        laws = ("compute", "params-tokens")
        rows = {n: bl.read_table(counts, bl.load_model(n), k=k, where="lr_warming_up=0") for n in laws}
        along = rows["compute"]["compute"].values
        yield Table("pythia", "pythia gsm8k", "pass@k", f"k = {k}", laws, rows, along)
    models = pd.read_csv(DATA / "humaneval" / "base_models.csv")
    for benchmark in ("HumanEval", "GSM8K"):
        own = models.dropna(subset=["FLOPs (1E21)", "Model Size (B)", "Pretraining Data Size (T)", benchmark])
        own = own[own[benchmark] > 0].reset_index(drop=True)
        frame = pd.DataFrame({
            "model": own["Model"], "compute": own["FLOPs (1E21)"] * 1e21, "params": own["Model Size (B)"] * 1e9,
            "tokens": own["Pretraining Data Size (T)"] * 1e12, "pass_at_k": own[benchmark],
        })  # fmt: skip
        rows = {n: bl.read_table(frame, bl.load_model(n)) for n in ("compute", "params-tokens")}
        along = rows["compute"]["compute"].values
        yield Table("base models", f"base models {benchmark}", "pass@k", "", tuple(rows), rows, along)


def schedules() -> Iterator[Case]:
    """Yield loss curves: three schedules seen and six forecast; then each of nine left out."""
    law, every = bl.load_model("annealing"), {**TRAINING, **UNSEEN}
    for size in ("25M", "100M"):
        splits = [(TRAINING, UNSEEN)]
        splits += [({r: t for r, t in every.items() if r != run}, {run: every[run]}) for run in TRAINING]
        for seen, held in splits:
            each = [as_new(read(law, size, {run: text})) for run, text in held.items()]
            ends = [rows.isel(obs=[rows.sizes["obs"] // 2, -1]) for rows in each]
            for run, rows in zip(held, ends, strict=True):
                yield Case("schedules", f"schedules {size}", "loss", run, "annealing", thin(read(law, size, seen), 8), rows)  # fmt: skip


def active(name: str) -> pd.DataFrame:
    return pd.read_csv(DATA / "active_sl" / f"{name}.csv")


def gadre() -> pd.DataFrame:
    return pd.read_csv(DATA / "gadre" / "gadre_models_losses.csv")


def gemstones(part: str) -> pd.DataFrame:
    table = pd.read_csv(DATA / "gemstones" / f"wandb_df_for_fitting_{part}.csv")
    return table.rename(columns={"params_active_precise": "params", "final_loss": "loss"})


def curve(source: str, name: str, part: str, frame: pd.DataFrame, x: str, y: str) -> Table:
    """Return a table of one input."""
    rows = pd.DataFrame({"x": frame[x].astype(float), "y": frame[y].astype(float)}).dropna()
    rows = rows.groupby("x", as_index=False)["y"].mean()
    data = {law: bl.read_table(rows, bl.load_model(law)) for law in CURVE}
    return Table(source, name, "loss", part, CURVE, data, rows["x"].to_numpy())


def plane(source: str, name: str, part: str, frame: pd.DataFrame) -> Table:
    """Return a table of size and data."""
    kept = frame[["params", "tokens", "loss"]].astype(float)
    kept = kept.assign(far=frame["split"] == "test" if "split" in frame else False).dropna()
    kept = kept.drop_duplicates(["params", "tokens", "loss"]).reset_index(drop=True)
    rows = kept[["params", "tokens", "loss"]].assign(run=np.arange(len(kept)))
    data = {law: bl.read_table(rows, bl.load_model(law)) for law in PLANE}
    far = kept["far"].to_numpy() if kept["far"].any() else None
    return Table(source, name, "loss", part, PLANE, data, (6 * rows["params"] * rows["tokens"]).to_numpy(), far)  # fmt: skip


def cuts(table: Table) -> list[float]:
    """Return where a table is cut, no two that leave nearly the same rows."""
    x, most = table.along, table.along.max()
    inputs = 1 if {"compute", "power"} & set(table.laws) else 2
    found: dict[int, float] = {}
    for at in [*(np.quantile(x, share) for share in SHARES), *(most / factor for factor in FACTORS)]:
        seen = int((x <= at).sum())
        near = [n for n in found if abs(n - seen) <= 0.1 * len(x)]
        if FEWEST[inputs] <= seen <= len(x) - 2 and not near:
            found[seen] = float(at)
    return sorted(found.values())


def spread(where: np.ndarray, along: np.ndarray, most: int) -> np.ndarray:
    """Return the places of rows, evenly spaced along the cut where there are too many."""
    at = np.flatnonzero(where)
    at = at[np.argsort(along[at], kind="stable")]
    return np.sort(at[np.unique(np.linspace(0, len(at) - 1, most).astype(int))]) if len(at) > most else at


def cases(some: Iterator[Table]) -> Iterator[Case]:
    """Yield each table cut in two, law by law."""
    for table in some:
        for at in cuts(table):
            seen = table.along <= at
            yield from parted(table, seen, ~seen, f"{table.part} <= {at:.2g}".strip())


def far_cases(some: Iterator[Table]) -> Iterator[Case]:
    """Yield each table cut at its own mark."""
    for table in some:
        if table.far is not None:
            yield from parted(table, ~table.far, table.far, f"{table.part} split".strip())


def parted(table: Table, seen: np.ndarray, held: np.ndarray, part: str) -> Iterator[Case]:
    first, last = spread(seen, table.along, MOST_SEEN), spread(held, table.along, MOST_HELD)
    for law in table.laws:
        rows = table.rows[law]
        yield Case(table.source, table.name, table.kind, part, law, rows.isel(obs=first), rows.isel(obs=last))


def every_case() -> list[Case]:
    """Return all cases that the track record rests on."""
    return [*cases(tables()), *schedules()]


def main() -> None:
    """Print the cases."""
    for case in every_case():
        sizes = f"{case.seen.sizes['obs']:4d} -> {case.held.sizes['obs']:3d}"
        print(f"{case.source:18s} {case.table:24s} {case.kind:7s} {case.law:14s} {sizes}  {case.part}")


if __name__ == "__main__":
    main()
