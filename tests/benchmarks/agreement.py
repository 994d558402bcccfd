"""Hold the machine's log density and gradient against PyMC's, for every shipped law × every observation model.

Run: uv run python tests/benchmarks/agreement.py [cross]

Prints for each the largest difference at 50 random points, after the Jacobian between coordinates, in units of the
larger of 1 and the value. `tests/test_machine_density.py` holds a part of them to the same bound.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from posterior_cases import BOUND, CROSS, PRIORS, against_pymc


def cross() -> None:
    """Every law × observation model, and priors that no shipped law has."""
    began, worst = time.perf_counter(), 0.0
    for name, case in {**CROSS, **PRIORS}.items():
        value, gradient = against_pymc(case())
        worst = max(worst, value, gradient)
        print(
            f"{name:45s} log density {value:.1e}  gradient {gradient:.1e}{'' if worst <= BOUND else '  !'}",
            flush=True,
        )
    print(f"{len(CROSS) + len(PRIORS)} cases, at most {worst:.1e} apart; {time.perf_counter() - began:.0f} s")


PARTS = {f.__name__: f for f in (cross,)}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
