"""The house is as drawn: a package a layer, and who may import whom."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import bayeslaw as bl

PACKAGE = Path(bl.__file__).parent
# A module imports its own package and those that stand before it; assess and forecasts do not know each other.
LAYERS = (
    "core",
    "law",
    "data",
    "observation",
    "inference",
    "assess",
    "forecasts",
    "studies",
    "plots",
    "reports",
    "cli",
)
APART = {"assess": {"forecasts"}, "forecasts": {"assess"}}
TOP = ("__main__", "demo")
MODULES = tuple(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem != "__init__"
)
FACES = ("__init__", "plots.__init__")
SAMPLERS = {"pymc", "pytensor", "nutpie"}
DRAWS = {"plots", "reports", "demo"}
MAY_RUN_NO_CODE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "runpy", "code"}
CALLS_THAT_RUN_CODE = {"eval", "exec", "compile", "__import__"}


def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))


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
    found = set()
    for name in imports(module):
        own = name.removeprefix("bayeslaw.")
        if own != name:
            found |= {m for m in MODULES if own == m or own.startswith(f"{m}.")}
    return found


def thirds(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports(module)} - set(sys.stdlib_module_names) - {"bayeslaw"}


def layer(module: str) -> str:
    return module.split(".")[0]


def test_every_module_stands_in_a_layer():
    assert {layer(m) for m in MODULES} == {*LAYERS, *TOP}
    assert {m for m in MODULES if "." not in m} == set(TOP)


@pytest.mark.parametrize("module", [m for m in MODULES if m not in TOP])
def test_a_module_imports_its_own_layer_and_lower_ones(module):
    own = layer(module)
    allowed = set(LAYERS[: LAYERS.index(own) + 1]) - APART.get(own, set())
    allowed |= {"demo"} if module == "cli.main" else set()
    assert {layer(m) for m in siblings(module)} <= allowed


def test_no_two_modules_import_each_other():
    graphlib.TopologicalSorter({m: siblings(m) for m in MODULES}).prepare()


def test_nobody_imports_the_face():
    """The package's public names are for users: a module says where it takes a thing from."""
    for module in MODULES:
        names = {n.removeprefix("bayeslaw.") for n in imports(module) if n.startswith("bayeslaw.")}
        assert not {n for n in names if "." not in n} - {"plots"} - set(TOP), module


def test_only_a_repr_looks_ahead():
    """A module that is loaded by its name escapes the order: only what shows a fit may be."""
    assert [m for m in MODULES if "importlib" in imports(m)] == ["inference.fit", "observation.registry"]
    calls = [node for node in ast.walk(tree("inference.fit")) if isinstance(node, ast.Call)]
    loaded = [c.args[0] for c in calls if getattr(c.func, "attr", "") == "import_module"]
    assert [ast.literal_eval(name) for name in loaded] == ["bayeslaw.reports.shown"]


@pytest.mark.parametrize("module", MODULES)
def test_only_some_import_the_samplers_and_matplotlib(module):
    assert layer(module) == "inference" or not thirds(module) & SAMPLERS
    assert layer(module) in DRAWS or "matplotlib" not in thirds(module)


@pytest.mark.parametrize("package", [p for p in sorted(PACKAGE.rglob("__init__.py")) if p.parent != PACKAGE])
def test_a_package_says_what_lives_there_and_nothing_else(package):
    source = ast.parse(package.read_text(encoding="utf-8"))
    assert ast.get_docstring(source)
    name = ".".join(package.relative_to(PACKAGE).with_suffix("").parts)
    assert name in FACES or len(source.body) == 1


def test_the_command_line_is_imported_by_nobody():
    assert {m for m in MODULES if any(layer(s) == "cli" for s in siblings(m))} - {"__main__"} <= {
        m for m in MODULES if layer(m) == "cli"
    }
    assert "cli" not in (PACKAGE / "__init__.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", ["law.expression", "law.spec", "law.parse"])
def test_what_reads_formulas_needs_no_more_than_numpy(module):
    reached, waiting = set(), [module]
    while waiting:
        at = waiting.pop()
        reached.add(at)
        waiting += siblings(at) - reached
    assert {layer(m) for m in reached} <= {"core", "law"}
    assert set().union(*map(thirds, reached)) <= {"numpy", "tomli_w"}


@pytest.mark.parametrize("module", [*MODULES, *FACES])
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
    assert len((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("statement", ["import bayeslaw", "import bayeslaw.cli.main"])
def test_importing_the_package_loads_nothing_heavy(statement):
    heavy = ("pymc", "pytensor", "nutpie", "arviz", "xarray", "pandas", "numpy", "scipy", "matplotlib")
    code = f"import sys\n{statement}\nprint([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in bl.__all__:
        assert getattr(bl, name) is not None
    for name in bl.plots.__all__:
        assert callable(getattr(bl.plots, name))
    assert set(bl.__all__) <= set(dir(bl))
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        bl.fitt  # noqa: B018


def test_no_package_hides_a_public_name():
    """A package that is imported becomes an attribute of its parent: none may be called as a function is."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert not packages & (set(bl.__all__) - {"plots"})
