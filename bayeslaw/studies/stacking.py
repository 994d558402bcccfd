"""Weights for several laws: by how well each predicted the rows ahead, held near equal while trials are few."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import xarray as xr

from bayeslaw.assess.checks import checks
from bayeslaw.core.errors import InputError, check_flag, check_positive
from bayeslaw.data.columns import training_compute
from bayeslaw.data.windows import Window, growing_windows, window_ends
from bayeslaw.forecasts.distance import BUDGET, distance, farthest
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.forecasts.mixture import Mixture, check_alike
from bayeslaw.forecasts.weights import FEWEST, SHRINK, stacking_weights
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.settings import check_settings, check_size
from bayeslaw.law.evaluate import law_inputs
from bayeslaw.law.parse import parse_spec
from bayeslaw.law.spec import REFERENCES, Spec
from bayeslaw.observation.bound import BoundLaw, bind
from bayeslaw.observation.shifts import BENT, COLUMN
from bayeslaw.studies.engine import engine
from bayeslaw.studies.running.execution import Execution, check_execution
from bayeslaw.studies.tasks import Task

BLOCKS = 4
"""So many blocks of equal length in orders of magnitude, in the upper half of the range, by default."""
_LEAST, _PLENTY = 5, 10


def stack(
    fits: Mapping[str, Fit],
    *,
    along: str | None = None,
    windows: Sequence[float] | None = None,
    shrink: float = SHRINK,
    by_distance: bool = True,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
    **execution: Unpack[Execution],
) -> Mixture:
    """Mix fits of several laws by how well each predicts rows as far ahead as the target.

    Parameters
    ----------
    fits : mapping of str to Fit
        Fits with method "nuts" of several laws to the same rows.
    along : str, optional
        The column along which windows grow; by default compute, of laws in ``params`` and ``tokens``, else
        the column of the first law's first input.
    windows : sequence of float, optional
        The largest value that each window sees. By default four, which cut the upper half of the
        column's range, in orders of magnitude, into equal blocks (fewer where rows are sparse, so that
        each block has three rows).
    shrink : float
        How strongly weights are held near equal: so many imaginary blocks are shared by all laws.
    by_distance : bool
        Weigh laws for each target anew, by the blocks that lie about as far ahead of what their window
        saw as the target beyond the data. False: one set of weights, by the blocks right behind each window.
    draws, tune, chains, seed, progress
        As of `fit`, for every law on every window. On a simulated ladder half as many draws gave the
        same scores within 0.1 nat, but failed the sampler's checks more often.
    **execution
        Where the fits run, and where they are kept: ``jobs``, ``on``, ``store``, ``store_shared``, see
        `bayeslaw.studies.running.execution.Execution`.

    Returns
    -------
    Mixture
        For `forecast`. ``weights`` are those by the blocks right behind each window; `Mixture.weights_at`
        gives those at a distance. ``scores`` has dims (law, window): ``log_score_joint``, the log predictive
        density (nat) of all rows of the block behind the window together, NaN where there is no
        fit; ``failed``, why, or the checks that failed; ``rows_seen``, ``rows_held``,
        ``end``. And (law, window, block): ``log_score_block``, that of every later block; ``horizon``, how far
        ahead of the window it lies (orders of magnitude, as a forecast's ``orders_beyond``); ``rows_block``.

    Raises
    ------
    InputError
        If the fits are not of the same rows and output, a setting is not allowed, or no block has a
        score of every law.

    Notes
    -----
    Weights maximise Σ_t log Σ_m w_m exp(s_tm) + shrink mean_m log w_m over T blocks and M laws:
    stacking [1]_ with a Dirichlet prior of concentration 1 + shrink / M [2]_. A block counts once,
    however many rows it has and by however many nats it is won, for its rows share what is wrong
    with a law. A law that wins every block by far gets (T + shrink / M) / (T + shrink): with a
    shrink of a half, 17/18 of two laws' weight after four blocks. It may lose the next, which lies
    farther out.

    Why a half: mixing a good law with a poor one costs at most a few nats of log score, but its interval
    is nearly as wide as the poor law's. On public tables held out half an order and one ahead
    (``tests/benchmarks/laws.py``) the interval score falls with the shrink, from two to a half, and
    coverage stays above nominal; less gains little more and trusts a lucky law. In simulations of 3-5
    blocks that scatter by 2-20 nats, judged by log score alone, two was best: it cost at most 0.14 nats
    of the next block's mean score against the best shrink of each case, one 0.29, a tenth 1.0, equal weights
    0.72. That the sum of imaginary blocks is fixed, whatever M, keeps a good law's weight when poor ones are added.

    Each window is fitted afresh with references from its own rows, and judged on every later block. For a target t
    orders beyond the data, block b counts exp(−(log((h_b + .1) / (t + .1)) / log 2)² / 2) instead of once, h_b
    its horizon; t is taken within what the blocks reach, so that beyond the farthest the farthest count most.
    Blocks of fewer than three rows are ignored, and those without a score of every law, since there laws
    do not compare; where none is left laws weigh equally, and the check ``weights`` warns. All draws that are
    taken jointly, of targets, of a schedule, of a contrast, have one set of weights, that of the farthest.

    References
    ----------
    .. [1] Yao, Vehtari, Simpson, Gelman 2018, "Using stacking to average Bayesian predictive
       distributions", arXiv:1704.02030.
    .. [2] Yao, Pirš, Vehtari, Gelman 2021, "Bayesian hierarchical stacking", arXiv:2101.08954.
    """
    check_alike(fits)
    check_positive("shrink", shrink, "a number greater than 0")
    check_flag("by_distance", by_distance)
    check_execution("stack", execution)
    settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
    scores = ahead_scores(fits, along, windows, settings, progress, execution)
    weights = ahead_weights(scores, float(shrink))
    told = {**settings, "shrink": float(shrink)}
    return Mixture(dict(fits), weights, scores.assign_attrs(settings=json.dumps(told)), by_distance)


def ahead_scores(
    fits: Mapping[str, Fit],
    along: str | None,
    windows: Sequence[float] | None,
    settings: Mapping[str, int],
    progress: bool | None,
    execution: Execution | None = None,
) -> xr.Dataset:
    """Score how each law, fitted afresh to growing windows, predicts the next block of rows.

    Parameters
    ----------
    fits : mapping of str to Fit
        Of the same rows.
    along, windows, progress
        As of `stack`.
    settings : mapping of str to int
        draws, tune, chains, seed of every fit.
    execution : mapping, optional
        Where they run.

    Returns
    -------
    xarray.Dataset
        Dims (law, window), as ``scores`` of `stack`; ``attrs["along"]`` is the column.

    Raises
    ------
    InputError
        If there is no such column, or no window is left.
    """
    first = next(iter(fits.values()))
    check_settings(settings)
    check_size(settings, first.data)
    data, along = _windowed(first.data, along, [one.spec for one in fits.values()])
    blocks = _blocks(data, along, windows)
    specs = {name: unfrozen(one.bound) for name, one in fits.items()}
    horizon = _horizons([(specs[name], one.data) for name, one in fits.items()], blocks)
    tasks = [task for name, one in fits.items() for task in _tasks(name, specs[name], one, blocks, settings)]
    with engine("blocks", len(tasks), progress, execution) as running:
        records = [o.value if not o.failed else (np.nan, o.failed) for o in running.run(tasks)]
    return _assembled(records, list(fits), blocks, horizon).assign_attrs(along=along)


def _windowed(data: xr.Dataset, along: str | None, specs: Sequence[Spec]) -> tuple[xr.Dataset, str]:
    """Return rows with the column along which windows grow: by default compute of laws in size and data."""
    if along is not None:
        return data, along
    columns = {i.column for spec in specs for i in spec.inputs.values()}
    if set(BUDGET) <= columns and set(BUDGET) <= set(data.variables):
        if "compute" not in data:
            data = data.assign(compute=training_compute(*(data[name].astype(float) for name in BUDGET)))
        return data, "compute"
    return data, next(iter(specs[0].inputs.values())).column


def _tasks(name: str, spec: Spec, one: Fit, blocks: list[Window], settings: Mapping[str, int]) -> list[Task]:
    """Return what is to be fitted of one law: every window, to be judged on each block behind it."""
    # Shifts belong to the rows of the whole fit; every window decides on its own.
    data = one.data.drop_vars([COLUMN, BENT], errors="ignore")
    given = {"draws": settings["draws"] * settings["chains"], "seed": settings["seed"]}
    return [
        Task(
            spec, data.isel(obs=window.seen), settings, block_score,
            {"held": data.isel(obs=block.held), "checks": block is window, **given}, (name, i),
        )
        for i, window in enumerate(blocks)
        for block in blocks[i:]
    ]  # fmt: skip


def _horizons(laws: Sequence[tuple[Spec, xr.Dataset]], blocks: list[Window]) -> np.ndarray:
    """Return how far ahead of each window each block lies, as a forecast of it would say.

    Parameters
    ----------
    laws : sequence of (Spec, xarray.Dataset)
        The laws with references by name, and their rows.
    blocks : list of Window

    Returns
    -------
    numpy.ndarray, shape (windows, blocks)
        Orders of magnitude, the median over a block's rows; NaN before the window.
    """
    out = np.full((len(blocks), len(blocks)), np.nan)
    for i, window in enumerate(blocks):
        try:
            bounds = [bind(spec, data.isel(obs=window.seen)) for spec, data in laws]
        except InputError:  # the window's fits say why
            continue
        for j, block in enumerate(blocks[i:], i):
            held = [law_inputs(spec, data.isel(obs=block.held)) for spec, data in laws]
            away = farthest([distance(bound, inputs) for bound, inputs in zip(bounds, held, strict=True)])
            out[i, j] = np.median(away.orders)
    return out


def block_score(fitted: Fit, given: Mapping[str, Any]) -> tuple[float, str]:
    """Return a law's score on a block, and what is wrong with it.

    Parameters
    ----------
    fitted : Fit
        To the rows of a window.
    given : mapping
        ``held``, the block's rows; ``draws`` and ``seed``; ``checks``, whether the fit is checked, too
        (once for all of its blocks).

    Returns
    -------
    score : float
        The log predictive density of the block's rows together, nat.
    failed : str
        The checks that failed, or why there is no score.
    """
    score = held_out(fitted, given["held"], given["draws"], given["seed"]).log_joint
    if np.isnan(score):
        return np.nan, "the score is not a number"
    found = checks(fitted) if given.get("checks", True) else []
    return score, ", ".join(c.name for c in found if c.level == "fail")


def whole_blocks(scores: xr.Dataset) -> xr.DataArray:
    """Return the joint log scores (nat) of the blocks of enough rows that have one of every law; dims (law, window).

    Raises
    ------
    InputError
        If no block has a score of every law; if none has enough rows, none is returned.
    """
    whole = scores["log_score_joint"].notnull().all("law").values
    if not whole.any():
        told = next(text for text in scores["failed"].values.ravel() if text)
        raise InputError(
            f"along {scores.attrs['along']!r}: no block has a score of every law; the first reason: {told}"
        )
    return scores["log_score_joint"].isel(window=whole & (scores["rows_held"] >= FEWEST).values)


def ahead_weights(scores: xr.Dataset, shrink: float = SHRINK) -> dict[str, float]:
    """Weigh laws by how they predicted the blocks that all of them predicted.

    Parameters
    ----------
    scores : xarray.Dataset
        From `ahead_scores`.
    shrink : float
        See `stack`.

    Returns
    -------
    dict of str to float
        By law; they sum to one.

    Raises
    ------
    InputError
        If no block has a score of every law.
    """
    weights = stacking_weights(whole_blocks(scores).transpose("window", "law").values, shrink)
    return dict(zip(scores["law"].values.tolist(), weights.tolist(), strict=True))


def unfrozen(bound: BoundLaw) -> Spec:
    """Return a fit's law with its references by name again, where they are statistics of the fit's rows.

    A frozen reference knows of rows that a window must not see: a break may lie up to the largest x,
    and the priors are of values there. A fit keeps the number only, which `resolve` computes from the
    same rows again: the name that yields it is the one that was given. Other numbers were the user's
    own and stay, as does whether outlying rows have shifts, which is structure; which rows, each
    window decides on what it sees.

    Parameters
    ----------
    bound : BoundLaw
        With the rows of a fit.

    Returns
    -------
    Spec
    """
    spec = bound.spec
    for entry in spec.inputs.values():
        if isinstance(entry.reference, float | int):
            for name in REFERENCES:
                document = copy.deepcopy(dict(spec.document))
                document["inputs"][entry.name]["reference"] = name
                named = parse_spec(document, spec.name)
                try:
                    number = bind(named, bound.data).spec.inputs[entry.name].reference
                except InputError:  # a value that is not positive has no geometric mean
                    continue
                if np.isclose(number, entry.reference, rtol=1e-12, atol=0):
                    spec = named
                    break
    return spec


def _blocks(data: xr.Dataset, along: str, windows: Any) -> list[Window]:
    """Return windows that hold out the rows up to the next window's end only; none twice."""
    windows = None if windows is None else window_ends(windows, along)
    rows = data.sizes["obs"]
    least = max(_LEAST, min(_PLENTY, rows // 2)) if windows is None else _LEAST
    grown = growing_windows(
        data, along, _default_ends(data, along, least) if windows is None else windows, least
    )
    out = []
    for window, later in zip(grown, [*grown[1:], None], strict=True):
        held = window.held if later is None else np.setdiff1d(window.held, later.held)
        if len(held):  # two ends between the same two rows are one window
            out.append(Window(window.label, window.end, window.seen, held))
    return out


def _default_ends(data: xr.Dataset, along: str, least: int) -> list[float] | None:
    """Return the ends of windows whose blocks cut the upper half of the range; None for `growing_windows` to refuse."""
    column = data.variables.get(along) if isinstance(along, str) else None
    if column is None or column.dtype.kind not in "iuf" or len(column) <= least or not (column > 0).all():
        return None
    values = np.sort(column.values.astype(float))
    start = max(np.sqrt(values[0] * values[-1]), values[least - 1])
    ends = np.geomspace(start, values[-1], BLOCKS + 1)[:-1]
    while len(ends) > 1:  # a block of too few rows joins the next, the last the one before
        seen = np.searchsorted(values, ends * (1 + 1e-12), side="right")
        few = np.diff(np.append(seen, len(values))) < FEWEST
        if not few.any():
            break
        ends = np.delete(ends, min(int(np.argmax(few)) + 1, len(ends) - 1))
    return ends.tolist()


def _assembled(
    records: list[tuple[float, str]], names: list[str], blocks: list[Window], horizon: np.ndarray
) -> xr.Dataset:
    """Lay the scores out by law, window and block."""
    count = len(blocks)
    behind = np.triu_indices(count)
    shape = len(names), count, count
    score, failed = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    score[:, *behind] = np.array([s for s, _ in records]).reshape(len(names), -1)
    failed[:, *behind] = np.array([f for _, f in records], dtype=object).reshape(len(names), -1)
    next_score, next_failed = (np.diagonal(v, axis1=1, axis2=2) for v in (score, failed))
    reason = "why there is no score, or the checks that failed; empty if the fit is clean"
    joint = "log predictive density of the rows up to the next window's end, together"
    each = "log predictive density of a block's rows, together; blocks before the window have none"
    ahead = "how far beyond the window's rows the block lies, median over its rows"
    sizes = [len(b.held) for b in blocks]
    columns = {
        "rows_seen": ("window", [len(b.seen) for b in blocks], "1", "rows that were fitted"),
        "rows_held": ("window", sizes, "1", "rows up to the next window's end"),
        "end": ("window", [b.end for b in blocks], "as the column along", "largest value seen"),
        "log_score_block": (("law", "window", "block"), score, "nat", each),
        "horizon": (("window", "block"), horizon, "orders of magnitude", ahead),
        "rows_block": ("block", sizes, "1", "rows that were predicted"),
    }
    return xr.Dataset(
        {
            "log_score_joint": (("law", "window"), next_score, {"units": "nat", "long_name": joint}),
            "failed": (("law", "window"), next_failed, {"units": "text", "long_name": reason}),
            **{n: (dims, v, {"units": u, "long_name": m}) for n, (dims, v, u, m) in columns.items()},
        },
        {"law": names, "window": [b.label for b in blocks], "block": [b.label for b in blocks]},
    )
