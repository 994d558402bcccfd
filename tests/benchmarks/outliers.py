"""Measure which rows are called outliers: on right tables, on tables with planted ones, on laws that bend at the edge.

Run: uv run python tests/benchmarks/outliers.py [right planted bent real] [--tables 200]

Prints a line a design. No posterior is sampled: a row's shift is decided before, from a robust point fit.
Errors are the known sampling errors, relative: none, one size, or from .5 to .005 over the table.
Real tables are read from ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr
from extrapolation import DATA

import bayeslaw as bl
from bayeslaw.inference.fitting import settle_outliers
from bayeslaw.observation.bound import bind
from bayeslaw.observation.shifts import BENT, COLUMN

ROWS = (15, 25, 60)
LAWS = {1: "power", 2: "chinchilla"}
"""By number of inputs."""
NOISE = {1: (0.005, 0.1), 2: (0.002, 0.05)}
"""Run noise on the log scale, log-uniform."""
ERRORS = ("none", "equal", "rising", "falling", "shuffled")
MIXED = ("none", "rising")
"""Errors of every other table, where tables are mixed."""
TAILS = 6.0
"""Degrees of freedom of heavy-tailed run noise."""


def shifts(spec: bl.Spec, data: xr.Dataset, column: str = COLUMN) -> np.ndarray:
    """Return the rows' shifts, or how far a bend's rows are apart; zero for all others."""
    marked = settle_outliers(bind(spec, data)).data
    return marked[column].values if column in marked else np.zeros(data.sizes["obs"])


class World:
    """One simulated table: a law drawn from what is usual, places, noise, known errors."""

    def __init__(self, seed: int, inputs: int, rows: int, errors: str = "none", tails: bool = False) -> None:
        self.rng = rng = np.random.default_rng([seed, inputs, rows])
        self.spec = bl.load_model(LAWS[inputs])
        self.noise = float(np.exp(rng.uniform(*np.log(NOISE[inputs]))))
        self.place, self.columns, z = getattr(self, f"_inputs_{inputs}")(rows)
        self.error = self._errors(errors, rows)
        self.spread = np.hypot(self.noise, self.error)
        run = rng.standard_t(TAILS, rows) if tails else rng.standard_normal(rows)
        self.z = z + self.noise * run + self.error * rng.standard_normal(rows)

    def _inputs_1(self, rows: int) -> tuple[np.ndarray, dict, np.ndarray]:
        x = np.geomspace(1e2, 1e6, rows)
        floor, alpha = self.rng.uniform(0.05, 0.5), self.rng.uniform(0.1, 0.4)
        place = np.log(x)
        return place[:, None], {"x": x}, np.log(3 * (floor + (1 - floor) * (x / 1e2) ** -alpha))

    def _inputs_2(self, rows: int) -> tuple[np.ndarray, dict, np.ndarray]:
        params = 10 ** self.rng.uniform(7.5, 10, rows)
        tokens = params * 10 ** self.rng.uniform(0.7, 2, rows)
        alpha, beta = self.rng.uniform(0.28, 0.4, 2)
        share = self.rng.uniform(0.3, 0.7)
        middle = [v / np.exp(np.log(v).mean()) for v in (params, tokens)]
        z = np.log(1.8 + 1.2 * (share * middle[0] ** -alpha + (1 - share) * middle[1] ** -beta))
        return np.log(np.stack([params, tokens], axis=1)), {"params": params, "tokens": tokens}, z

    def _errors(self, errors: str, rows: int) -> np.ndarray:
        if errors == "none":
            return np.zeros(rows)
        if errors == "equal":
            return np.full(rows, self.noise * self.rng.choice([0.5, 1.0, 3.0]))
        sizes = np.geomspace(0.005, 0.5, rows)
        along = np.argsort(np.argsort(self.place.sum(axis=1)))
        return {
            "rising": sizes[along],
            "falling": sizes[::-1][along],
            "shuffled": self.rng.permutation(sizes),
        }[errors]

    def found(self) -> np.ndarray:
        """Return which rows get a shift."""
        name = self.spec.output.name
        y = np.exp(self.z)
        frame = pd.DataFrame({**self.columns, name: y, "sampling_error": self.error * y})
        return shifts(self.spec, bl.read_table(frame, self.spec)) != 0


def right(tables: int) -> None:
    """Tables whose law is right: every shift is a false one."""
    kinds = [*((e, False) for e in ERRORS), ("none", True)]
    for inputs, rows, (errors, tails) in itertools.product(LAWS, ROWS, kinds):
        found = np.array([World(s, inputs, rows, errors, tails).found() for s in range(tables)])
        kind = f"errors {errors}" + (f", Student-t noise of {TAILS:g}" if tails else "")
        print(
            f"right: {inputs} input(s), {rows} rows, {kind:35s}: {100 * found.any(axis=1).mean():5.1f} % of {tables} tables with "
            f"a false outlier, {found.sum() / tables:.3f} a table",
            flush=True,
        )


def inside(place: np.ndarray) -> np.ndarray:
    """Return the rows that others surround: not among the first or last of their smallest distance to an edge."""
    centre = place - np.median(place, axis=0)
    far = np.abs(centre / np.abs(centre).max(axis=0)).max(axis=1)
    return np.flatnonzero(far < 0.75)


def planted(tables: int) -> None:
    """Right tables with rows thrown off by 5 to 40 of their own spreads, either way, away from the edge."""
    for inputs, rows, count in itertools.product(LAWS, ROWS, (1, 3, 5)):
        if count > rows / 5:
            continue
        far, near, false = [], [], []
        for seed in range(tables):
            world = World(seed, inputs, rows, MIXED[seed % 2])
            at = world.rng.choice(inside(world.place), count, replace=False)
            size = world.rng.uniform(5, 40, count)
            world.z[at] += size * world.rng.choice([-1, 1], count) * world.spread[at]
            found = world.found()
            far += found[at[size > 15]].tolist()
            near += found[at[size <= 15]].tolist()
            found[at] = False
            false.append(found.any())
        print(
            f"planted: {inputs} input(s), {rows} rows, {count} outlier(s): found {100 * np.mean(far):5.1f} % of those beyond 15 "
            f"spreads, {100 * np.mean(near):5.1f} % of those of 5 to 15; {100 * np.mean(false):4.1f} % of {tables} tables with a "
            "false one beside",
            flush=True,
        )


def _edge(world: World, share: float) -> np.ndarray:
    """Return how far each row lies beyond the place where the last rows begin, in e-folds."""
    axis = world.rng.integers(world.place.shape[1])
    side = world.rng.choice([-1, 1])
    along = side * world.place[:, axis]
    start = np.quantile(along, 1 - share)
    return np.maximum(along - start, 0.0)


def _corner(world: World, share: float) -> np.ndarray:
    """Return the same towards a corner of several inputs."""
    side = world.rng.choice([-1, 1], world.place.shape[1])
    along = (world.place - world.place.mean(axis=0)) @ side / np.sqrt(len(side))
    return np.maximum(along - np.quantile(along, 1 - share), 0.0)


def _ramp(beyond, size):
    return size * beyond / beyond.max()


def _curve(beyond, size):
    return size * (beyond / beyond.max()) ** 2


def _plateau(beyond, size):
    return size * np.tanh(2 * beyond / beyond.max())


def _step(beyond, size):
    return size * (beyond > 0)


SHAPES = {"break": _ramp, "curve": _curve, "sigmoid": _plateau, "step": _step}


def bent(tables: int) -> None:
    """Laws that are wrong in the last 5 to 20 % of the rows, by 10 to 60 spreads at the very end: no shift is right."""
    for inputs, rows, shape in itertools.product(LAWS, ROWS, SHAPES):
        found = []
        for seed in range(tables):
            world = World(seed, inputs, rows, MIXED[seed % 2])
            rng = world.rng
            where = _edge if rng.random() < 0.5 else _corner
            beyond = where(world, rng.uniform(0.05, 0.2))
            size = rng.choice([-1, 1]) * rng.uniform(10, 60) * np.median(world.spread)
            world.z += SHAPES[shape](beyond, size)
            named = world.found()
            found.append([named[beyond > 0].any(), named[beyond == 0].any()])
        at, off = np.mean(found, axis=0)
        print(
            f"bent: {inputs} input(s), {rows} rows, {shape:7s}: {100 * at:5.1f} % of {tables} tables with a shift on the bend, "
            f"{100 * off:5.1f} % elsewhere",
            flush=True,
        )


def tables_of_runs() -> Iterator[tuple[str, bl.Spec, xr.Dataset]]:
    """Yield real tables: name, law, data."""
    law = bl.load_model("chinchilla")
    runs = pd.read_csv(DATA / "chinchilla" / "runs.csv")
    yield "chinchilla, all 245", law, bl.read_table(runs, law)
    yield "chinchilla without the first five", law, bl.read_table(runs.iloc[5:], law)
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    for name in ("compute", "params-tokens"):
        for k in (1, 16, 128):
            spec = bl.load_model(name)
            yield f"gsm8k {name} k={k}", spec, bl.read_table(counts, spec, k=k, where="lr_warming_up=0")
    gadre = pd.read_csv(DATA / "gadre" / "gadre_models_losses.csv")
    for dataset, part in gadre.groupby("dataset"):
        for loss in ("loss_c4_val", "loss_openlm"):
            yield f"gadre {dataset} {loss}", law, bl.read_table(part.rename(columns={loss: "loss"}), law)
    for file in ("cool_end", "hot", "slim_chinchilla"):
        table = pd.read_csv(DATA / "gemstones" / f"wandb_df_for_fitting_{file}.csv")
        names = {"params_active_precise": "params", "final_loss": "loss"}
        yield (
            f"gemstones {file}",
            law,
            bl.read_table(
                table[["params_active_precise", "tokens", "final_loss"]].rename(columns=names), law
            ),
        )
    farseer = pd.read_csv(DATA / "active_sl" / "farseer.csv").rename(columns={"N": "params", "D": "tokens"})
    yield "active_sl farseer", law, bl.read_table(farseer, law)
    limited = pd.read_csv(DATA / "active_sl" / "data_constrained.csv")
    yield "active_sl data_constrained", law, bl.read_table(limited, law)


def real(_: int) -> None:
    """Which rows of real tables are named, as outliers and as a bend."""
    for name, spec, data in tables_of_runs():
        named = {}
        for what, column in (("outliers", COLUMN), ("bend", BENT)):
            size = shifts(spec, data, column)
            named[what] = ", ".join(f"{i + 1} ({size[i]:+.2g})" for i in np.flatnonzero(size)) or "none"
        print(f"real: {name:34s} {data.sizes['obs']:4d} rows; {named}", flush=True)


PARTS = {f.__name__: f for f in (right, planted, bent, real)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    parser.add_argument("--tables", type=int, default=200)
    given = parser.parse_args()
    for part in given.parts or PARTS:
        PARTS[part](given.tables)
