"""Measure how often `adaptive-sampling` speaks: of n without regard to success, and of n that stops at it.

Run: uv run python tests/benchmarks/adaptive_sampling.py [tables a design]

GSM8K's counts are read from ../shared/data beside the project: their own n with its problems exchanged, and their
own rates under each stopping rule. A plain rank correlation of n and c / n stands beside.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import combine_pvalues, spearmanr

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_adaptive import FIXED, STOPPED, rates, table

from bayeslaw.data.adaptive import ADAPTIVE_LEVEL, sampling_checks

SHAPES = ((54, 128), (9, 64), (3, 30), (1, 128), (1, 20))
"""Models and problems."""
GSM8K = Path(__file__).parents[3] / "shared" / "data" / "pythia" / "gsm8k_counts.csv"


def plain(counts: pd.DataFrame) -> bool:
    """Whether rank correlations of n and c / n within models, together, would speak."""
    groups = [g for _, g in counts.groupby("model") if g["n"].nunique() > 1 and g["c"].nunique() > 1]
    if not groups:
        return False
    return (
        combine_pvalues([max(spearmanr(g["n"], g["c"] / g["n"]).pvalue, 1e-300) for g in groups]).pvalue
        < ADAPTIVE_LEVEL
    )


def told(name: str, tables: list[pd.DataFrame]) -> None:
    """Print how often a design is told of."""
    ours = np.mean([bool(sampling_checks(one, ["model"])) for one in tables])
    print(
        f"{name:32s} {100 * ours:6.1f} %   plain rank correlation {100 * np.mean([*map(plain, tables)]):6.1f} %"
    )


def simulated(count: int) -> None:
    """Tables of every shape under every rule."""
    for models, problems in SHAPES:
        for rule in (*FIXED, *STOPPED):
            tables = []
            for seed in range(count):
                rng = np.random.default_rng([seed, models, problems])
                p = rates(rng, models, problems)
                n = rule(rng, p)
                tables.append(table(*n) if rule in STOPPED else table(n, rng.binomial(n, p)))
            told(f"{models} x {problems} {rule.__name__}", tables)


def gsm8k(count: int) -> None:
    """The published counts, and tables that are like them but for what is known of their n."""
    counts = pd.read_csv(GSM8K).query("lr_warming_up == 0").astype({"problem": str})
    told("GSM8K as published", [counts])
    n = counts.pivot(index="model", columns="problem", values="n").dropna(axis=1).astype(int)
    c = counts.pivot(index="model", columns="problem", values="c")[n.columns].astype(int)
    p = ((c + 0.3) / (n + 60)).to_numpy()
    rngs = [np.random.default_rng(seed) for seed in range(count)]
    exchanged = [n.to_numpy()[:, rng.permutation(n.shape[1])] for rng in rngs]
    told("GSM8K, n exchanged", [table(m, rng.binomial(m, p)) for m, rng in zip(exchanged, rngs, strict=True)])
    for rule in STOPPED:
        told(f"GSM8K, {rule.__name__}", [table(*rule(rng, p)) for rng in rngs])


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    gsm8k(number)
    simulated(number)
