"""Laws × observation models, and the machine's log density of each held against the model that PyMC states."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
from conftest import PUBLISHED_SCHEDULES, TRUTHS, noiseless
from scipy.special import erf, ndtr, ndtri

import bayeslaw as bl
from bayeslaw.inference.coordinates import latent_vectors
from bayeslaw.inference.machine.kernel import run_program
from bayeslaw.inference.machine.posterior import PosteriorProgram, posterior_program
from bayeslaw.inference.pymc_model import build_model
from bayeslaw.law.parse import parse_spec
from bayeslaw.law.priors import link_bounds, link_normal, walked
from bayeslaw.law.spec import Parameter
from bayeslaw.observation.bound import BoundLaw, bind

POINTS, BOUND = 50, 1e-9
AROUND = 0.5
"""How far out in the priors a discrepancy's density is asked. Where residuals are ten thousand run noises, what
rounding does to them is seen in its ninth digit, whoever runs it: both sides call the same function."""
OF_COUNTS = ("compute", "params-tokens", "gold-likelihood")
CURVES = ("annealing",)
TABLES = tuple(name for name in TRUTHS if name not in CURVES)
ABSOLUTE = {"scale": {"prior_90": [0.01, 0.3], "unit": "log"}}
RELATIVE = {"scale": {"prior_90": [0.15, 8], "unit": "sigma"}}
NO_LENGTH = {"kernel": "brownian", "length": None}
SLOPED = {"over": "x", "prior_90": [-0.3, 0.3]}
POOLED = "the law's size"
"""Stands for the parameter of that role."""

# ---- data


def rows(name: str, groups: bool = False):
    """Rows that follow a law, with errors known of some, two of them out."""
    _, data = noiseless(name, noise=0.03)
    rng, size = np.random.default_rng(2), data.sizes["obs"]
    output = bl.load_model(name).output.name
    error = data[output].values * rng.uniform(0, 0.05, size) * (rng.random(size) < 0.6)
    out = np.where(np.arange(size) == 7, 0.4, np.where(np.arange(size) == 20, -0.3, 0.0))
    data = data.assign(sampling_error=("obs", error), outlying=("obs", out))
    if groups:
        data = data.assign(
            family=("obs", rng.choice(["a", "b", "c"], size)), size=("obs", rng.choice(["s", "t"], size))
        )
    return data


def counts(name: str, groups: bool = False):
    """Counts of models, some without a success."""
    rng, size = np.random.default_rng(3), 18
    frame = pd.DataFrame({
        "model": [f"m{i}" for i in range(size)], "params": np.geomspace(1e7, 1e10, size),
        "tokens": 10 ** rng.uniform(9, 11.5, size), "gold_nll": np.geomspace(20, 150, size),
        "n": rng.integers(20, 4000, size),
    })  # fmt: skip
    frame["c"] = np.where(
        np.arange(size) % 6 == 0, 0, rng.binomial(frame["n"], np.geomspace(0.001, 0.6, size))
    )
    if groups:
        frame = frame.assign(family=rng.choice(["a", "b", "c"], size), size=rng.choice(["s", "t"], size))
    return frame


def curves(groups: bool = False):
    """Loss curves, one of which branches off the other."""
    _, data = noiseless("annealing", noise=0.003)
    cosine, constant = PUBLISHED_SCHEDULES
    data = data.assign_attrs(branches=json.dumps({constant: [cosine, 6000]}))
    error = np.where(np.arange(data.sizes["obs"]) % 3 == 0, 0.004, 0.0)
    data = data.assign(sampling_error=("obs", error))
    return data.assign(size=("obs", np.where(data["run"] == cosine, "s", "t"))) if groups else data


# ---- observation models


def _changed(name: str, data=None, **changes) -> BoundLaw:
    groups = "pool" in changes
    if POOLED in changes.get("pool", {}):
        changes = {
            **changes,
            "pool": {"e_0" if name == "sigmoid-power" else "level": changes["pool"][POOLED]},
        }
    spec = bl.change(bl.load_model(name), **changes)
    if data is None:
        family = changes.get("likelihood", {}).get("family")
        data = bl.read_table(counts(name, groups), spec) if family == "Binomial" else curves(groups) if name in CURVES else rows(name, groups)  # fmt: skip
    return bind(spec, data)


STUDENT, NORMAL, COUNTS = ({"family": f, "outliers": False} for f in ("StudentT", "Normal", "Binomial"))
ON_TABLES: dict[str, dict] = {
    "StudentT": {"likelihood": STUDENT, "discrepancy": None},
    "Normal": {"likelihood": NORMAL, "discrepancy": None},
    "matern32": {"likelihood": STUDENT, "discrepancy": {"kernel": "matern32", **RELATIVE}},
    "matern32, absolute": {"likelihood": STUDENT, "discrepancy": {"kernel": "matern32", **ABSOLUTE}},
    "matern52": {"likelihood": STUDENT, "discrepancy": {"kernel": "matern52", **RELATIVE}},
    "matern52, absolute": {"likelihood": STUDENT, "discrepancy": {"kernel": "matern52", **ABSOLUTE}},
    "brownian": {"likelihood": STUDENT, "discrepancy": {**NO_LENGTH, **RELATIVE}},
    "brownian, absolute": {"likelihood": STUDENT, "discrepancy": {**NO_LENGTH, **ABSOLUTE}},
    "outliers": {"likelihood": {"family": "StudentT", "outliers": True}},
    "outliers, absolute": {"likelihood": {"family": "StudentT", "outliers": True}, "discrepancy": ABSOLUTE},
    "one column": {"likelihood": STUDENT, "discrepancy": None, "pool": {POOLED: "family"}},
    "two columns": {"likelihood": STUDENT, "pool": {POOLED: ["family", "size"]}},
}
ON_COUNTS: dict[str, dict] = {
    "counts": {"likelihood": COUNTS, "discrepancy": None},
    "counts, matern32": {"likelihood": COUNTS},
    "counts, brownian, absolute": {"likelihood": COUNTS, "discrepancy": {**NO_LENGTH, **ABSOLUTE}},
    "counts, one column": {"likelihood": COUNTS, "discrepancy": None, "pool": {POOLED: "family"}},
    "counts, two columns": {"likelihood": COUNTS, "pool": {POOLED: ["family", "size"]}},
}
ON_CURVES: dict[str, dict] = {
    "StudentT": {"discrepancy": None},
    "Normal": {"likelihood": NORMAL, "discrepancy": None},
    "exponential": {},
    "exponential, sigma": {"prior": {"sigma": (0.0005, 0.01)}},
    "exponential, relative": {"discrepancy": RELATIVE},
    "lam held": {"fix": {"lam": 0.999}},
    "one column": {"discrepancy": None, "pool": {POOLED: "size"}},
    "one column, exponential": {"pool": {POOLED: "size"}},
}
KINDS = {
    name: ON_CURVES if name in CURVES else {**ON_TABLES, **(ON_COUNTS if name in OF_COUNTS else {})}
    for name in TRUTHS
}
CROSS: dict[str, Callable[[], BoundLaw]] = {
    f"{name}: {kind}": lambda name=name, changes=changes: _changed(name, **changes)
    for name, kinds in KINDS.items()
    for kind, changes in kinds.items()
}
"""Every shipped law × every observation model that it admits."""

# ---- priors that no shipped law has


def _edited(name: str, edit: Callable[[dict], None], **changes) -> BoundLaw:
    spec = bl.change(bl.load_model(name), **{"discrepancy": None, **changes})
    document = copy.deepcopy(dict(spec.document))
    edit(document["parameters"])
    return bind(parse_spec(document, name), rows(name, "pool" in changes))


def _bounded(p: dict) -> None:
    p["level"] |= {"bounds": [0.5, 6.0], "prior_90": [1.0, 4.0]}
    p["floor"] |= {"bounds": [0.05, 0.9]}
    p["alpha"].pop("ridge")
    p["alpha"] |= {"bounds": [0.05, 0.3], "prior_90": [0.1, 0.15]}


def _unbounded_share(p: dict) -> None:
    p["floor"] |= {"prior_90": [0.1, 0.8]}
    p["alpha"].pop("ridge")


def _bounded_share(p: dict) -> None:
    p["floor"] |= {"prior_90": [0.1, 0.8], "bounds": [0.02, 0.81]}


def _real(p: dict) -> None:
    p["alpha"].pop("ridge")
    p["alpha"] |= {"support": "real", "prior_90": [0.05, 0.5]}


def _real_bounded(p: dict) -> None:
    _real(p)
    p["alpha"] |= {"bounds": [0.0, 0.6]}


def _not_flat(p: dict) -> None:
    p["share"] |= {"concentration": 2.5}


def _sparse(p: dict) -> None:
    p["share"] |= {"concentration": 0.7}


PRIORS: dict[str, Callable[[], BoundLaw]] = {
    "bounds": lambda: _edited("power", _bounded),
    "a share with an interval": lambda: _edited("power", _unbounded_share),
    "a share with both": lambda: _edited("power", _bounded_share),
    "the real line": lambda: _edited("power", _real),
    "part of the real line": lambda: _edited("power", _real_bounded),
    "a simplex": lambda: _edited("chinchilla", _not_flat),
    "a sparse simplex": lambda: _edited("params-tokens", _sparse),
    "a ridge of what is held": lambda: _changed("compute", fix={"floor": 0.1}, discrepancy=None),
    "sigma held": lambda: _changed("compute", fix={"sigma": 0.05}),
    "nu held": lambda: _changed("power", fix={"nu": 5.0, "level": 1.7}, discrepancy=None),
    "noise along an input": lambda: _changed("power", discrepancy=None, likelihood={"sigma_slope": SLOPED}),
    "normal noise along one of two": lambda: _changed(
        "chinchilla",
        discrepancy=None,
        likelihood={"family": "Normal", "sigma_slope": {**SLOPED, "over": "D"}},
    ),
    "noise along an input, held": lambda: _changed(
        "power", discrepancy=None, likelihood={"sigma_slope": {"over": "x", "fixed": -0.1}}
    ),
    "a scale held": lambda: _changed("power", fix={"discrepancy_scale": 2.0, "discrepancy_length": 3.0}),
    "shifts' scale inferred": lambda: _changed(
        "power", likelihood={"outliers": True, "shift_scale": {"prior_90": [2, 20], "unit": "sigma"}}
    ),
    "a pooled share and a ridge": lambda: _changed(
        "power", pool={"floor": "family", "alpha": ["family", "size"]}, discrepancy=None
    ),
    "a pooled share with an interval": lambda: _edited("power", _unbounded_share, pool={"floor": "size"}),
    "a pooled real": lambda: _edited("power", _real, pool={"alpha": "family", "level": "size"}),
    "the logit scale": lambda: _logit(),
    "no scale": lambda: _changed(
        "chinchilla", scale="identity", discrepancy=ABSOLUTE, prior={"sigma": (0.02, 0.3)}
    ),
}
"""Priors and scales of errors that the shipped laws do not have as they are."""


def _logit() -> BoundLaw:
    spec = bl.change(bl.load_model("power"), scale="logit", discrepancy=None, prior={"level": (0.05, 0.3)})
    data = rows("power")
    return bind(spec, data.assign(y=data["y"] / 10, sampling_error=data["sampling_error"] / 10))


# ---- from the machine's coordinates to PyMC's


def truncated(z: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return standard normals truncated to [low, high], each tail with its own digits."""
    mass = ndtr(high) - ndtr(low) if low < 0 else ndtr(-low) - ndtr(-high)
    below, above = ndtr(low) + mass * ndtr(z), ndtr(-high) + mass * ndtr(-z)
    return np.where(below < above, ndtri(below), -ndtri(above))


def _of_scalar(p: Parameter, pooled: bool, z: np.ndarray):
    """Return the variable's name, its values, derivatives by the score, and the derivatives of their logarithms."""
    one, zero = np.ones_like(z), np.zeros_like(z)
    if p.prior_90 is None:
        return f"{p.name}_normal", z, one, zero
    mean, sd = link_normal(p)
    if p.ridge is not None or pooled:
        return f"{p.name}_sheared", mean + sd * z, sd * one, zero
    if p.bounds is None:
        return f"{p.name}_link" if p.support == "unit" else p.name, mean + sd * z, sd * one, zero
    low, high = link_bounds(p)
    ends = (low - mean) / sd, (high - mean) / sd
    y = truncated(z, *ends)
    mass = ndtr(ends[1]) - ndtr(ends[0]) if ends[0] < 0 else ndtr(-ends[0]) - ndtr(-ends[1])
    by_score = mass * np.exp((y**2 - z**2) / 2)
    below, above = y - ends[0], ends[1] - y
    slope = by_score * (1 / below + 1 / above)
    return f"{p.name}_link", np.log(below) - np.log(above), slope, y * by_score - z + by_score * (1 / above - 1 / below)  # fmt: skip


def pymc_coordinates(bound: BoundLaw, sizes: dict[str, int | None], points: np.ndarray):
    """Return PyMC's unconstrained variables at the machine's coordinates, (points, size) by variable's name.

    Beside each stand its derivatives by the scores, elementwise, and those of their logarithms.
    """
    z, at = {}, 0
    for name, size in sizes.items():
        z[name] = points[:, at : at + (size or 1)]
        at += size or 1
    out = {}
    for p in walked(bound.spec).values():
        if p.names and p.concentration == 1:
            for n in p.names[:-1]:
                out[f"{n}_normal"] = z[n], np.ones_like(z[n]), np.zeros_like(z[n])
        elif p.names:
            every = np.concatenate([z[n] for n in p.names[:-1]], axis=1)
            out[p.name] = every, np.ones_like(every), np.zeros_like(every)
        else:
            name, *values = _of_scalar(p, p.name in bound.spec.pooled, z[p.name])
            out[name] = tuple(values)
    for name in latent_vectors(bound):
        out[name] = z[name], np.ones_like(z[name]), np.zeros_like(z[name])
    return out


def pymc_density(bound: BoundLaw):
    """Return PyMC's log density with its gradient, compiled as little as can be, and the variables' names."""
    import pytensor
    from pytensor.compile.mode import Mode

    model = build_model(bound)
    variables = [model.rvs_to_values[rv] for rv in model.free_RVs]
    density = model.logp()
    slopes = pytensor.grad(density, variables, disconnected_inputs="ignore")
    mode = Mode(linker="py", optimizer="fast_compile")
    function = pytensor.function(variables, [density, *slopes], mode=mode, on_unused_input="ignore")
    return function, [(rv.name, v.ndim) for rv, v in zip(model.free_RVs, variables, strict=True)]


def rounded_mass(bound: BoundLaw) -> float:
    """Return by how much PyMC's log of the mass within bounds is too large: it takes √2 and log ½ to seven digits."""
    total = 0.0
    for p in walked(bound.spec).values():
        if p.bounds is not None and p.prior_90 is not None:
            mean, sd = link_normal(p)
            low, high = ((b - mean) / sd for b in link_bounds(p))
            assert low < 0 < high
            inside = np.diff(erf(np.array([low, high]) / np.sqrt(np.float32(2))))[0]
            total += np.log(np.float32(0.5)) + np.log(inside) - np.log(ndtr(high) - ndtr(low))
    return float(total)


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of vectors, in units of the larger of 1 and a vector's largest entry.

    Vectors lie along the last axis. Infinity where one alone has no number.
    """
    known = np.isfinite(expected).all(axis=-1)
    if (known != np.isfinite(found).all(axis=-1)).any():
        return np.inf
    size = np.maximum(1, np.abs(expected[known]).max(axis=-1, keepdims=True))
    return float(np.max(np.abs(found[known] - expected[known]) / size, initial=0.0))


def scores(program: PosteriorProgram, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    """Return random coordinates, shape (POINTS, coordinates)."""
    return spread * np.random.default_rng(seed).standard_normal((POINTS, program.density.inputs))


def against_pymc(bound: BoundLaw, points: np.ndarray | None = None) -> tuple[float, float]:
    """Return by how much log density and gradient differ from PyMC's after the Jacobian between coordinates."""
    program = posterior_program(bound)
    if points is None:
        points = scores(program, spread=AROUND if bound.spec.marginalised else 1.0)
    found = run_program(program.density, points)
    value = found[:, 0] - 0.5 * (points**2 + np.log(2 * np.pi)).sum(axis=1)
    gradient = found[:, 1:] - points
    there = pymc_coordinates(bound, program.sizes, points)
    function, variables = pymc_density(bound)
    assert {name for name, _ in variables} == set(there)
    every = [
        [there[n][0][i] if rank else there[n][0][i, 0] for n, rank in variables] for i in range(len(points))
    ]
    with np.errstate(all="ignore"):
        theirs = [function(*given) for given in every]
    expected = np.array([float(t[0]) for t in theirs]) + rounded_mass(bound)
    slopes = {}
    for k, (name, _) in enumerate(variables, start=1):
        slope, by_score, bend = np.stack([np.atleast_1d(t[k]) for t in theirs]), *there[name][1:]
        expected = expected + np.log(by_score).sum(axis=1)
        slopes[name] = slope * by_score + bend
    assert np.isfinite(expected).mean() > 0.5
    at = np.cumsum([slopes[n].shape[1] for n in there])  # they stand in the order of the coordinates
    each = zip(np.split(gradient, at[:-1], axis=1), there, strict=True)
    return apart(value[:, None], expected[:, None]), max(apart(found, slopes[n]) for found, n in each)
