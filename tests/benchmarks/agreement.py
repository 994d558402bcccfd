"""Hold the machine's log density and gradient against PyMC's, for every shipped law × every observation model.

Run: uv run python tests/benchmarks/agreement.py [cross far]

Prints for each the largest difference at 50 random points, after the Jacobian between coordinates, in units of the
larger of 1 and the value; `far` asks a discrepancy's density as far out in the priors as the others. `tests/test_machine_density.py` holds a part of them to the same bound.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from posterior_cases import BOUND, CROSS, PRIORS, against_pymc, scores

from bayeslaw.inference.machine.posterior import posterior_program


def cross(far: bool = False) -> None:
    """Every law × observation model, and priors that no shipped law has."""
    began, worst, count = time.perf_counter(), 0.0, 0
    for name, case in {**CROSS, **PRIORS}.items():
        bound = case()
        if far and not bound.spec.marginalised:
            continue
        value, gradient = against_pymc(bound, scores(posterior_program(bound)) if far else None)
        worst = max(worst, value, gradient)
        told = "" if max(value, gradient) <= BOUND else "  !"
        print(f"{name:45s} log density {value:.1e}  gradient {gradient:.1e}{told}", flush=True)
        count += 1
    print(f"{count} cases, at most {worst:.1e} apart; {time.perf_counter() - began:.0f} s")


def far() -> None:
    """Discrepancies' densities where residuals are as far out as the priors let them."""
    cross(far=True)


PARTS = {f.__name__: f for f in (cross, far)}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
