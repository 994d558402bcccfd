"""What a study asks for, and what comes of it: plain values, which can be sent to another process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from bayeslaw.inference.fit import Fit
from bayeslaw.law.spec import Spec


@dataclass(frozen=True, eq=False)
class Task:
    """One fit, and what is asked of it: plain values, which can be sent to another process.

    Attributes
    ----------
    spec : Spec
        The law, bound to the rows when it is fitted, so that what is wrong with them is the task's failure.
    data : xarray.Dataset
        The rows that are fitted.
    settings : mapping
        Further arguments of `fit`.
    ask : callable
        (fit, given) -> what the study keeps of it: a function at the top of a module, whose values are
        plain, see `bayeslaw.core.exact.exact_text`.
    given : mapping
        What `ask` needs beside the fit: held-out rows, seeds.
    key : hashable, optional
        Tasks with one key have one fit: the same law, rows and settings.
    """

    spec: Spec
    data: xr.Dataset = field(repr=False)
    settings: Mapping[str, Any]
    ask: Callable[[Fit, Mapping[str, Any]], Any]
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)
    key: Hashable = None


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes
    ----------
    value : object
        What was asked for; None where the fit or the answer was impossible.
    failed : str
        Why it was impossible; empty otherwise.
    seconds : float
        Time of the fit.
    """

    value: Any = None
    failed: str = ""
    seconds: float = float("nan")


def together(tasks: Iterable[Task]) -> Iterator[list[tuple[int, Task]]]:
    """Put tasks that share a fit together, each with its place in the order.

    Parameters
    ----------
    tasks : iterable of Task
        A list shares fits wherever they stand in it; of a generator, which is drawn one by one, neighbours do.

    Yields
    ------
    list of (int, Task)
    """
    placed = enumerate(tasks)
    if isinstance(tasks, Sequence):
        by_key: dict[Hashable, list[tuple[int, Task]]] = {}
        for place, task in placed:
            by_key.setdefault(_shared(place, task), []).append((place, task))
        yield from by_key.values()
        return
    for _, group in itertools.groupby(placed, lambda one: _shared(*one)):
        yield list(group)


def _shared(place: int, task: Task) -> Hashable:
    """Return what tasks with one fit have in common; a task without a key has its own."""
    return ("alone", place) if task.key is None else ("shared", task.key)
