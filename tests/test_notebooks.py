"""The notebooks: thin, stored with their outputs and nothing of a machine, and they run."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
MOST_BYTES = 600_000
ABSOLUTE = re.compile(
    r"(?<![\w.:/])/(?:home|root|work|tmp|usr|Users|opt|var|mnt|private|builds?)/|[A-Z]:\\\\?\w"
)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
SMALL = {
    "DRAWS, TUNE": "100, 200", "CHAINS": "2", "BOOTSTRAP": "30", "WINDOWS": "[3e20]", "EVERY": "1.5", "KS": "[1, 10]",
}  # fmt: skip
"""What the first cell's settings are while tested; not every notebook has all of them."""


def _names() -> tuple[str, ...]:
    spec = importlib.util.spec_from_file_location("notebooks_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.NAMES


NAMES = _names()


@pytest.fixture(params=NAMES)
def notebook(request) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{request.param}.ipynb", as_version=4)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def source(cell) -> str:
    """Return a cell's Python, without IPython's magics."""
    return re.sub(r"^%.*$", "", cell.source, flags=re.M)


def test_every_notebook_is_listed():
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def test_it_is_valid_and_says_its_question(notebook):
    nbformat.validate(notebook)
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert "**Question.**" in first.source
    assert re.search(r"^DRAWS, TUNE = 1000, 1000$", code(notebook)[0].source, flags=re.M)


def test_it_defines_nothing(notebook):
    nodes = [node for cell in code(notebook) for node in ast.walk(ast.parse(source(cell)))]
    assert not [ast.unparse(node) for node in nodes if isinstance(node, DEFINITIONS)]


def test_its_outputs_are_stored(notebook):
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run in order, once"
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    last = cells[-1].outputs
    assert sum("image/png" in o.get("data", {}) for o in last) == 1, "ends with one picture"
    text = "\n".join(o.data["text/markdown"] for o in last if "text/markdown" in o.get("data", {}))
    assert "**Figure.**" in text
    assert "**Conclusion.**" in text
    assert "nan" not in re.split(r"\W+", text)


def test_it_holds_nothing_of_a_machine(notebook):
    for cell in notebook.cells:
        assert not cell.metadata
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    text = nbformat.writes(notebook)
    assert not ABSOLUTE.findall(text)
    assert str(ROOT) not in text
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small(name):
    assert (FOLDER / f"{name}.ipynb").stat().st_size < MOST_BYTES


@pytest.fixture(scope="module")
def kernel():
    """One process for all notebooks: a law is compiled once a process, and compiling is what takes time."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(FOLDER))
    client.stop_channels()
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(name, kernel):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    first = code(notebook)[0]
    for setting, value in SMALL.items():
        first.source = re.sub(rf"^{setting} = .*$", f"{setting} = {value}", first.source, flags=re.M)
    assert "DRAWS, TUNE = 100, 200" in first.source
    first.source = "%reset -f\n" + first.source
    runner = NotebookClient(notebook, km=kernel, timeout=300, record_timing=False)
    try:
        runner.execute()
    finally:
        runner.kc.stop_channels()
