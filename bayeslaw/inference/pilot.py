"""A pilot: where the posterior lies, seen from its mode, so that a discrepancy is decomposed there and nowhere else.

It settles which of the grid's lengths and scales the rows leave, and around which run noise the covariance is
decomposed. What was sampled is held against the exact density afterwards (`agreement`), draw by draw; where the pilot
missed, the draws themselves settle the grid and are drawn again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import xarray as xr
from scipy.optimize import minimize
from scipy.special import gammaincinv

from bayeslaw.core.errors import InputError
from bayeslaw.inference.values import flat_values, noise_values
from bayeslaw.law.catalogue import change
from bayeslaw.law.priors import integrated
from bayeslaw.law.types import Array
from bayeslaw.observation.bound import BoundLaw, bind
from bayeslaw.observation.discrepancy import GaussianProcess
from bayeslaw.observation.discrepancy_grid import (
    Seen,
    beyond,
    chances,
    edge,
    is_exact,
    misses,
    settled,
    with_few,
)
from bayeslaw.observation.discrepancy_places import AROUND, places
from bayeslaw.observation.discrepancy_shapes import GRID
from bayeslaw.observation.discrepancy_sizes import SLOPE
from bayeslaw.observation.discrepancy_terms import FEW

_STARTS, _DRAWS, _DEGREES = 24, 160, 8
_STEP = 1e-3
_INSIDE = 0.999
_SAME = 1e-6
_SMOOTHED = 25
_NEVER = 50.0
_PASSES, _SETTLED_AGAIN = 2, 4
_WIDER_AGAIN = 1.25
_WIDER = 1.5
"""A mode shows less of how far run noise may lie than draws would."""
_MANY, _FEWER = 250, 4
LARGEST_EDGE = 1e-3
"""How likely the outermost lengths and scales kept may be where the whole grid goes on."""
LARGEST_BEYOND = 0.01
"""Share of draws whose run noise may lie beyond what the grid knows."""
LARGEST_MISS = 0.05
"""Standard deviation of what the log density misses, in nats, above which it matters."""


@dataclass(frozen=True)
class Agreement:
    """How the density that was sampled agrees with the exact one.

    Attributes
    ----------
    miss : float
        Standard deviation of its error over draws, in nats.
    edge : float
        See `discrepancy_grid.edge`.
    pareto_k : float
        Of the weights that would make the draws those of the exact density (PSIS), where those matter; else −inf.
    beyond : float
        See `discrepancy_grid.beyond`.
    """

    miss: float
    edge: float
    pareto_k: float
    beyond: float

    @property
    def good(self) -> bool:
        """Whether nothing of it matters."""
        covered = self.edge <= LARGEST_EDGE and self.beyond <= LARGEST_BEYOND
        return bool(self.miss <= LARGEST_MISS and covered)


def settle_grid(bound: BoundLaw) -> BoundLaw:
    """Settle over which lengths and scales a discrepancy is marginalised, and where it is decomposed.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    BoundLaw
        Its data say it, in the attribute `discrepancy_shapes.GRID`.
    """
    if not isinstance(bound.observation, GaussianProcess):
        return bound
    rows = len(bound.rows)
    bound, unequal = _with(bound, None), np.ptp(bound.rows.error) > 0
    if rows > _MANY:  # few of many rows, evenly, say which lengths and scales many leave
        some = np.unique(np.linspace(0, rows - 1, max(_MANY, rows // _FEWER)).astype(int))
        bound = _with(bound, settle_grid(_of(bound, bound.data.isel(obs=some))).data.attrs.get(GRID))
    for again in range(_PASSES if unequal else 1):
        draws = _around_the_mode(bound)
        if draws is None:
            return bound
        seen = _seen(bound, draws)
        if rows <= _MANY or again or not unequal:
            bound = _with(bound, settled(bound.spec, with_few(bound.rows, seen), seen, _WIDER))
    return replace(bound, rows=with_few(bound.rows, seen))


def settle_around(bound: BoundLaw) -> BoundLaw:
    """Settle from where and in which direction a law's slope wanders: from the rows' middle, along its gradient there.

    Parameters
    ----------
    bound : BoundLaw
        What an earlier fit settled for its own rows, these or others, does not count.

    Returns
    -------
    BoundLaw
        Its data say it, in the attribute `discrepancy_places.AROUND`, where the law's slope wanders.
    """
    data = bound.data.copy()
    data.attrs = {n: v for n, v in data.attrs.items() if n not in (AROUND, GRID)}
    if SLOPE not in bound.spec.noise:
        return _of(bound, data)
    place = places(bound.spec, bound.rows)
    plain = bind(change(bound.spec, discrepancy={"slope": None}), data)
    draws = _around_the_mode(plain)
    gradient = np.full(place.shape[1], 0.1) if draws is None else _gradient(plain, draws)
    told = {"centre": place.mean(axis=0).tolist(), "gradient": gradient.tolist()}
    data.attrs |= {AROUND: json.dumps(told)}
    return _of(bound, data)


def _gradient(bound: BoundLaw, draws: Mapping[str, Array]) -> Array:
    """Return a law's mean derivative by the logarithm of each input of its discrepancy."""
    values = {**draws, **integrated(bound.spec)}
    out = []
    for name in bound.spec.discrepancy.over:
        ends = [
            bound.law(values, {**bound.rows.columns, name: bound.rows.columns[name] * np.exp(step)})
            for step in (_STEP, -_STEP)
        ]
        out.append(np.mean(ends[0] - ends[1]) / (2 * _STEP))
    return np.array(out)


def resettle(bound: BoundLaw, draws: Mapping[str, Array]) -> BoundLaw:
    """Settle the grid again, by draws of the posterior."""
    whole = _with(bound, json.dumps({"shapes": None, "sigmas": [float(np.median(draws["sigma"]))]}))
    seen = _seen(whole, draws)
    bound = _with(bound, settled(whole.spec, with_few(whole.rows, seen.some(_DRAWS)), seen, _WIDER_AGAIN))
    return replace(bound, rows=with_few(bound.rows, seen.some(_DRAWS)))


def agreement(bound: BoundLaw, draws: Mapping[str, Array], most: int = 100) -> Agreement:
    """Hold the density that was sampled against the exact one.

    Parameters
    ----------
    bound : BoundLaw
    draws : mapping of str to numpy.ndarray
        Sampled parameters (draws, 1) and latent vectors (draws, size).
    most : int
        So many draws are looked at.

    Returns
    -------
    Agreement
    """
    spec, rows = bound.spec, bound.rows
    seen = _seen(bound, draws).some(most)
    likely, outside = chances(spec, rows, seen), beyond(rows, draws["sigma"])
    if is_exact(spec, rows) and FEW not in rows.columns:
        return Agreement(0.0, edge(spec, rows, likely), -np.inf, outside)
    missed = misses(spec, rows, seen, likely)
    # Weights that hardly differ have no tail to speak of, and looking for one loads a library.
    miss = float(missed.std()) if np.isfinite(missed).all() else np.inf
    k = _smoothed(-missed)[1] if miss > LARGEST_MISS else -np.inf
    return Agreement(miss, edge(spec, rows, likely), k, outside)


def _smoothed(log_weights: Array) -> tuple[Array, float]:
    """Return Pareto-smoothed log weights, and k; of too few to have a tail, as they are."""
    finite = np.isfinite(log_weights)
    if not finite.all():  # where the density sampled has no value
        log_weights = np.where(finite, log_weights, log_weights[finite].min(initial=0.0) - _NEVER)
    if np.ptp(log_weights) < _SAME:
        return np.zeros_like(log_weights), -np.inf
    if len(log_weights) < _SMOOTHED:
        return log_weights, np.nan
    from arviz_stats.base import array_stats

    try:
        smooth, k = array_stats.psislw(-log_weights)  # made for leaving rows out, it takes log likelihoods
    except ValueError:  # the largest weights are all the same: nothing to be smoothed, nothing to rely on
        return log_weights, np.inf
    return np.asarray(smooth), float(k)


def sample_settled(
    bound: BoundLaw, sample: Callable[[BoundLaw], dict[str, xr.Dataset]]
) -> tuple[BoundLaw, dict[str, xr.Dataset]]:
    """Sample a posterior whose discrepancy is decomposed where it lies.

    Parameters
    ----------
    bound : BoundLaw
    sample : callable
        Bound law -> groups, as `nuts.sample` returns them.

    Returns
    -------
    BoundLaw
        With the grid that was settled.
    dict of str to xarray.Dataset
        ``sample_stats`` says in its attributes how the density sampled agrees with the exact one, see `Agreement`.
        Where that matters draws are drawn again by their weights.
    """
    if not isinstance(bound.observation, GaussianProcess):
        return bound, sample(bound)
    if len(bound.rows) > 1 and np.ptp(bound.rows.y) == 0:
        raise InputError(
            f"the output, {bound.spec.output.name}, is the same in every row: nothing says how large run noise and a "
            "discrepancy are; take rows that differ, or fit without one (discrepancy=None)."
        )
    bound, passes = settle_grid(bound), []
    while True:
        groups = sample(bound)
        draws = _flat(groups)
        passes.append((agreement(bound, draws), bound, groups, draws))
        if passes[-1][0].good or len(passes) > _SETTLED_AGAIN:
            break
        bound = resettle(bound, draws)
    found, bound, groups, draws = min(
        passes, key=lambda one: (not one[0].good, one[0].beyond > LARGEST_BEYOND, one[0].miss)
    )
    if found.miss > LARGEST_MISS:
        groups = _reweighted(bound, groups, draws)
    attrs = {f"density_{n}": v for n, v in asdict(found).items()}
    return bound, {**groups, "sample_stats": groups["sample_stats"].assign_attrs(attrs)}


def _flat(groups: Mapping[str, xr.Dataset]) -> dict[str, Array]:
    """Return draws of parameters (draws, 1) and of latent vectors (draws, size)."""
    values = flat_values(groups["posterior"])
    latent = groups.get("latent", xr.Dataset()).data_vars.items()
    return {**values, **{str(n): v.values.reshape(-1, v.shape[-1]) for n, v in latent}}


def _reweighted(
    bound: BoundLaw, groups: dict[str, xr.Dataset], draws: Mapping[str, Array]
) -> dict[str, xr.Dataset]:
    """Draw each chain's draws again by their smoothed weights, evenly, in their order."""
    shape = groups["posterior"].sizes["chain"], groups["posterior"].sizes["draw"]
    seen = _seen(bound, draws)
    likely = chances(bound.spec, bound.rows, seen)
    smooth, _ = _smoothed(-misses(bound.spec, bound.rows, seen, likely))
    chance = np.exp(smooth - smooth.max()).reshape(shape).cumsum(axis=1)
    steps = (np.arange(shape[1]) + 0.5) / shape[1]
    at = np.stack([np.searchsorted(c, steps * c[-1]) for c in chance])
    index = xr.DataArray(np.minimum(at, shape[1] - 1), dims=("chain", "draw"))
    chain = xr.DataArray(np.arange(shape[0]), dims="chain")
    kept = {n: groups[n].isel(chain=chain, draw=index).assign_coords(draw=np.arange(shape[1])) for n in ("posterior", "latent") if n in groups}  # fmt: skip
    return {**groups, **kept}


def _with(bound: BoundLaw, grid: str | None) -> BoundLaw:
    attrs = {n: v for n, v in bound.data.attrs.items() if n != GRID}
    data = bound.data.copy()
    data.attrs = attrs if grid is None else {**attrs, GRID: grid}
    return _of(bound, data)


def _of(bound: BoundLaw, data: xr.Dataset) -> BoundLaw:
    return bind(bound.spec, data)


def _seen(bound: BoundLaw, draws: Mapping[str, Array]) -> Seen:
    """Return residuals and run noise of draws."""
    values = noise_values(bound.spec, {**draws, **integrated(bound.spec)})
    given = bound.observation.condition(bound.rows, bound.law(values), values)
    residual = given.residual
    return Seen(residual, np.broadcast_to(values["sigma"], (len(residual), 1))[:, 0])


def _mode(minus: Callable[[Array], tuple[Array, Array]], size: int, rng: np.random.Generator) -> Array | None:
    """Return where a log density's negative is least, from the best two of random starts; None without a finite one."""

    def one(point: Array) -> tuple[float, Array]:
        value, gradient = minus(point)
        if not (np.isfinite(value[0]) and np.isfinite(gradient).all()):
            return 1e300, np.zeros(size)
        return float(value[0]), gradient[0]

    starts = np.concatenate([np.zeros((1, size)), rng.standard_normal((_STARTS, size))])
    values, slopes = minus(starts)
    if not (np.isfinite(values) & np.isfinite(slopes).all(axis=1)).any():
        return None
    ends = [
        minimize(one, starts[i], jac=True, method="L-BFGS-B", bounds=[(-8, 8)] * size)
        for i in np.argsort(np.nan_to_num(values, nan=np.inf))[:2]
    ]
    return np.asarray(min(ends, key=lambda end: end.fun).x)


def _around_the_mode(bound: BoundLaw) -> dict[str, Array] | None:
    """Draw from around the posterior's mode, well beyond its bulk's edge; None where the machine can't run it, or finds none."""
    from bayeslaw.inference.machine.graph import NotRecordableError
    from bayeslaw.inference.machine.kernel import run_program
    from bayeslaw.inference.machine.posterior import named_values, posterior_program

    try:
        program = posterior_program(bound)
    except NotRecordableError:
        return None
    size, rng = program.density.inputs, np.random.default_rng(0)

    def minus(points: Array) -> tuple[Array, Array]:
        found = run_program(program.density, np.atleast_2d(points))
        return 0.5 * (np.atleast_2d(points) ** 2).sum(axis=1) - found[:, 0], np.atleast_2d(points) - found[
            :, 1:
        ]

    mode = _mode(minus, size, rng)
    if mode is None:
        return None
    steps = _STEP * np.eye(size)
    curvature = (minus(mode + steps)[1] - minus(mode - steps)[1]) / (2 * _STEP)
    eigen, turn = np.linalg.eigh((curvature + curvature.T) / 2)
    spread = turn / np.sqrt(np.maximum(eigen, 0.3))
    wide = np.sqrt(_DEGREES / rng.chisquare(_DEGREES, (_DRAWS, 1)))
    points = mode + (wide * rng.standard_normal((_DRAWS, size))) @ spread.T
    points = np.concatenate([mode[None], points])
    values = np.nan_to_num(minus(points)[0], nan=np.inf)
    if not np.isfinite(values).any():
        return None
    # Half the quantile of chi-squared, as scipy.stats has it, which takes a second to load.
    bulk = values - values.min() < gammaincinv(size / 2, _INSIDE)
    drawn = named_values(program, points[bulk])
    return {n: v.reshape(int(bulk.sum()), -1) for n, v in drawn.items()}
