"""Measure what the priors say and rest on, where no posterior is needed.

Run: uv run python tests/benchmarks/priors.py [implied repeats]

`implied` prints the exponents that the priors of the laws in one input imply over four orders of magnitude,
`repeats` how far two runs of one schedule lie apart. Real tables are read from ../shared/data beside the project.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from extrapolation import DATA

import bayeslaw as bl
from bayeslaw.law.evaluate import derive
from bayeslaw.law.priors import draw_priors

EXPONENTS = {"power": ("alpha",), "broken-power": ("before", "after"), "sigmoid-power": ("alpha",)}
SAME_SCHEDULE = ("constant_24000", "constant_72000")


def implied() -> None:
    """Central 90 % of the exponents under the priors alone."""
    for name, exponents in EXPONENTS.items():
        spec = bl.load_model(name)
        table = pd.DataFrame({"x": np.geomspace(1e2, 1e6, 25), "y": 1.0})
        spec = bl.resolve(spec, bl.read_table(table, spec))
        with np.errstate(all="ignore"):
            values = draw_priors(spec, 100_000, np.random.default_rng(0))
            values |= derive(spec, values)
        for exponent in exponents:
            low, middle, high = np.nanquantile(values[exponent], [0.05, 0.5, 0.95])
            print(f"{name:14s} {exponent:7s} over four orders: {middle:.3f} [{low:.3f}, {high:.3f}]")


def repeats() -> None:
    """Relative difference of two runs' losses where their schedules are the same."""
    curves = pd.read_csv(DATA / "schedules" / "loss_curves.csv")
    for size, part in curves.groupby("model_size"):
        loss = part.pivot(index="step", columns="schedule", values="loss")[list(SAME_SCHEDULE)].dropna()
        apart = np.diff(np.log(loss.to_numpy()), axis=1)
        print(f"{size}: {len(apart)} steps of {' and '.join(SAME_SCHEDULE)}, apart by {np.sqrt((apart**2).mean()):.4f}, "
              f"around their mean by {apart.std():.4f}")  # fmt: skip


PARTS = {f.__name__: f for f in (implied, repeats)}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
