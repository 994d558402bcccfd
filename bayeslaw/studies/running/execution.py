"""Say where the fits of a study run and where they are kept: the arguments that all studies share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

from bayeslaw.core.errors import InputError, check_flag, check_whole
from bayeslaw.core.files import as_path
from bayeslaw.studies.running.base import Runner
from bayeslaw.studies.running.cluster import cluster
from bayeslaw.studies.running.here import Here
from bayeslaw.studies.running.processes import Processes

if TYPE_CHECKING:
    from distributed import Client

MOST_JOBS = 256


class Execution(TypedDict, total=False):
    """Where a study's fits run, and where they are kept; the results are the same bits wherever they ran.

    Attributes
    ----------
    jobs : int
        So many processes on this machine; by default one, this one. Each of more is an interpreter of its
        own, which stays for a minute after the study, for the next one; one that dies is replaced, and its
        fit made again.
    on : distributed.Client or str
        A Dask cluster: a client, or a scheduler's address, such as ``"tcp://host:8786"``. Needs
        ``pip install 'bayeslaw[cluster]'``; its workers need this very version of bayeslaw.
    store : path
        A folder, made if it is not there: every fit that was asked of is one file in it, and is looked up
        there first, so that a study that was stopped, or is extended, goes on from what is there. A file's
        name is a hash of the law, the rows, the settings, what is asked and the package's sources; files
        of other versions are left alone, and can be deleted. Several studies may use one folder at once.
    store_shared : bool
        Whether a cluster's workers reach the folder by the same path: they write there themselves.
    """

    jobs: int
    on: Client | str | None
    store: str | os.PathLike | None
    store_shared: bool


_DEFAULT: dict[str, Any] = {"jobs": 1, "on": None, "store": None, "store_shared": False}

RUNNERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "here": lambda given: Here(),
    "processes": lambda given: Processes(given["jobs"]),
    "cluster": lambda given: cluster(given["on"]),
}
"""What runs jobs, by where they run."""


def check_execution(caller: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse what does not say where fits run.

    Parameters
    ----------
    caller : str
        The public function that was called, for the message.
    given : mapping
        As `Execution`.

    Returns
    -------
    dict
        All of it.

    Raises
    ------
    InputError
    TypeError
        For a name that is none of an argument.
    """
    for name in given:
        if name not in _DEFAULT:
            raise TypeError(f"{caller}() got an unexpected keyword argument {name!r}")
    every = _DEFAULT | dict(given)
    check_whole("jobs", every["jobs"], 1, MOST_JOBS, "a process each")
    check_flag("store_shared", every["store_shared"])
    if every["on"] is not None and every["jobs"] != 1:
        raise InputError(
            "jobs and on: fits run either in processes of this machine or on a cluster; give one of them."
        )
    if every["store"] is not None:
        as_path(every["store"], "store")
    elif every["store_shared"]:
        raise InputError("store_shared: there is no store to be shared; name its folder, store=….")
    return every


@contextmanager
def runner(given: Mapping[str, Any]) -> Iterator[Runner]:
    """Open what runs jobs.

    Parameters
    ----------
    given : mapping
        As `check_execution` returned it.

    Yields
    ------
    Runner
    """
    where = "cluster" if given["on"] is not None else "processes" if given["jobs"] > 1 else "here"
    opened = RUNNERS[where](dict(given))
    try:
        yield opened
    finally:
        opened.close()
