"""Time the published grid of 4,500 starts of the loss law in parameters and tokens.

Run: uv run python tests/benchmarks/point_fit.py [path of runs.csv]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd

import bayeslaw as bl


def main() -> None:
    """Fit three times and print seconds and where the starts ended."""
    default = Path(__file__).parents[3] / "shared" / "data" / "chinchilla" / "runs.csv"
    spec = bl.load_model("chinchilla")
    data = bl.read_table(pd.read_csv(sys.argv[1] if len(sys.argv) > 1 else default).iloc[5:], spec)
    for _ in range(3):
        started = time.perf_counter()
        fit = bl.fit(spec, data, "map", bootstrap=0, progress=False)
        seconds = time.perf_counter() - started
        print(f"{seconds:.2f} s; {bl.checks(fit)[0].message}")


if __name__ == "__main__":
    main()
