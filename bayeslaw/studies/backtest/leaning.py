"""Whether a back-test's outcomes lie on one side of its forecasts: tested over blocks of rows that count once each."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayeslaw.core.check import Check

ONE_SIDED = "one-sided"
LEAST_BLOCKS = 3
TAIL, RARE = 0.1, 0.05
"""The outer tenth of a forecast on either side; and the chance of a lean by luck from which it warns."""


def block_places(bt: xr.Dataset, method: str) -> np.ndarray:
    """Return where in its forecast each block of held-out rows lay: the median PIT of its rows.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.
    method : str

    Returns
    -------
    numpy.ndarray, shape (blocks,)
        A block is what a window held out and the next one saw, of the last window all that it held out; so
        every row counts once, by the forecast made nearest before it. A group that is left out is a block.
        Windows without a fit have none.
    """
    pits = bt["pit"].sel({"method": method}).transpose("window", "obs").values
    pits = pits[np.isfinite(pits).any(axis=1)]
    held = np.isfinite(pits)
    if not bt.attrs["leave_out"]:
        order = np.argsort(-held.sum(axis=1), kind="stable")  # the less a window sees, the more it holds out
        pits, held = pits[order], held[order]
        held[:-1] &= ~held[1:]
    return np.array([np.median(pit[own]) for pit, own in zip(pits, held, strict=True) if own.any()])


def chance_of_lean(places: np.ndarray) -> tuple[float, bool, int, int]:
    """Return how rarely right forecasts would lean so far, to which side, and how many blocks lie there.

    Parameters
    ----------
    places : numpy.ndarray, shape (blocks,)
        As of `block_places`: uniform where rows of a block err together, nearer to one half where they do not.

    Returns
    -------
    chance : float
        Twice the smaller of two binomial chances, both of two sides: of so many blocks on one side of the
        median, and of so many in the outer tenth of one side.
    above : bool
        Whether outcomes lie above, so that forecasts were too low.
    side, outer : int
        Blocks on that side, and those in its outer tenth.
    """
    from scipy.stats import binom

    size = len(places)
    sides = [((places > 0.5).sum(), (places > 1 - TAIL).sum()), ((places < 0.5).sum(), (places < TAIL).sum())]
    above = sides[0] >= sides[1]
    side, outer = (int(v) for v in (sides[0] if above else sides[1]))
    chances = 2 * binom.sf(side - 1, size, 0.5), 2 * binom.sf(outer - 1, size, TAIL)
    return float(min(1.0, 2 * min(chances))), bool(above), side, outer


def one_sided_checks(bt: xr.Dataset) -> list[Check]:
    """Warn where outcomes lie nearly all on one side of their forecasts.

    Parameters
    ----------
    bt : xarray.Dataset
        As `backtest` returned it.

    Returns
    -------
    list of Check
        ``one-sided``, a warning with its chance by luck, for each method that leans; empty if none does, or there
        are fewer than three blocks.

    Notes
    -----
    Rows of one window share the law's error, and growing windows share rows: neither is counted twice (see
    `block_places`). Forecasts one block ahead that are right have independent places.
    """
    found = []
    for method in bt["method"].values:
        places = block_places(bt, method)
        if len(places) < LEAST_BLOCKS:
            continue
        chance, above, side, outer = chance_of_lean(places)
        if chance < RARE:
            found.append(
                Check(
                    ONE_SIDED, "warn", chance, _told(str(method), bt, len(places), chance, above, side, outer)
                )
            )
    return found


def _told(
    method: str, bt: xr.Dataset, blocks: int, chance: float, above: bool, side: int, outer: int
) -> str:  # fmt: skip
    """Say how forecasts leaned, and what to do."""
    what = (
        "groups that were left out"
        if bt.attrs["leave_out"]
        else "blocks of rows, each held against the window before it"
    )
    where, side_of, end = ("above", "too low", "upper") if above else ("below", "too high", "lower")
    return (
        f"{method}: outcomes lay {where} the forecast's median in {side} of {blocks} {what}, and in {outer} beyond nine tenths of "
        f"the forecast; right forecasts do so at most one time in {max(round(1 / chance), 2):,}. Its forecasts were {side_of}; expect the next one "
        f"to be, too, and its {end} half to be likelier than the other. The law bends otherwise than the curve: try others and weigh them "
        "(stack), fit rows nearer to the target alone (where=…), and back-test again."
    )
