"""Every measured number has a script: those that are named exist, with the parts that are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "benchmarks"
PAGES = (
    "README.md",
    "models/README.md",
    "tests/benchmarks/README.md",
    *(f"bayeslaw/guide/{path.name}" for path in sorted((ROOT / "bayeslaw" / "guide").glob("*.md"))),
)
ROWS = [
    re.findall(r"`([^`]+)`", line.rsplit("|", 2)[1])[0]
    for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and "`" in line.rsplit("|", 2)[1]
]
"""What stands behind each number of the table: a script with its parts, a test, or a command."""


@pytest.mark.parametrize("page", PAGES)
def test_every_benchmark_that_is_named_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"tests/[\w/]+\.\w+", text):
        assert (ROOT / name).is_file(), f"{page} names {name}"


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_table_leads_somewhere(row):
    name, *parts = row.split()
    if name == "bayeslaw":
        return
    path = ROOT / name if "/" in name else FOLDER / name
    source = path.read_text(encoding="utf-8")
    for part in parts:
        assert f"\ndef {part}(" in source, f"{name} has no part {part}"


def test_every_benchmark_is_in_the_table_and_says_how_it_runs():
    scripts = {path.name for path in FOLDER.glob("*.py")}
    assert scripts == {row.split()[0] for row in ROWS if row.split()[0].endswith(".py") and "/" not in row}
    for name in scripts:
        assert f"Run: uv run python tests/benchmarks/{name}" in (FOLDER / name).read_text(encoding="utf-8")
