"""One engine for studies: they say as tasks what is fitted and what is asked of the fit; it runs them.

A back-test, a stack, a study of stability differ in their windows and in what they ask. What they have in
common is here: fits are made wherever the study is told to make them, a fit that several tasks share is made
once, one that is impossible costs no other, what is found can be kept and is not computed again, and progress
is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayeslaw.core.errors import InputError
from bayeslaw.core.exact import exact_text, exact_value
from bayeslaw.core.progress import aside, tell_more, work
from bayeslaw.core.threads import one_blas_thread
from bayeslaw.inference.fit import Fit
from bayeslaw.inference.fitting import fit
from bayeslaw.studies.running.base import Lost, Runner
from bayeslaw.studies.running.execution import check_execution, runner
from bayeslaw.studies.running.here import Here
from bayeslaw.studies.running.sources import sources_hash
from bayeslaw.studies.store import Store, open_store, task_name
from bayeslaw.studies.tally import Tally
from bayeslaw.studies.tasks import Outcome, Task, together


@dataclass(frozen=True, eq=False)
class Job:
    """Tasks that run in one place, since they share a fit: what is sent to a worker.

    Attributes
    ----------
    tasks : sequence of Task
    places : sequence of int
        Where each stands among the study's.
    names : sequence of str
        What each is called in a store; empty where there is none.
    store : Store, optional
        Which whoever runs them writes to.
    sources : str
        The hash of the sources that the study runs by; empty where they are those of this process.
    """

    tasks: Sequence[Task] = field(repr=False)
    places: Sequence[int]
    names: Sequence[str] = ()
    store: Store | None = None
    sources: str = ""


class Engine:
    """Runs tasks, and hands their outcomes back in their order.

    Parameters
    ----------
    on_step : callable
        Told after each task how many are done.
    where : Runner, optional
        By default this process.
    store : Store, optional
        Where outcomes are looked up and kept.
    shared : bool
        Whether whoever runs tasks writes to the store.
    tally : Tally, optional
        Told what is found.
    """

    def __init__(
        self,
        on_step: Callable[[int], None],
        where: Runner | None = None,
        store: Store | None = None,
        shared: bool = False,
        tally: Tally | None = None,
    ) -> None:
        self._on_step, self._where = on_step, Here() if where is None else where
        self._store, self._shared, self._told_full = store, shared, False
        self._tally = Tally(0) if tally is None else tally

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
        found: dict[int, Outcome] = {}
        for job, result in self._where.each(run_job, self._jobs(tasks, found)):
            if isinstance(result, Lost):
                result = [(Outcome(failed=result.why), True)] * len(
                    job.tasks
                )  # it may well go through another time
            for i, (outcome, kept) in enumerate(result):
                if self._store is not None and not kept:
                    self._keep(job.names[i], job.tasks[i], outcome)
                found[job.places[i]] = outcome
                self._step(outcome, computed=True)
        return [found[place] for place in range(len(found))]

    def _jobs(self, tasks: Iterable[Task], found: dict[int, Outcome]) -> Iterator[Job]:
        """Yield what is to be run; what is in the store is found."""
        elsewhere = not isinstance(self._where, Here)
        for group in together(tasks):
            if self._store is None:
                left = [(place, task, "") for place, task in group]
            else:
                left = []
                for place, task in group:
                    name = task_name(task)
                    known = self._known(name)
                    if known is None:
                        left.append((place, task, name))
                    else:
                        found[place] = known
                        self._step(known, computed=False)
            if left:
                places, every, names = zip(*left, strict=True)
                writes = self._store if self._shared else None
                yield Job(every, places, names, writes, sources_hash() if elsewhere else "")

    def _known(self, name: str) -> Outcome | None:
        try:
            return self._store.find(name)
        except InputError as error:
            aside(f"{error}; it is computed again.")
            return None

    def _keep(self, name: str, task: Task, outcome: Outcome) -> None:
        """Write an outcome; a store that takes no more costs what was not kept, not the study."""
        try:
            self._store.keep(name, task, outcome)
        except InputError as error:
            if not self._told_full:
                aside(
                    f"store: {error} The study goes on; what cannot be written has to be computed again another time."
                )
            self._told_full = True

    def _step(self, outcome: Outcome, computed: bool) -> None:
        self._tally.step(bool(outcome.failed), computed)
        self._on_step(self._tally.done)


@contextmanager
def engine(
    what: str, count: int, progress: bool | None, execution: Mapping[str, Any] | None = None
) -> Iterator[Engine]:
    """Open an engine.

    Parameters
    ----------
    what : str
        The study, for the bar.
    count : int
        How many tasks there will be.
    progress : bool, optional
        As of `fit`.
    execution : mapping, optional
        Where they run, see `bayeslaw.studies.running.execution.Execution`.

    Yields
    ------
    Engine

    Raises
    ------
    InputError
        If they cannot run there, or the store takes no files.
    """
    given = check_execution(what, execution or {})
    store = None if given["store"] is None else open_store(given["store"])
    with runner(given) as where, work(what, count, progress) as on_step:
        tally = Tally(count, where)
        tell_more(tally.text)
        yield Engine(on_step, where, store, given["store_shared"], tally)


def run_job(job: Job) -> list[tuple[Outcome, bool]]:
    """Run tasks that share a fit.

    Parameters
    ----------
    job : Job

    Returns
    -------
    list of (Outcome, bool)
        And whether it is kept already.

    Raises
    ------
    InputError
        If this process has other sources than the study's.
    """
    if job.sources and job.sources != sources_hash():
        raise InputError(
            "on: a worker has another version of bayeslaw or of the libraries that it computes with than this process; install "
            "the same ones there."
        )
    kept: dict[Hashable, tuple[Fit, float]] = {}
    with one_blas_thread():
        if job.store is None:
            return [(attempt(task, kept), False) for task in job.tasks]
        return [
            _looked_up(job.store, name, task, kept) for name, task in zip(job.names, job.tasks, strict=True)
        ]


def _looked_up(
    store: Store, name: str, task: Task, kept: dict[Hashable, tuple[Fit, float]]
) -> tuple[Outcome, bool]:
    """Look an outcome up, where another study may have put it meanwhile, or find it and keep it."""
    try:
        known = store.find(name)
    except InputError:  # damaged: whoever sent it said so
        known = None
    if known is not None:
        return known, True
    outcome = attempt(task, kept)
    try:
        store.keep(name, task, outcome)
    except InputError:  # the study tries, too, and says why it cannot
        return outcome, False
    return outcome, True


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
        Its value as a store would give it back: the same wherever it comes from.
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
        value = task.ask(made[0], task.given)
    # One window must not cost the others: rows too few, no start (the sampler's RuntimeError), a
    # matrix that is singular.
    except (InputError, RuntimeError, np.linalg.LinAlgError) as error:
        return Outcome(failed=" ".join(str(error).split()) or type(error).__name__)
    return Outcome(exact_value(exact_text(value)), seconds=made[1])
