"""Make the table of how often 90 % intervals held, by how far ahead: it ships with the package, and forecasts cite it.

Run: uv run python tests/benchmarks/track_record.py [-o FILE] [--runs FILE] [--priors FILE] [--only SOURCE] [--jobs 2]

Every case of public_tables.py is fitted with the law as it ships and forecasts the runs held out, which lie beyond. Counted is
whether the measured run (its own sampling error known) lands inside the 90 % interval, by law, kind of data and orders of magnitude
beyond the rows that were fitted. Writes bayeslaw/forecasts/track_record.csv (-o another file), prints it, and prints the table of
guide/calibration.md. --runs writes every outcome, and cases that the file has already are not fitted again: take a new one when
the package has changed.

The shipped priors are tuned to none of these tables alone, but several were in view when they were chosen. Where priors are learned
from sources, --priors names a CSV with columns source, law, parameter, low, high: the prior_90 that each source's tables are fitted
with, learned from the others.

The interval of a share is over tables: each table has a share of its own, beta-distributed around the one that is reported (prior:
Jeffreys'), and a table's outcomes are correlated (prior: uniform); 90 %. At most 40 outcomes of a table count in a row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from public_tables import Case, every_case
from scipy.special import betaln

import bayeslaw as bl
from bayeslaw.core.threads import one_blas_thread
from bayeslaw.forecasts.distance import distance
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.forecasts.track_record import EDGES, FILE, inputs_of
from bayeslaw.law.evaluate import law_inputs

SETTINGS = {"draws": 500, "tune": 500, "chains": 2, "seed": 1, "progress": False}
CASE = ["table", "part", "law"]
UNUSABLE = {"rhat": 1.05, "divergences": 10}
"""What is told of a sampler: with few draws, R-hat from here on, and divergences."""
MOST = 40
"""Outcomes of a table that count in a row."""
GRID = 400


def outcomes(job: tuple[Case, dict]) -> tuple[list[dict], str]:
    """Fit a case, forecast its held-out runs; return one record a run, and what of the sampler failed."""
    case, priors = job
    spec = bl.load_model(case.law)
    spec = bl.change(spec, prior=priors) if priors else spec
    label = f"{case.table}, {case.part}, {case.law}"
    with one_blas_thread():
        fit = bl.fit(spec, case.seen, **SETTINGS)
        found = {c.name: c.value for c in bl.checks(fit) if c.name in UNUSABLE}
        held = held_out(fit, case.held, 4000, seed=1)
    low, high = np.quantile(held.draws, [0.05, 0.95], axis=0)
    inside = (low <= held.observed) & (held.observed <= high)
    orders = distance(fit.bound, law_inputs(fit.spec, case.held)).orders
    one = {"source": case.source, "table": case.table, "part": case.part, "law": case.law, "data": case.kind,
           "inputs": inputs_of(spec)}  # fmt: skip
    rows = [
        one | {"orders": float(o), "inside": bool(i), "width": float(w)}
        for o, i, w in zip(orders, inside, np.log(high / low), strict=True)
    ]
    bad = [f"{n} {v:.3g}" for n, v in found.items() if v > UNUSABLE[n]]
    return rows, f"{label}: {', '.join(bad)}" if bad else ""


def by_distance(runs: pd.DataFrame) -> Iterator[dict]:
    """Yield the rows of the table: each law's, and those of all laws with as many inputs."""
    one = runs.assign(rank=np.searchsorted(EDGES, runs["orders"], side="left"))
    every = one.assign(law="")
    both = pd.concat([one, every])
    for (law, inputs, data, rank), rows in both.groupby(["law", "inputs", "data", "rank"], sort=True):
        kept = pd.concat([thinned(own) for _, own in rows.groupby("table")])
        shares = kept.groupby("table")["inside"].agg(["sum", "size"])
        low, high = over_tables(shares["sum"].to_numpy(), shares["size"].to_numpy())
        yield {
            "law": law, "inputs": inputs, "data": data, "beyond": EDGES[max(rank - 1, 0)], "up_to": EDGES[rank],
            "tables": len(shares), "outcomes": int(shares["size"].sum()), "inside": int(shares["sum"].sum()),
            "low": round(low, 3), "high": round(high, 3),
        }  # fmt: skip


def thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table's outcomes, evenly spaced ones of too many."""
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, MOST).astype(int))] if len(rows) > MOST else rows  # fmt: skip


def over_tables(inside: np.ndarray, outcomes: np.ndarray, prob: float = 0.9) -> tuple[float, float]:
    """Return the interval of the share that tables lie around, beta-binomial.

    Parameters
    ----------
    inside, outcomes : numpy.ndarray, shape (tables,)
    prob : float

    Returns
    -------
    low, high : float
        The most credible shares, under Jeffreys' prior of the share and a uniform one of the outcomes'
        correlation within a table.
    """
    at = (np.arange(GRID) + 0.5) / GRID
    share, correlation = at[:, None, None], at[None, :, None]
    size = (1 - correlation) / correlation
    a, b = share * size, (1 - share) * size
    log = (betaln(a + inside, b + outcomes - inside) - betaln(a, b)).sum(axis=-1)
    weight = np.exp(log - log.max()).sum(axis=1) / np.sqrt(at * (1 - at))
    order = np.argsort(-weight)
    kept = order[: int((np.cumsum(weight[order]) < prob * weight.sum()).sum()) + 1]
    return float(kept.min() / GRID), float((kept.max() + 1) / GRID)


def markdown(table: pd.DataFrame) -> str:
    """Return the table of the guide: a law a line, a distance a column, shares with their intervals over tables."""
    heads = ["inside", "up to 0.5", "0.5 to 1", "1 to 2", "more than 2"]
    lines = [f"| law, of | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for (law, data), rows in table[table["law"] != ""].groupby(["law", "data"]):
        cells = [""] * len(EDGES)
        for row in rows.itertuples():
            share = f"{100 * row.inside / row.outcomes:.0f} % of {row.outcomes}"
            cells[EDGES.index(row.up_to)] = (
                f"{share} ({row.tables}: {100 * row.low:.0f}-{100 * row.high:.0f} %)"
            )
        lines.append(f"| `{law}`, {data} | {' | '.join(cells)} |")
    return "\n".join(lines)


def priors_by_source(path: Path | None) -> dict[tuple[str, str], dict]:
    """Read the priors that each source's tables are fitted with, by source and law."""
    found: dict[tuple[str, str], dict] = {}
    if path is not None:
        for row in pd.read_csv(path).itertuples():
            found.setdefault((row.source, row.law), {})[row.parameter] = (row.low, row.high)
    return found


def main() -> None:
    """Fit, count, write."""
    asked = argparse.ArgumentParser()
    asked.add_argument("-o", "--output", type=Path, default=FILE)
    asked.add_argument("--runs", type=Path)
    asked.add_argument("--priors", type=Path)
    asked.add_argument("--only", action="append", default=[])
    asked.add_argument("--jobs", type=int, default=2)
    options = asked.parse_args()
    started, priors = time.perf_counter(), priors_by_source(options.priors)
    cases = [case for case in every_case() if not options.only or case.source in options.only]
    kept = pd.read_csv(options.runs) if options.runs and options.runs.exists() else pd.DataFrame(columns=CASE)
    done = set(kept[CASE].itertuples(index=False, name=None))
    jobs = [(c, priors.get((c.source, c.law), {})) for c in cases if (c.table, c.part, c.law) not in done]
    # In any order, so that what is stopped has some of everything.
    jobs = [jobs[i] for i in np.random.default_rng(0).permutation(len(jobs))]
    found, failed = [kept] if len(kept) else [], []
    with ProcessPoolExecutor(options.jobs) as pool:
        for number, (rows, failure) in enumerate(pool.map(outcomes, jobs), 1):
            found.append(pd.DataFrame(rows))
            failed += [failure] if failure else []
            if options.runs:
                found[-1].to_csv(options.runs, index=False, mode="a", header=not options.runs.exists())
            if number % 20 == 0:
                print(f"{number} of {len(jobs)} fits, {time.perf_counter() - started:.0f} s", flush=True)
    runs = pd.concat(found, ignore_index=True).sort_values([*CASE, "orders"], ignore_index=True)
    runs["inputs"] = runs["inputs"].astype(str)
    table = pd.DataFrame(by_distance(runs))
    table.to_csv(options.output, index=False, lineterminator="\n")
    print(table.assign(share=(table["inside"] / table["outcomes"]).round(3)).to_string(index=False))
    print(markdown(table))
    print(f"fits whose sampler is to be doubted: {len(failed)} of {len(jobs)}", *failed, sep="\n  ")
    print(f"{time.perf_counter() - started:.0f} s; wrote {options.output}")


if __name__ == "__main__":
    main()
