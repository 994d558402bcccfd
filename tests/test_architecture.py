"""The house is as drawn: which modules there are, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bayeslaw as bl

PACKAGE = Path(bl.__file__).parent
# In order: a module imports only those before it.
MODULES = (
    "errors", "check", "progress", "storage", "files", "expression", "spec", "coherence", "reading", "catalogue",
    "schedules", "functions", "law", "priors", "sizes", "plausible", "frames", "validate", "filters", "columns", "repeats",
    "counts", "tallies", "gold", "joins", "opening", "tables", "curves", "windows",
    "observation", "intervals", "scores", "groups", "shifts", "kernels", "independent", "counted", "covariance_slopes", "covariance", "outliers",
    "forest", "forest_slopes", "sloped", "trajectories", "families", "model", "result", "evidence", "gradient", "optimize",
    "pointfit", "nuts", "inference", "discrepancy", "convergence", "diagnostics", "mixture", "distance", "membership", "targets", "forecasting", "heldout", "backtesting",
    "backtest_words", "stacking", "loo", "comparison", "quantities", "drift", "window_fits", "verdicts", "spans", "by_k",
    "text", "axes", "backtest_plots", "stability_plots", "density_panels", "panels", "colour_panels", "group_panels", "forecast_panels", "plots", "page", "shown", "uncertainty", "cases", "report_text",
    "report_decision", "report_sections", "report_evidence", "reporting", "demo", "cli_output", "cli_options", "cli_fitting", "cli_studies", "cli", "__main__",
)  # fmt: skip
SAMPLERS = {"pymc", "pytensor", "nutpie"}
MAY_SAMPLE = {"priors", "sloped", "model", "nuts"}
MAY_RUN_NO_CODE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "runpy", "code"}
CALLS_THAT_RUN_CODE = {"eval", "exec", "compile", "__import__"}


def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def imports(module: str) -> set[str]:
    """Return the full names of everything a module imports, lazily or not, types aside."""
    found = set()

    def visit(node):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree(module))
    return found


def siblings(module: str) -> set[str]:
    """Return the modules of the package that a module imports."""
    parts = [name.split(".") for name in imports(module) if name.startswith("bayeslaw.")]
    return {p[1] for p in parts if p[1] in MODULES}


def thirds(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports(module)} - set(sys.stdlib_module_names) - {"bayeslaw"}


def test_the_modules_are_these():
    assert {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} == set(MODULES)
    assert not list(PACKAGE.glob("*/*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_one_way(module):
    before = set(MODULES[: MODULES.index(module)])
    assert siblings(module) <= before


def test_only_a_repr_looks_ahead():
    """A module that is loaded by its name escapes the order: only what shows a fit may be."""
    assert [m for m in MODULES if "importlib" in imports(m)] == ["result"]
    calls = [node for node in ast.walk(tree("result")) if isinstance(node, ast.Call)]
    loaded = [c.args[0] for c in calls if getattr(c.func, "attr", "") == "import_module"]
    assert [ast.literal_eval(name) for name in loaded] == ["bayeslaw.shown"]


@pytest.mark.parametrize("module", MODULES)
def test_only_some_import_the_samplers(module):
    assert module in MAY_SAMPLE or not thirds(module) & SAMPLERS


def test_the_command_line_is_imported_by_nobody():
    assert [m for m in MODULES if "cli" in siblings(m)] == ["__main__"]
    assert {m for m in MODULES if any(s.startswith("cli_") for s in siblings(m))} <= {
        m for m in MODULES if m.startswith("cli")
    }
    assert "cli" not in (PACKAGE / "__init__.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", ["expression", "spec", "reading"])
def test_what_reads_formulas_needs_no_more_than_numpy(module):
    reached, waiting = set(), [module]
    while waiting:
        at = waiting.pop()
        reached.add(at)
        waiting += siblings(at) - reached
    assert reached <= {"errors", "expression", "spec", "coherence", "reading"}
    assert set().union(*map(thirds, reached)) <= {"numpy", "tomli_w"}


@pytest.mark.parametrize("module", [*MODULES, "__init__"])
def test_nothing_runs_code_that_it_reads(module):
    assert not {name.split(".")[0] for name in imports(module)} & MAY_RUN_NO_CODE
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in CALLS_THAT_RUN_CODE, f"{module}, line {node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"read_pickle", "to_pickle", "system", "popen"}, (
                f"{module}, line {node.lineno}"
            )
        if isinstance(node, ast.keyword):
            assert node.arg not in {"allow_pickle", "shell"}, f"{module}, line {node.value.lineno}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_and_stays_small(module):
    source = tree(module)
    assert ast.get_docstring(source)
    assert len((PACKAGE / f"{module}.py").read_text(encoding="utf-8").splitlines()) < 500


@pytest.mark.parametrize("statement", ["import bayeslaw", "import bayeslaw.cli"])
def test_importing_the_package_loads_nothing_heavy(statement):
    heavy = ("pymc", "pytensor", "nutpie", "arviz", "xarray", "pandas", "numpy", "scipy", "matplotlib")
    code = f"import sys\n{statement}\nprint([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in bl.__all__:
        assert getattr(bl, name) is not None
    assert set(bl.__all__) <= set(dir(bl))
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        bl.fitt  # noqa: B018
