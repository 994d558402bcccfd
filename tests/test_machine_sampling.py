"""What the machine cannot run is sampled through PyMC, and fits give the same draws whoever runs beside them."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType

import numpy as np
import nutpie
import pytest
from conftest import TRUTHS, noiseless
from nutpie import compile_pymc
from posterior_cases import CROSS
from test_observation_double import NOISE, observe

import bayeslaw as bl
from bayeslaw.inference import nuts
from bayeslaw.inference.machine.callback import COORDINATES
from bayeslaw.law import families
from bayeslaw.observation.bound import bind

SHORT = {"draws": 60, "tune": 100, "chains": 3, "progress": False}

# ---- the fallback


@pytest.fixture
def asked(monkeypatch):
    """The laws that were handed to PyMC; none is compiled."""
    laws = []
    monkeypatch.setattr(nuts, "_pymc_walk", lambda bound, progress: laws.append(bound.spec.name))
    return laws


@pytest.fixture
def laplace(monkeypatch):
    """An observation model with an absolute value, for which there is no instruction."""
    module = ModuleType("bayeslaw.observation.laplace")
    module.observe = observe
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(families.FAMILIES, "Laplace", families.Family("laplace", ("sigma", "lean")))
    return bl.change(bl.load_model("compute"), discrepancy=None, likelihood={"family": "laplace", **NOISE})


def test_the_installed_nutpie_takes_models_that_are_built_by_hand(asked):
    """If this fails, fits still run, through PyMC, but each law is compiled again in each process."""
    walk = nuts.walk_of(CROSS["compute: matern32"](), False)
    assert not asked, (
        f"nutpie {nutpie.__version__} builds its models otherwise: see machine.callback.nutpie_model"
    )
    assert walk.variables == {COORDINATES: True}
    assert walk.model.n_dim == 3


@pytest.mark.parametrize("error", [TypeError("an unexpected argument"), ImportError("no such name")])
def test_where_nutpies_model_cannot_be_built_pymc_compiles_it(asked, monkeypatch, error):
    def refused(**_):
        raise error

    monkeypatch.setattr(compile_pymc, "CompiledPyMCModel", refused)
    nuts.walk_of(CROSS["compute: matern32"](), False)
    assert asked == ["compute"]


def test_where_nutpie_has_no_such_class_pymc_compiles_it(asked, monkeypatch):
    monkeypatch.delattr(compile_pymc, "CompiledPyMCModel")
    nuts.walk_of(CROSS["compute: StudentT"](), False)
    assert asked == ["compute"]


@pytest.mark.parametrize("error", [KeyError("x"), IndexError("x"), NotImplementedError("x"), ValueError("x")])
def test_whatever_code_does_that_is_not_made_for_recording_pymc_compiles_it(
    asked, laplace, monkeypatch, error
):
    def joint(*_):
        raise error

    bound = bind(laplace, noiseless("compute", noise=0.01)[1])
    monkeypatch.setattr(type(bound.observation), "joint", joint)
    nuts.walk_of(bound, False)
    assert asked == ["compute"]


def test_an_observation_model_that_cannot_be_recorded_is_sampled_through_pymc(laplace):
    fit = bl.fit(laplace, noiseless("compute", noise=0.01)[1], draws=300, tune=500, chains=2, progress=False)
    assert {"level", "floor", "alpha", "sigma", "lean"} <= set(fit.tree["posterior"].data_vars)
    assert not fit.tree["sample_stats"]["diverging"].any()
    for name, true in TRUTHS["compute"].items():
        low, high = np.quantile(fit.draws[name], [0.001, 0.999])
        assert low < true < high, name


# ---- several at once


def drawn(case: str, seed: int) -> dict[str, np.ndarray]:
    bound = CROSS[case]()
    fit = bl.fit(bound.spec, bound.data, seed=seed, **SHORT)
    groups = [fit.tree[name] for name in ("posterior", "sample_stats", "latent") if name in fit.tree.children]
    return {n: v.values for group in groups for n, v in group.data_vars.items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(v, other[n]) for n, v in one.items())


TASKS = [(case, seed) for case in ("compute: StudentT", "chinchilla: matern32", "compute: one column", "annealing: exponential") for seed in (0, 1)]  # fmt: skip


def test_fits_in_threads_are_those_of_one_after_the_other():
    alone = [drawn(*task) for task in TASKS]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda task: drawn(*task), TASKS))
    assert all(map(same, alone, together))
    assert not same(alone[0], alone[1])


@pytest.mark.parametrize("case", ["chinchilla: outliers", "compute: counts, two columns"])
def test_draws_do_not_depend_on_the_number_of_cores(case, monkeypatch):
    found = []
    for cores in (1, 2, 16):
        monkeypatch.setattr(nuts.os, "cpu_count", lambda cores=cores: cores)
        found.append(drawn(case, 0))
    assert same(found[0], found[1]) and same(found[0], found[2])


def test_chains_that_end_where_there_is_no_mass_are_lost():
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((4, 200, 3))
    logp = -0.5 * (drawn**2).sum(axis=2)
    assert not nuts._lost(logp, drawn).any()
    logp[1] -= 60
    assert nuts._lost(logp, drawn).tolist() == [False, True, False, False]
    drawn[2] = drawn[2, 0]  # one that never moved
    assert nuts._lost(logp, drawn).tolist() == [False, True, True, False]
    drawn[1] *= 1e12  # much less likely, but over a volume that makes up for it
    assert nuts._lost(logp, drawn)[1] == np.False_


def test_a_lost_chain_has_all_run_again_from_where_the_others_were(monkeypatch):
    bound, settings = bind(*noiseless("power", noise=0.05)), {"draws": 200, "tune": 200, "chains": 2, "seed": 0, "target_accept": 0.9}  # fmt: skip
    alone, started = nuts.sample(bound, settings, False), []
    walk_of = nuts.walk_of

    def watched(*arguments):
        walk = walk_of(*arguments)
        return replace(walk, starting=lambda points: started.append(points) or walk.starting(points))

    monkeypatch.setattr(nuts, "walk_of", watched)
    monkeypatch.setattr(nuts, "_lost", lambda logp, drawn: np.array([False, True]))
    again = nuts.sample(bound, settings, False)
    (points,) = started
    assert len(points) == 200
    assert not alone["posterior"].equals(again["posterior"])
    for name in ("alpha", "sigma"):
        values = again["posterior"][name].values
        assert abs(values.mean() - alone["posterior"][name].values.mean()) < 0.5 * values.std()
