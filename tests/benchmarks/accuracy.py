"""How far a discrepancy's log density is from dense algebra over the bulk of its posterior.

Run: uv run python tests/benchmarks/accuracy.py [--draws 40]

Prints a line for each number of rows, size of the discrepancy in units of run noise, and kind of known errors: the
points at which the covariance is decomposed, the mean of the error in nats, its standard deviation and its largest
absolute value.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from dense_covariance import bulk, mixture

from bayeslaw.observation import discrepancy_grad
from bayeslaw.observation.discrepancy_grid import Seen, settled, with_few, with_grid
from bayeslaw.observation.discrepancy_shapes import grid_of
from bayeslaw.observation.discrepancy_terms import TERMS, density_terms, offset_variance


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=40)
    draws = parser.parse_args().draws
    print(f"{'rows':>4} {'scale':>5} {'errors':>6} {'points':>6} {'mean':>8} {'sd':>7} {'largest':>7}")
    for count in (20, 60, 150):
        for scale in (1.0, 8.0, 60.0):
            for errors in ("none", "equal", "spread"):
                b = bulk(count, scale, errors, draws=draws)
                seen = Seen(b.residual, b.sigma)
                rows = with_few(with_grid(b.rows, settled(b.spec, b.rows, seen)), seen)
                terms = density_terms(b.spec, rows)
                data = [np.asarray(terms[n]) for n in TERMS]
                off = np.array([
                    float(discrepancy_grad.evaluate(r, np.asarray(s), *data)[0]) + terms["constant"]
                    - mixture(b.spec, b.rows, r, s, offset_variance(b.spec))[0]
                    for r, s in zip(b.residual, b.sigma, strict=True)
                ])  # fmt: skip
                points = len(grid_of(b.spec, rows).sigmas)
                print(f"{count:4d} {scale:5.0f} {errors:>6} {points:6d} {off.mean():8.4f} {off.std():7.4f} {np.abs(off).max():7.4f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
