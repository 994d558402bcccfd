"""Types are checked where laws live, and public signatures say what they take."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bayeslaw as bl

PACKAGE = Path(bl.__file__).parent
FOLDERS = ("law", "observation")
MODULES = [path for folder in FOLDERS for path in sorted((PACKAGE / folder).glob("*.py"))]


def test_the_types_hold():
    """No error, without a cache from elsewhere; settings are those of pyproject.toml."""
    settings = PACKAGE.parent / "pyproject.toml"
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), "--cache-dir", os.devnull]
    done = subprocess.run(
        [*command, *(str(PACKAGE / folder) for folder in FOLDERS)],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def public_annotations(source: ast.Module):
    """Yield (place, annotation) of public functions, methods, fields of classes, annotated names, and types that are named."""
    waiting: list[tuple[str, ast.stmt]] = [("", node) for node in source.body]
    while waiting:
        inside, node = waiting.pop()
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if not node.target.id.startswith("_"):
                yield f"{inside}{node.target.id}", node.annotation
        elif isinstance(
            node, ast.Assign | ast.TypeAlias
        ):  # a public signature may use even a private name of a type
            names = node.targets if isinstance(node, ast.Assign) else [node.name]
            yield f"{inside}{ast.unparse(names[0])} =", node.value
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            place = f"{inside}{node.name}"
            if isinstance(node, ast.ClassDef):
                waiting += [(f"{place}.", child) for child in node.body]
                continue
            given = node.args
            arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            for argument in arguments:
                if argument is not None and argument.annotation is not None:
                    yield f"{place}({argument.arg})", argument.annotation
            if node.returns is not None:
                yield f"{place} ->", node.returns


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_no_public_signature_takes_anything(path):
    source = ast.parse(path.read_text(encoding="utf-8"))
    loose = [
        f"{place}: {ast.unparse(annotation)}"
        for place, annotation in public_annotations(source)
        if any(getattr(node, "id", getattr(node, "attr", "")) == "Any" for node in ast.walk(annotation))
    ]
    assert not loose


def test_a_loose_signature_is_found():
    source = ast.parse(
        "x: Any = 1\n_y: Any = 2\nRows = dict[str, Any]\n_Rows = list[Any]\ntype Row = Any\ndef f(a: int, *b: typing.Any) -> dict[str, Any]: ...\n"
        "def _g(a: Any): ...\nclass C:\n    field: Any\n    def __call__(self, a: Any): ...\n    def m(self, *, a: Any): ...\n"
    )
    found = {place for place, annotation in public_annotations(source) if "Any" in ast.unparse(annotation)}
    assert found == {"x", "Rows =", "_Rows =", "Row =", "f(b)", "f ->", "C.field", "C.m(a)"}
