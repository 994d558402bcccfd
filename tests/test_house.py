"""What keeps the house tidy: a law is bound once, names of likelihoods and methods stay in tables, files stay small."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator

import pytest
from test_architecture import MODULES, PACKAGE, tree

# ---- a law and its rows are taken apart once

TAKES_APART = {"observed_rows", "row_columns", "group_labels", "resolve"}
BINDS = "observation.bound.bind"
# Functions that take a law and a dataset, and hand them on at once.
HANDS_ON = {
    "inference.fitting.compile": "public",
    "inference.fitting.fit": "public",
    "inference.fitting.pymc_model": "public",
    "inference.settings.check_law_and_data": "tells the public functions whether they were given a law and a dataset",
    "law.catalogue.resolve": "public: computes references by name",
    "law.evaluate.law_inputs": "reads one law's inputs from a table; `row_columns` and forecasts call it",
    "law.evaluate.row_columns": "reads what else is known of the rows; `observed_rows` calls it",
    "observation.base.observed_rows": "reads the output; `bind` calls it",
    "studies.backtest.study.backtest": "public",
    "studies.stability.study.stability": "public",
    "studies.stability.over_k.stability_by_k": "public",
    # While a table is read there is nothing to bind to yet: these look at it before it is a fit's.
    "data.direction.directions": "checks a table while it is read",
    "data.direction.against_law": "checks a table while it is read",
    "data.plausible.odd_data": "checks a table while it is read",
}
CALLS = {
    "law.evaluate.row_columns": {"observation.base.observed_rows"},
    "observation.base.observed_rows": {BINDS},
    "observation.pooling.group_labels": {"observation.bound.labels"},  # the bound law's own, on first use
    "law.catalogue.resolve": {BINDS, "data.direction.directions"},
}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield every function of the package, methods and inner ones too, as module.name."""
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef):
                yield f"{module}.{node.name}", node


def parameters(function: ast.FunctionDef) -> set[str]:
    taken = function.args
    return {a.arg for a in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)}


def called(function: ast.FunctionDef) -> set[str]:
    """Return the names of what a function calls, without where they come from."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {f.id if isinstance(f, ast.Name) else getattr(f, "attr", "") for f in calls}


def test_a_law_and_its_rows_go_together():
    """Whoever takes both a law and a dataset would have to work out rows, inputs and labels again."""
    both = {name for name, f in functions() if {"spec", "data"} <= parameters(f)}
    assert both - {BINDS} <= set(HANDS_ON)


def test_rows_inputs_labels_and_references_are_worked_out_once():
    for name, function in functions():
        for what in called(function) & TAKES_APART:
            allowed = set().union(*(by for home, by in CALLS.items() if home.endswith(f".{what}")))
            assert name in allowed, f"{name} calls {what}: take a bound law"


def test_what_the_lists_above_name_exists():
    there = {name for name, _ in functions()}
    assert {BINDS, *HANDS_ON, *CALLS, *set().union(*CALLS.values())} <= there


# ---- what a likelihood, a kernel or a method can do, its table says

TABLES = (
    "law.parse",
    "law.families",
    "law.schedules",
    "law.schedule_kinds",
    "inference.methods",
    "cli.options",
)
NAMES = {"Binomial", "StudentT", "exponential"}


def comparisons(source: ast.Module) -> list[str]:
    """Return the text of every comparison."""
    return [ast.unparse(node) for node in ast.walk(source) if isinstance(node, ast.Compare)]


@pytest.mark.parametrize("module", [m for m in MODULES if m not in TABLES])
def test_nobody_asks_for_a_likelihood_or_a_method_by_name(module):
    constants = {n.value for n in ast.walk(tree(module)) if isinstance(n, ast.Constant)}
    assert not {c for c in constants if isinstance(c, str)} & NAMES
    asked = [text for text in comparisons(tree(module)) if "method" in text]
    assert not [text for text in asked if re.search(r"'(nuts|map)'", text)]
    text = (PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    assert not re.search(r"\bmethod\s*[=!]=", text)


# ---- sizes

LONG_FUNCTIONS = {"law.parse.parameter", "cli.options.reading_options"}


def lines(module: str) -> int:
    return len((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8").splitlines())


def test_files_are_small():
    sizes = {module: lines(module) for module in MODULES}
    assert statistics.median(sizes.values()) < 220
    assert not {module for module, size in sizes.items() if size > 400}


def test_functions_are_short():
    long = set()
    for name, function in functions():
        body = function.body[1:] if ast.get_docstring(function) else function.body
        if body and body[-1].end_lineno - body[0].lineno + 1 > 45:
            long.add(name)
    assert long <= LONG_FUNCTIONS
