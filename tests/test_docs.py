"""Numbers in the documents have a script that prints them, and what a table lists stands in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bayeslaw.law import functions, schedule_inputs

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "models/README.md",
    *(f"bayeslaw/guide/{path.name}" for path in sorted((ROOT / "bayeslaw" / "guide").glob("*.md"))),
)
NAMED = sorted({
    (document, *match)
    for document in DOCUMENTS
    for match in re.findall(r"`(tests/benchmarks/\w+\.py)(?: (\w+))?`", (ROOT / document).read_text(encoding="utf-8"))
})  # fmt: skip


@pytest.mark.parametrize(("document", "script", "part"), NAMED, ids=[" ".join(n) for n in NAMED])
def test_a_benchmark_that_is_named_is_there(document, script, part):
    path = ROOT / script
    assert path.is_file(), f"{document} names {script}"
    assert not part or f"\ndef {part}(" in path.read_text(encoding="utf-8"), (
        f"{document} names its part {part}"
    )


def test_documents_name_their_benchmarks():
    assert len(NAMED) >= 6


@pytest.mark.parametrize("document", ["models/README.md", "bayeslaw/guide/laws.md"])
def test_documents_name_every_function_of_formulas(document):
    words = set(re.findall(r"\w+", (ROOT / document).read_text(encoding="utf-8")))
    assert set(functions.FUNCTIONS) <= words


def test_the_reference_names_every_function_of_schedules():
    text = (ROOT / "models/README.md").read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in schedule_inputs.FUNCTIONS)
