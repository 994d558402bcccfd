"""Forecast pass@1 of GSM8K for a run of 1e24 FLOP from the Pythia checkpoints.

Run: uv run python tests/benchmarks/headline.py

The table is read from ../shared/data beside the project.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from extrapolation import DATA, fitted

import bayeslaw as bl

TARGET = 1e24


def main() -> None:
    """Fit once, print the forecast and the exponent."""
    spec = bl.load_model("compute")
    counts = pd.read_csv(DATA / "pythia" / "gsm8k_counts.csv")
    data = bl.read_table(counts, spec, k=1, where="lr_warming_up=0")
    fit, seconds, state = fitted(spec, data)
    run = bl.forecast(fit, {"C": [TARGET]}, prob=0.9).sel(kind="run").isel(target=0)
    middle, high, low = (100 * np.exp(-float(run[n])) for n in ("median", "lower", "upper"))
    orders = np.log10(TARGET / data["compute"].values.max())
    alpha = np.quantile(fit.draws["alpha"].values, [0.05, 0.5, 0.95])
    print(
        f"{data.sizes['obs']} checkpoints, {TARGET:.0e} FLOP ({orders:.1f} orders beyond): pass@1 {middle:.1f} % [{low:.1f} %, {high:.1f} %]; "
        f"alpha {alpha[1]:.3f} [{alpha[0]:.3f}, {alpha[2]:.3f}]; {seconds:.1f} s a fit, {state}"
    )


if __name__ == "__main__":
    main()
