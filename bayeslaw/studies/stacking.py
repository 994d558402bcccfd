"""Weights for several laws: by how well each predicted the rows ahead, held near equal while trials are few."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import xarray as xr

from bayeslaw.assess.checks import checks
from bayeslaw.core.errors import InputError, check_positive
from bayeslaw.data.windows import Window, growing_windows, window_ends
from bayeslaw.forecasts.heldout import held_out
from bayeslaw.forecasts.mixture import Mixture, check_alike
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.settings import check_settings, check_size
from bayeslaw.law.parse import parse_spec
from bayeslaw.law.spec import REFERENCES, Spec
from bayeslaw.observation.bound import BoundLaw, bind
from bayeslaw.observation.shifts import BENT, COLUMN
from bayeslaw.studies.engine import engine
from bayeslaw.studies.running.execution import Execution, check_execution
from bayeslaw.studies.tasks import Task

BLOCKS = 4
"""So many blocks of equal length in orders of magnitude, in the upper half of the range, by default."""
SHRINK = 2.0
"""Imaginary blocks that the laws have predicted best in turn; see the notes of `stack`."""
_LEAST, _PLENTY = 5, 10


def stack(
    fits: Mapping[str, Fit],
    *,
    along: str | None = None,
    windows: Sequence[float] | None = None,
    shrink: float = SHRINK,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
    **execution: Unpack[Execution],
) -> Mixture:
    """Mix fits of several laws by how well each predicts rows ahead of those it saw.

    Parameters
    ----------
    fits : mapping of str to Fit
        Fits with method "nuts" of several laws to the same rows.
    along : str, optional
        The column along which windows grow; by default that of the first law's first input.
    windows : sequence of float, optional
        The largest value that each window sees. By default four, which cut the upper half of the
        column's range, in orders of magnitude, into equal blocks (fewer where rows are sparse).
    shrink : float
        How strongly weights are held near equal: so many imaginary blocks are shared by all laws.
    draws, tune, chains, seed, progress
        As of `fit`, for every law on every window. On a simulated ladder half as many draws gave the
        same scores within 0.1 nat, but failed the sampler's checks more often.
    **execution
        Where the fits run, and where they are kept: ``jobs``, ``on``, ``store``, ``store_shared``, see
        `bayeslaw.studies.running.execution.Execution`.

    Returns
    -------
    Mixture
        For `forecast`. ``scores`` has dims (law, window): ``log_score_joint``, the log predictive
        density (nat) of all rows of the block behind the window together, NaN where there is no
        fit; ``failed``, why, or the checks that failed; ``rows_seen``, ``rows_held``,
        ``end``.

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
    shrink of two, 5/6 of two laws' weight after four blocks (Laplace's rule of succession), 7/9 of
    three laws'. It may lose the next, which lies farther out.

    Why two: in simulations of 3-5 blocks and 2-5 laws, whose mean scores differ by 0.5-20 nats and
    whose blocks scatter by 2-20 nats (Student t of 4 degrees of freedom, the next block by half as
    much again), it costs at most 0.14 nats of the next block's mean score against the best shrink
    of each case; one costs up to 0.29, a tenth (nearly none) 1.0, equal weights 0.72. That the sum
    of imaginary blocks is fixed, whatever M, keeps a good law's weight when poor ones are added.

    Each window is fitted afresh with references from its own rows, and judged on the rows up to the
    next window's end, so that no row is predicted twice. Windows without a score of every law are
    left out of the weights, since there laws do not compare.

    References
    ----------
    .. [1] Yao, Vehtari, Simpson, Gelman 2018, "Using stacking to average Bayesian predictive
       distributions", arXiv:1704.02030.
    .. [2] Yao, Pirš, Vehtari, Gelman 2021, "Bayesian hierarchical stacking", arXiv:2101.08954.
    """
    check_alike(fits)
    check_positive("shrink", shrink, "a number greater than 0")
    check_execution("stack", execution)
    settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
    scores = ahead_scores(fits, along, windows, settings, progress, execution)
    weights = ahead_weights(scores, float(shrink))
    told = {**settings, "shrink": float(shrink)}
    return Mixture(dict(fits), weights, scores.assign_attrs(settings=json.dumps(told)))


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
    along = next(iter(first.spec.inputs.values())).column if along is None else along
    blocks = _blocks(first.data, along, windows)
    tasks = (task for one in fits.values() for task in _tasks(one, blocks, settings))
    with engine("windows", len(fits) * len(blocks), progress, execution) as running:
        records = [o.value if not o.failed else (np.nan, o.failed) for o in running.run(tasks)]
    return _assembled(records, list(fits), blocks).assign_attrs(along=along)


def _tasks(one: Fit, blocks: list[Window], settings: Mapping[str, int]) -> list[Task]:
    """Return what is to be fitted of one law: every window, to be judged on its block."""
    # Shifts belong to the rows of the whole fit; every window decides on its own.
    spec, data = unfrozen(one.bound), one.data.drop_vars([COLUMN, BENT], errors="ignore")
    draws, seed = settings["draws"] * settings["chains"], settings["seed"]
    return [
        Task(
            spec, data.isel(obs=block.seen), settings, block_score,
            {"held": data.isel(obs=block.held), "draws": draws, "seed": seed},
        )
        for block in blocks
    ]  # fmt: skip


def block_score(fitted: Fit, given: Mapping[str, Any]) -> tuple[float, str]:
    """Return a law's score on a block, and what is wrong with it.

    Parameters
    ----------
    fitted : Fit
        To the rows of a window.
    given : mapping
        ``held``, the block's rows; ``draws`` and ``seed``.

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
    return score, ", ".join(c.name for c in checks(fitted) if c.level == "fail")


def whole_blocks(scores: xr.Dataset) -> xr.DataArray:
    """Return the joint log scores (nat) of the blocks that have one of every law; dims (law, window).

    Raises
    ------
    InputError
        If there is no such block.
    """
    whole = scores["log_score_joint"].dropna("window", how="any")
    if not whole.sizes["window"]:
        told = next(text for text in scores["failed"].values.ravel() if text)
        raise InputError(
            f"along {scores.attrs['along']!r}: no block has a score of every law; the first reason: {told}"
        )
    return whole


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


def stacking_weights(scores: np.ndarray, shrink: float = SHRINK) -> np.ndarray:
    """Weigh laws by their scores.

    Parameters
    ----------
    scores : numpy.ndarray, shape (windows, laws)
        Log predictive densities, in nat.
    shrink : float
        Greater than 0; see `stack`.

    Returns
    -------
    numpy.ndarray, shape (laws,)
        They sum to one; none is zero.

    Notes
    -----
    Expectation maximisation; the objective is concave, so that its one maximum is found.
    """
    best = scores.max(axis=1, keepdims=True)
    # Where every law finds a block impossible, none is preferred.
    density = np.exp(np.where(np.isneginf(best), 0.0, scores - np.where(np.isneginf(best), 0.0, best)))
    weights = np.full(scores.shape[1], 1 / scores.shape[1])
    for _ in range(100_000):
        shares = weights * density
        counts = (shares / shares.sum(axis=1, keepdims=True)).sum(axis=0) + shrink / len(weights)
        before, weights = weights, counts / counts.sum()
        if np.abs(weights - before).max() < 1e-12:
            break
    return weights


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
    return np.geomspace(start, values[-1], BLOCKS + 1)[:-1].tolist()


def _assembled(records: list[tuple[float, str]], names: list[str], blocks: list[Window]) -> xr.Dataset:
    """Lay the scores out by law and window."""
    shape = len(names), len(blocks)
    score = np.array([s for s, _ in records]).reshape(shape)
    failed = np.array([f for _, f in records], dtype=object).reshape(shape)
    reason = "why there is no score, or the checks that failed; empty if the fit is clean"
    joint = "log predictive density of the rows up to the next window's end, together"
    columns = {
        "rows_seen": ([len(b.seen) for b in blocks], "1", "rows that were fitted"),
        "rows_held": ([len(b.held) for b in blocks], "1", "rows that were predicted"),
        "end": ([b.end for b in blocks], "as the column along", "largest value seen"),
    }
    return xr.Dataset(
        {
            "log_score_joint": (("law", "window"), score, {"units": "nat", "long_name": joint}),
            "failed": (("law", "window"), failed, {"units": "text", "long_name": reason}),
            **{n: ("window", v, {"units": u, "long_name": m}) for n, (v, u, m) in columns.items()},
        },
        {"law": names, "window": [b.label for b in blocks]},
    )
