"""Rows stated in PyMC: an observed variable for each observation model that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayeslaw.law.priors import draw_priors
from bayeslaw.law.spec import Spec
from bayeslaw.observation.base import Observation, Rows
from bayeslaw.observation.bound import BoundLaw
from bayeslaw.observation.counts import LATENT, Counts
from bayeslaw.observation.discrepancy_terms import without_few
from bayeslaw.observation.independent import Independent, run_noise
from bayeslaw.observation.shifts import SHIFT, outlying

OBS, OUTLYING = "obs", "outlying"
"""The dims of rows, and of rows that have a shift of their own."""


@dataclass(frozen=True)
class Around:
    """What rows scatter around, and how far, in the model that is being stated.

    Attributes
    ----------
    bound : BoundLaw
    mean : tensor, shape (rows,)
        The law's value on the scale of errors.
    noise : mapping of str to tensor
        The observation model's parameters.
    own : callable
        A name of ours -> one that nothing of the law has.
    ops : namespace
        PyTensor's functions.
    """

    bound: BoundLaw
    mean: Any
    noise: Mapping[str, Any]
    own: Callable[[str], str]
    ops: Any


def outlying_labels(bound: BoundLaw) -> list[Any]:
    """Return the labels of rows that have a shift; one that is none where a shift serves no row."""
    size = bound.observation.latents(bound.rows).get(SHIFT, 0)
    labels = row_labels(bound)
    found = [labels[i] for i in outlying(bound.rows)] if size else []
    return found + [f"(none, {i})" for i in range(size - len(found))]


def row_labels(bound: BoundLaw) -> list[Any]:
    """Return the rows' labels: those of the data's dim ``obs``."""
    return np.asarray(bound.data[OBS].values).tolist()


def state_rows(around: Around) -> None:
    """State how rows scatter, and what was observed, in the surrounding PyMC model.

    Parameters
    ----------
    around : Around
    """
    import pymc as pm
    import pytensor

    bound = around.bound
    # The law's level is a parameter of this model: it is not integrated out, and moves residuals where a fit's never are.
    given = bound.observation.prepare(without_few(bound.rows))
    given = {n: np.zeros_like(v) if n == "offset" else v for n, v in given.items()}
    terms = {n: pytensor.shared(v, name=f"term_{n}") for n, v in given.items()}
    if isinstance(bound.observation, Counts):
        _counts(around, bound.observation, terms)
    elif "observed" in terms:
        name = output_on_scale(around.bound.spec, around.own)
        data = pm.Data(f"{name}_data", bound.rows.y, dims=OBS)
        _scattered(around, bound.observation, terms, observed=data)
    else:
        values = {**around.noise, **_latent(around)}
        pm.Potential(
            around.own("likelihood"), bound.observation.joint(around.mean, values, terms, around.ops)
        )


def output_on_scale(spec: Spec, own: Callable[[str], str]) -> str:
    """Return what the output is called on the scale of errors."""
    output = spec.output
    return own(output.name if output.scale == "identity" else f"{output.scale}_{output.name}")


def _counts(around: Around, counts: Counts, terms: Mapping[str, Any]) -> None:
    """State outputs that are inferred, and binomial counts of the success rates exp(−output)."""
    import pymc as pm

    from bayeslaw.inference.pymc_transforms import Scored

    columns, own = around.bound.rows.columns, around.own
    scored = Scored(counts, around.bound.terms, around.ops)
    start = np.asarray(around.bound.terms["centre"])
    y = _scattered(around, counts.inner, terms, default_transform=scored, initval=start)
    n, c = (np.rint(columns[name]).astype(np.int64) for name in ("n", "c"))
    n, c = pm.Data(own("n"), n, dims=OBS), pm.Data(own("c_data"), c, dims=OBS)
    pm.Binomial(own("c"), n=n, p=pm.math.exp(-pm.math.exp(y)), observed=c, dims=OBS)


def _scattered(around: Around, observation: Observation, terms: Mapping[str, Any], **given: Any) -> Any:
    """State outputs on the scale of errors that scatter around the law, observed or inferred as `given` says."""
    state = _independent if isinstance(observation, Independent) else _jointly
    return state(around, observation, terms, {"dims": OBS, **given})


def _independent(
    around: Around, observation: Independent, terms: Mapping[str, Any], given: Mapping[str, Any]
) -> Any:
    import pymc as pm

    rows = around.bound.rows
    spread = run_noise(around.noise, terms.get("sigma_along"), around.ops)
    if rows.error.any() and "observed" in given:  # of inferred outputs the counts are the sampling error
        error = pm.Data(around.own("sampling_error"), rows.error, dims=OBS)
        spread = pm.math.sqrt(spread**2 + error**2)
    name = output_on_scale(around.bound.spec, around.own)
    if observation.heavy:
        return pm.StudentT(name, nu=around.noise["nu"], mu=around.mean, sigma=spread, **given)
    return pm.Normal(name, mu=around.mean, sigma=spread, **given)


def _jointly(
    around: Around, observation: Observation, terms: Mapping[str, Any], given: Mapping[str, Any]
) -> Any:
    """State rows by their joint density."""
    import pymc as pm

    latent = _latent(around)
    values = dict(sorted({**around.noise, **latent}.items(), key=lambda item: item[0] != "sigma"))
    cores = ["(rows)", *(f"({n})" if n in latent else "()" for n in values)]
    spec, rows = around.bound.spec, around.bound.rows
    if "observed" not in given:  # of inferred outputs the counts are the sampling error
        rows = replace(rows, error=np.zeros(len(rows)))

    def log_density(value: Any, mean: Any, *parts: Any) -> Any:
        named = dict(zip(values, parts, strict=True))
        return observation.joint(mean, named, {**terms, "observed": value}, around.ops)

    def draw(mean: Any, *parts: Any, rng: np.random.Generator, size: Any) -> np.ndarray:
        named = dict(zip(values, parts, strict=True))
        return _drawn_anew(spec, observation, rows, mean, named, rng, tuple(size or ()))

    return pm.CustomDist(
        output_on_scale(spec, around.own), around.mean, *values.values(), logp=log_density, random=draw,
        signature=f"{','.join(cores)}->(rows)", class_name=type(observation).__name__, **given,
    )  # fmt: skip


def _drawn_anew(
    spec: Spec, observation: Observation, rows: Rows, mean: np.ndarray, values: Mapping[str, np.ndarray],
    rng: np.random.Generator, size: tuple[int, ...],
) -> np.ndarray:  # fmt: skip
    """Draw rows as if they were run anew; what the density marginalised comes from its prior."""
    batch = size or np.shape(mean)[:-1]
    draws = int(np.prod(batch, dtype=int))
    marginalised = {n: v[:, None] for n, v in draw_priors(spec, draws, rng).items() if n in spec.noise}
    named = {n: np.broadcast_to(v, (*batch, *np.shape(v)[len(batch) :])) for n, v in values.items()}
    flat = {n: np.reshape(v, (draws, -1)) for n, v in named.items()}
    at = np.broadcast_to(mean, (*batch, len(rows))).reshape(draws, -1)
    drawn = observation.unconditioned({**marginalised, **flat}).predict(at, rows, rng, together=True)["run"]
    return np.reshape(drawn, (*batch, len(rows)))


def _latent(around: Around) -> dict[str, Any]:
    """State the latent vectors of an observation model, standard normal; the joint density says what they are."""
    import pymc as pm

    sizes = around.bound.observation.latents(around.bound.rows)
    dims = {SHIFT: OUTLYING}
    return {n: pm.Normal(n, shape=size, dims=dims.get(n)) for n, size in sizes.items() if n != LATENT}
