"""One engine for studies: they say as tasks what is fitted and what is asked of the fit; it runs them.

A back-test, a stack, a study of stability differ in their windows and in what they ask. What they have in
common is here: fits are made one after the other, a fit that several tasks share is made once, one that is
impossible costs no other, and progress is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.core.errors import InputError
from bayeslaw.core.progress import work
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitting import fit
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
        (fit, given) -> what the study keeps of it: a function at the top of a module.
    given : mapping
        What `ask` needs beside the fit: held-out rows, seeds.
    key : hashable, optional
        Tasks with one key have one fit.
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


class Engine:
    """Runs tasks in their order, and keeps the fits that are shared.

    Parameters
    ----------
    on_step : callable
        Told after each task how many are done.
    """

    def __init__(self, on_step: Callable[[int], None]) -> None:
        self._on_step, self._done = on_step, 0
        self._kept: dict[Hashable, tuple[Fit, float]] = {}

    def run(self, tasks: Iterable[Task]) -> list[Outcome]:
        """Run tasks.

        Parameters
        ----------
        tasks : iterable of Task
            Made as they are run where it is a generator: a task holds its rows.

        Returns
        -------
        list of Outcome
            In the same order.
        """
        found = []
        for task in tasks:
            found.append(attempt(task, self._kept))
            self._done += 1
            self._on_step(self._done)
        return found


@contextmanager
def engine(what: str, count: int, progress: bool | None) -> Iterator[Engine]:
    """Open an engine.

    Parameters
    ----------
    what : str
        The study, for the bar.
    count : int
        How many tasks there will be.
    progress : bool, optional
        As of `fit`.

    Yields
    ------
    Engine
    """
    with work(what, count, progress) as on_step:
        yield Engine(on_step)


def attempt(task: Task, kept: dict[Hashable, tuple[Fit, float]]) -> Outcome:
    """Fit, and ask; a task that is impossible says why.

    Parameters
    ----------
    task : Task
    kept : dict
        Fits by their key, and the time they took; this one is added.

    Returns
    -------
    Outcome
    """
    try:
        if task.key is None or task.key not in kept:
            start = time.perf_counter()
            fitted = fit(task.spec, task.data, **task.settings, progress=False)
            made = fitted, time.perf_counter() - start
            if task.key is not None:
                kept[task.key] = made
        else:
            made = kept[task.key]
        return Outcome(task.ask(made[0], task.given), seconds=made[1])
    # One window must not cost the others: rows too few, no start (the sampler's RuntimeError), a
    # matrix that is singular.
    except (InputError, RuntimeError, np.linalg.LinAlgError) as error:
        return Outcome(failed=" ".join(str(error).split()) or type(error).__name__)
