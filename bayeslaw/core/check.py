"""Describe the outcome of a check as a value: name, level, number, sentence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

LEVELS = ("ok", "note", "warn", "fail")


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes
    ----------
    name : str
        What was checked.
    level : str
        ``ok``; ``note`` (know this); ``warn`` (the numbers may mislead); ``fail`` (do not use the
        numbers: the sampler did not do its work, the rows are too few for the law, or the forecast
        is no finite number).
    value : float
        The number the level was judged by.
    message : str
        One sentence: what was found and what to do.
    """

    name: str
    level: str
    value: float
    message: str


def to_json(checks: Iterable[Check]) -> str:
    """Write checks as JSON, to travel in a dataset's attributes."""
    return json.dumps([asdict(c) for c in checks])


def from_json(text: str) -> list[Check]:
    """Read checks written by `to_json`."""
    return [Check(**entry) for entry in json.loads(text)]
