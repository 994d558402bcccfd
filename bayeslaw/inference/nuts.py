"""Sampling with NUTS, by nutpie."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayeslaw.core.compiled import is_kept
from bayeslaw.core.errors import InputError
from bayeslaw.core.progress import shows, work
from bayeslaw.inference.coordinates import latent_vectors, walks
from bayeslaw.inference.sampler_import import nutpie_module
from bayeslaw.inference.values import noise_values
from bayeslaw.law.evaluate import derive
from bayeslaw.law.priors import integrated, sampled, scalar_names, walked
from bayeslaw.law.spec import Spec
from bayeslaw.observation.base import NUMPY
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.pooling import score_name
from bayeslaw.observation.walks import scores_from

if TYPE_CHECKING:
    from bayeslaw.inference.machine.assemble import Program

LOST = "lost_chains"
"""The statistics' attribute that says how many chains a first run lost."""
_NO_MASS = 25.0
"""Nats by which chains that share a posterior never differ."""
_STARTS = 24
"""Random points of which a chain takes the likeliest to start from."""
_KEPT_STATS = ("diverging", "energy", "n_steps", "depth", "step_size", "mean_tree_accept", "logp")
_MAX_LOW_RANK = 64
"""Dimensions up to which correlations are adapted. At 170 that took nutpie minutes, sampling itself seconds."""


@dataclass(frozen=True)
class Walk:
    """A posterior as nutpie samples it.

    Attributes
    ----------
    model : nutpie compiled model
    variables : mapping of str to bool
        What is read of its draws; True for vectors.
    named : callable
        Draws of those, flattened over chains, to parameters (draws,) and latent vectors (draws, size) by name.
    starting : callable, optional
        Points, shape (points, dimensions) -> the model once more, its chains starting from some of these.
    """

    model: Any
    variables: Mapping[str, bool]
    named: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
    starting: Callable[[np.ndarray], Any] | None = None


def sample(bound: BoundLaw, settings: dict[str, Any], progress: bool | None) -> dict[str, xr.Dataset]:
    """Sample the posterior.

    Parameters
    ----------
    bound : BoundLaw
    settings : dict
        draws, tune, chains, seed, target_accept.
    progress : bool, optional
        As of `fit`.

    Returns
    -------
    dict of str to xarray.Dataset
        ``posterior`` (parameters, then the paper's; dims chain, draw), ``sample_stats``, and
        ``latent`` if the observation model has vectors.

    Notes
    -----
    A chain that ends far less likely than another one sits on a ridge that has no part of the posterior's mass. Then
    all chains are run again from draws of the others.
    """
    walk, name = walk_of(bound, progress), bound.spec.name
    drawn, stats = _read_trace(_run(name, walk.model, settings, progress), walk.variables)
    again = 0
    if walk.starting is not None:
        (points,) = drawn.values()
        lost = _lost(stats["logp"], points)
        again = int(lost.sum())
        if again:
            model = walk.starting(points[~lost].reshape(-1, points.shape[-1]))
            drawn, stats = _read_trace(_run(name, model, settings, progress), walk.variables)
    shape = stats["diverging"].shape
    flat = {n: v.reshape(shape[0] * shape[1], *v.shape[2:]) for n, v in drawn.items()}
    named = {n: v.reshape(*shape, *v.shape[1:]) for n, v in walk.named(flat).items()}
    groups = groups_of(bound, named, stats, settings["seed"])
    return {**groups, "sample_stats": groups["sample_stats"].assign_attrs({LOST: again})}


def groups_of(
    bound: BoundLaw, named: Mapping[str, np.ndarray], stats: Mapping[str, np.ndarray], seed: int
) -> dict[str, xr.Dataset]:
    """Lay draws out as the groups of a fit's tree, what the density marginalised drawn as well.

    Parameters
    ----------
    bound : BoundLaw
    named : mapping of str to numpy.ndarray
        Of `walked` parameters (chains, draws), of latent vectors (chains, draws, size).
    stats : mapping of str to numpy.ndarray, shape (chains, draws)
        The sampler's; ``diverging`` at least.
    seed : int

    Returns
    -------
    dict of str to xarray.Dataset
        As of `sample`.
    """
    shape = stats["diverging"].shape
    coords = {name: np.arange(size) for name, size in zip(("chain", "draw"), shape, strict=True)}
    drawn = {**named, **_completed(bound, named, seed)}
    groups = {
        "posterior": posterior(bound.spec, drawn, coords),
        "sample_stats": xr.Dataset({n: (("chain", "draw"), v) for n, v in stats.items()}, coords),
    }
    if latent := latent_vectors(bound):
        groups["latent"] = xr.Dataset({n: (("chain", "draw", f"{n}_dim"), drawn[n]) for n in latent}, coords)
    return groups


def walk_of(bound: BoundLaw, progress: bool | None) -> Walk:
    """Return a law's posterior as the machine runs it, or, where it cannot, as PyMC compiles it.

    Parameters
    ----------
    bound : BoundLaw
    progress : bool, optional
        As of `fit`.

    Returns
    -------
    Walk
    """
    told = work(
        "compiling the sampler, once on this machine (10-20 s)",
        progress=False if is_kept("callback") else progress,
    )
    with told:
        from bayeslaw.inference.machine import callback
        from bayeslaw.inference.machine.graph import NotRecordableError
        from bayeslaw.inference.machine.posterior import named_values, posterior_program
    try:
        program = posterior_program(bound)
        _refuse_without_gradient(bound.spec, program.density)
        model = callback.nutpie_model(program.density, lambda seed: _start(program.density, seed))
    except (NotRecordableError, TypeError, ImportError):
        return _pymc_walk(bound, progress)
    name = callback.COORDINATES

    def starting(points: np.ndarray) -> Any:
        return callback.nutpie_model(program.density, lambda seed: np.random.default_rng(seed).choice(points))

    return Walk(model, {name: True}, lambda drawn: named_values(program, drawn[name]), starting)


def _lost(logp: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return which chains ended where there is next to no mass: density times volume, shape (chains,)."""
    with np.errstate(divide="ignore"):
        mass = np.median(logp, axis=1) + 0.5 * np.log(drawn.var(axis=1)).sum(axis=1)
    return np.asarray(mass < mass.max() - _NO_MASS)


def _start(density: Program, seed: int) -> np.ndarray:
    """Return where a chain starts: the likeliest of some random points; far away a grid of scales has ridges that hold it."""
    points, found = _random_points(density, seed)
    values = found[:, 0] - 0.5 * (points**2).sum(axis=1)
    return points[np.argmax(np.where(np.isfinite(found).all(axis=1), values, -np.inf))]


def _random_points(density: Program, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points in the middle of the priors, and the density and its gradient there."""
    from bayeslaw.inference.machine.kernel import run_program

    points = np.random.default_rng(seed).uniform(-1, 1, (_STARTS, density.inputs))
    return points, run_program(density, points)


def _refuse_without_gradient(spec: Spec, density: Program) -> None:
    """Refuse a law from which no chain could start."""
    if not np.isfinite(_random_points(density, 0)[1]).all(axis=1).any():
        raise InputError(
            f"the law '{spec.name}' has no finite value and gradient at any of {_STARTS} points in the middle of its priors: "
            "look for a power or a root of what is zero or below at a row, such as (D - ref_D)**g with the smallest D as "
            "reference, or of what the priors make so; change the formula, or leave the row out."
        )


def _pymc_walk(bound: BoundLaw, progress: bool | None) -> Walk:
    """Return a law's posterior as PyMC states it and nutpie compiles it."""
    from bayeslaw.inference.compiled import compile_model

    read = {
        **dict.fromkeys(scalar_names(walked(bound.spec)), False),
        **dict.fromkeys(latent_vectors(bound), True),
    }
    return Walk(compile_model(bound, progress), read, lambda drawn: {**drawn, **_scores(bound, drawn)})


def _scores(bound: BoundLaw, drawn: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the scores of pooled parameters' groups, from where NUTS walked."""
    spec = bound.spec
    known, out = noise_values(spec, drawn), {}
    for name, how in walks(bound).items():
        spread, walk = np.asarray(known[f"{name}_spread"])[..., None], drawn[score_name(name)]
        out[score_name(name)], _ = scores_from(spec, name, walk, spread, how, NUMPY)
    return out


def _run(name: str, model: Any, settings: Mapping[str, Any], progress: bool | None) -> Any:
    """Run nutpie; return the raw trace: turning it into a tree by ourselves takes a tenth of the time."""
    own_bar = shows(progress)
    steps = settings["chains"] * (settings["draws"] + settings["tune"])
    told = work(f"sampling the law '{name}'", steps, False if own_bar else progress)
    with told as on_step, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nutpie_module().sample(
            model,
            draws=settings["draws"], tune=settings["tune"], chains=settings["chains"], seed=settings["seed"],
            cores=min(settings["chains"], os.cpu_count() or 1), progress_bar=own_bar, save_warmup=False,
            progress_callback=lambda chains: on_step(sum(chain.finished_draws for chain in chains)),
            target_accept=settings["target_accept"], adaptation=_adaptation(model.n_dim), return_raw_trace=True,
        )  # fmt: skip


def _adaptation(dimensions: int) -> str:
    """Return how the mass matrix adapts: its correlations too, while that costs less than it saves."""
    return "low_rank" if dimensions <= _MAX_LOW_RANK else "diag"


def _completed(bound: BoundLaw, drawn: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Draw what the density marginalised, such as a discrepancy's length, given what was sampled."""
    shape = next(iter(drawn.values())).shape[:2]
    drawn = {n: v.reshape(shape[0] * shape[1], -1) for n, v in drawn.items()}
    values = noise_values(bound.spec, {**integrated(bound.spec), **drawn})
    given = bound.observation.condition(bound.rows, bound.law(values), values)
    return {name: v.reshape(shape) for name, v in given.complete(np.random.default_rng(seed)).items()}


def _read_trace(
    trace: Any, variables: Mapping[str, bool]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read nutpie's Arrow batches, one a chain: draws and statistics behind the warm-up."""
    import pyarrow as pa

    draw_batches, stat_batches = trace.get_arrow_trace()
    kept = [
        ~np.asarray(pa.array(batch.column("tuning")).to_numpy(zero_copy_only=False)) for batch in stat_batches
    ]
    shortest = min(int(rows.sum()) for rows in kept)

    def read(batches: Any, name: str) -> np.ndarray:
        columns = []
        for batch, rows in zip(batches, kept, strict=True):
            column = pa.array(batch.column(name))
            if variables.get(name):
                values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
            else:
                values = column.to_numpy(zero_copy_only=False)
            columns.append(values[rows][:shortest])
        return np.stack(columns)

    draws = {name: read(draw_batches, name) for name in variables}
    return draws, {
        name: read(stat_batches, name) for name in _KEPT_STATS if name in stat_batches[0].column_names
    }


def posterior(spec: Spec, drawn: Mapping[str, np.ndarray], coords: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Name the draws as the spec does, and add the derived parameters.

    Parameters
    ----------
    spec : Spec
    drawn : mapping of str to numpy.ndarray, shape (chains, draws)
        As the sampler returns it.
    coords : mapping
        The dims chain and draw.

    Returns
    -------
    xarray.Dataset
        Scalars with dims (chain, draw).
    """
    values = {name: drawn[name] for name in scalar_names(sampled(spec))}
    with np.errstate(all="ignore"):
        values |= derive(spec, values)
    shape = tuple(map(len, coords.values()))
    return xr.Dataset(
        {n: (("chain", "draw"), np.broadcast_to(v, shape).copy()) for n, v in values.items()}, coords
    )
