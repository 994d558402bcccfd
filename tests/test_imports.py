"""What each step loads: what a process does not need must not cost it seconds."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from bayeslaw.inference import sampler_import

# Heavy modules, by what they are for.
READING = ("pandas", "xarray", "scipy", "h5py")
FITTING = ("scipy.optimize", "scipy.interpolate", "scipy.signal")
COMPILING = ("numba", "llvmlite")
SAMPLING = ("nutpie",)
CHECKING = ("arviz_base", "arviz_stats", "scipy.stats")
NEVER = ("pymc", "pytensor", "arviz", "arviz_plots", "matplotlib")

# Processes: the steps of each, and what is not loaded after the step.
PROCESSES = {
    "points": {
        "import bayeslaw as bl": ("numpy", *READING, *COMPILING, *SAMPLING),
        "from bayeslaw.cli.main import main; main(['--help'], standalone_mode=False)": ("numpy", *READING, *COMPILING, *SAMPLING),
        "spec = bl.load_model('compute'); data = bl.read_table('table.csv', spec, k=1)": (*FITTING, *COMPILING, *SAMPLING, *CHECKING),
        "bl.fit(spec, data, 'map', bootstrap=5).save('point.nc')": (*SAMPLING, *CHECKING),
    },
    "posteriors": {
        "import bayeslaw as bl; spec = bl.load_model('compute'); data = bl.read_table('table.csv', spec, k=1)": (),
        "fit = bl.fit(spec, data, draws=50, tune=100, chains=2, progress=False); fit.save('posterior.nc')": (),
        "bl.checks(fit); bl.summary(fit)": (),
    },
    "forecasts": {
        "import bayeslaw as bl; fits = bl.load_fit('point.nc'), bl.load_fit('posterior.nc')": (*FITTING, *COMPILING, *SAMPLING, *CHECKING),
        "[bl.forecast(fit, {'C': [1e24]}) for fit in fits]": (*FITTING, *COMPILING, *SAMPLING, *CHECKING),
    },
}  # fmt: skip


def run(code: str, folder) -> str:
    """Run code in a process of its own, and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table; the processes leave their fits in it, in their order."""
    place = tmp_path_factory.mktemp("imports")
    compute = np.geomspace(1e18, 1e22, 16)
    noise = np.random.default_rng(0).normal(0, 0.03, 16)
    rates = np.exp(-(0.6 + 2200 * compute**-0.15) * np.exp(noise))
    table = pd.DataFrame({"model": [f"m{i}" for i in range(16)], "compute": compute, "pass_at_k": rates})
    table.to_csv(place / "table.csv", index=False)
    return place


@pytest.mark.parametrize("process", PROCESSES)
def test_a_step_loads_no_more_than_it_needs(process, folder):
    lines = ["import sys"]
    for step, unneeded in PROCESSES[process].items():
        found = f"sorted({{*{(*unneeded, *NEVER)!r}}} & {{*sys.modules}})"
        lines += [step, f"print('loaded after', {step!r}, {found})"]
    told = [line for line in run("\n".join(lines), folder).splitlines() if line.startswith("loaded after")]
    assert told == [f"loaded after {step} []" for step in PROCESSES[process]]


def test_arviz_is_there_for_who_asks(folder):
    """After nutpie was imported without it: for nutpie itself on use, and for anybody else as ever."""
    code = """
import sys
from bayeslaw.inference.sampler_import import nutpie_module
nutpie = nutpie_module()
kept = sys.modules["nutpie.sample"].arviz
assert "arviz" not in sys.modules and nutpie is nutpie_module() is sys.modules["nutpie"]
import arviz
assert arviz is sys.modules["arviz"] is not kept and arviz.__file__ and type(arviz) is type(sys)
assert kept.from_dict is arviz.from_dict and kept.__version__ == arviz.__version__
del sys.modules["nutpie"], sys.modules["nutpie.sample"]  # as where ArviZ came first
nutpie_module()
assert sys.modules["nutpie.sample"].arviz is arviz is sys.modules["arviz"]
"""
    run(code, folder)


class Finder:
    """Finds a module as what it is told, and imports nothing; an error instead of a module is raised."""

    def __init__(self, name, found):
        self.name, self.found = name, found

    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self) if name == self.name else None

    def create_module(self, spec):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def exec_module(self, module):
        pass


def finds(monkeypatch, name, found):
    """Let an import find this, with neither ArviZ nor nutpie loaded; afterwards all is as before."""
    for loaded in ("arviz", "nutpie"):
        monkeypatch.setitem(sys.modules, loaded, None)  # so that what is there now comes back
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Finder(name, found), *sys.meta_path])


def test_an_import_that_fails_leaves_nothing_behind(monkeypatch):
    finds(monkeypatch, "nutpie", ImportError("refused"))
    with pytest.raises(ImportError, match="refused"):
        sampler_import.nutpie_module()
    assert "arviz" not in sys.modules


def test_a_stand_in_gives_way_to_arviz_on_use(monkeypatch):
    """As where another thread imports ArviZ meanwhile: what it got works, and the name is ArviZ's own."""
    real = ModuleType("arviz")
    real.rhat = "its own"
    finds(monkeypatch, "arviz", real)
    stand_in = sys.modules["arviz"] = sampler_import._ArvizOnUse("arviz")
    for name in ("__file__", "__path__", "__wrapped__"):  # asked of every module by who looks through them
        assert not hasattr(stand_in, name)
    assert sys.modules["arviz"] is stand_in
    assert stand_in.rhat == "its own"
    assert sys.modules["arviz"] is real
