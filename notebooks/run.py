"""Run the notebooks of this folder and store their outputs.

``uv run python notebooks/run.py`` runs all of them, ``… run.py law-stability`` one. What differs from machine to
machine or from day to day (times, the kernel's version, progress on standard error) is left out, so that a
notebook changes only where its code or its numbers do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
NAMES = ("annealing-forecast", "pass-at-k-forecast", "law-stability", "map-versus-posterior")
CELL_TIMEOUT = 900


def main(names: list[str]) -> None:
    """Run notebooks by name and write them back; the first that fails stops it.

    Parameters
    ----------
    names : list of str
        Without the suffix; none means all.
    """
    for name in names or NAMES:
        path = FOLDER / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=CELL_TIMEOUT, kernel_name="python3", record_timing=False)
        client.execute()
        nbformat.write(tidy(notebook), path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave out what is of one machine or one day.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    nbformat.NotebookNode
        The same object.
    """
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for i, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = nbformat.from_dict({}), f"cell-{i + 1:02d}"
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                if "metadata" in output:
                    output.metadata = nbformat.from_dict({})
    return notebook


if __name__ == "__main__":
    main(sys.argv[1:])
