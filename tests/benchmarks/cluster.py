"""Run 2,000 back-test tasks on a local Dask cluster whose workers and client are killed, beside the same tasks here.

Run: uv run python tests/benchmarks/cluster.py [story overhead]

`story`: 50 simulated tables of 20 runs, each run left out once by two laws, fitted by the point fit; first in
this process, then on three workers. One worker is killed with -9, later another one, then the client, which is
started anew on the same store. Prints whether results are the same bits, what was computed twice, and whether any
of that had reached the store. `overhead`: 2,000 tasks whose rows lack what the law needs, so that nothing is
fitted: what remains is the engine's work, the cluster's and the store's.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayeslaw as bl
from bayeslaw.core.exact import exact_text, fingerprint
from bayeslaw.studies.backtest.scores import window_scores
from bayeslaw.studies.engine import engine
from bayeslaw.studies.store import task_name
from bayeslaw.studies.tasks import Task

TABLES, RUNS = 50, 20
SETTINGS = {"method": "map", "bootstrap": 20, "seed": 0}
WORKERS = 3
COUNT = TABLES * RUNS * 2
WARM = 100
KILLS = (("worker", 0.2), ("worker", 0.45), ("client", 0.7))
"""Who is killed, and at what share of the tasks in the store."""


def laws() -> list[bl.Spec]:
    """Return the power law with all but its level, and all but its level and floor, held."""
    spec = bl.change(bl.load_model("power"), discrepancy=None)
    return [bl.change(spec, fix={"alpha": 0.3, "floor": 0.3}), bl.change(spec, fix={"alpha": 0.3})]


def tasks(log: str = "") -> Iterator[Task]:
    """Yield the tasks, each with a number of its own."""
    number = 0
    for spec in laws():
        for table in range(TABLES):
            rng = np.random.default_rng(table)
            x = np.geomspace(1e2, 1e6, RUNS)
            y = (1.7 + 9 * x**-0.3) * np.exp(0.02 * rng.standard_normal(RUNS))
            data = bl.read_table(pd.DataFrame({"x": x, "y": y}), spec)
            for out in range(RUNS):
                seen = np.delete(np.arange(RUNS), out)
                given = {
                    "held": data.isel(obs=[out]), "places": np.array([out]), "size": RUNS, "target": 0,
                    "seed": 0, "seeds": [0, *seen.tolist()],
                }  # fmt: skip
                yield Task(
                    spec,
                    data.isel(obs=seen),
                    SETTINGS,
                    scored,
                    {"scores": given, "log": log, "number": number},
                )
                number += 1


def scored(fitted: bl.Fit, given: dict[str, Any]) -> dict[str, Any]:
    """Score as a back-test does, and write down that this task was computed, and when."""
    if given["log"]:
        with open(given["log"], "a", encoding="ascii") as log:
            log.write(f"{given['number']} {time.time()}\n")
    return window_scores(fitted, given["scores"])


def client(address: str, store: str, log: str, told: str) -> None:
    """Run the study in a process that can be killed; write the hash of each outcome, and the seconds that it took."""
    start = time.perf_counter()
    with engine("back-test", COUNT, None, {"on": address, "store": store}) as running:
        found = running.run(tasks(log))
    lines = [f"{time.perf_counter() - start}", *(hash_of(one) for one in found)]
    Path(told).write_text("\n".join(lines), encoding="ascii")


def hash_of(outcome: Any) -> str:
    """Return the hash of all of an outcome but its time."""
    return fingerprint([outcome.value, outcome.failed])


def local_cluster() -> Any:
    """Start workers that find this script as a module."""
    from distributed import LocalCluster

    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    return LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0")


def story() -> None:
    """Kill workers and the client of a study, and hold its results against those of one process."""
    folder = Path(tempfile.mkdtemp())
    start = time.perf_counter()
    with engine("back-test", COUNT, None) as running:
        serial = [hash_of(one) for one in running.run(tasks_as_module())]
    print(f"serial: {COUNT:,} tasks, {time.perf_counter() - start:.0f} s", flush=True)
    paths = [str(folder / name) for name in ("store", "log", "told")]
    (folder / "store").mkdir()
    with local_cluster() as cluster:
        command = [sys.executable, "-c", "import sys, cluster; cluster.client(*sys.argv[1:])"]
        started = [subprocess.Popen([*command, cluster.scheduler_address, *paths])]
        kept: list[tuple[float, set[str]]] = []
        for i, (who, share) in enumerate(KILLS):
            wait_for(folder / "store", share * COUNT)
            if who == "worker":
                kept.append((time.time(), stored(folder / "store")))
                os.kill(list(cluster.workers.values())[i].process.pid, signal.SIGKILL)
            else:
                started[-1].kill()
                started[-1].wait()
                kept.append((time.time(), stored(folder / "store")))
                started.append(subprocess.Popen([*command, cluster.scheduler_address, *paths]))
            print(f"killed a {who} at {len(kept[-1][1]):,} results in the store", flush=True)
        assert started[-1].wait() == 0
    seconds, *found = Path(paths[2]).read_text(encoding="ascii").split("\n")
    report(serial, found, paths[1], kept, float(seconds))


def tasks_as_module() -> Iterator[Task]:
    """Return the tasks with what they ask named as workers import it, so that names in the store agree."""
    import cluster

    return cluster.tasks()


def stored(folder: Path) -> set[str]:
    """Return the names in a store."""
    return {path.stem for path in folder.glob("*.json")}


def wait_for(folder: Path, count: float) -> None:
    """Wait until so many results are in a store."""
    while sum(1 for _ in folder.glob("*.json")) < count:
        time.sleep(0.02)


def report(
    serial: list[str], found: list[str], log: str, kept: list[tuple[float, set[str]]], seconds: float
) -> None:
    """Print whether results agree, and what was computed twice."""
    import cluster

    lines = [line.split() for line in Path(log).read_text(encoding="ascii").splitlines()]
    times: dict[int, list[float]] = {}
    for number, when in lines:
        times.setdefault(int(number), []).append(float(when))
    names = {i: task_name(task) for i, task in enumerate(cluster.tasks(log))}
    twice = [i for i, at in times.items() if len(at) > 1]
    # Computed anew after a kill at which its result was in the store already.
    waste = {i for i in twice for when, had in kept if names[i] in had and max(times[i]) > when}
    print(f"the second client: {seconds:.0f} s")
    print(f"same bits as serial: {sum(a == b for a, b in zip(serial, found, strict=True)):,} of {COUNT:,}")
    print(
        f"computed: {len(lines):,}, of which twice {len(twice)}; of these in the store before: {len(waste)}"
    )


def overhead() -> None:
    """Time tasks that fit nothing, in workers that have imported what they need."""
    from distributed import Client

    start = time.perf_counter()
    size = sum(len(exact_text(task.data)) for task in tasks_as_module()) / COUNT
    print(
        f"making a task: {1e3 * (time.perf_counter() - start) / COUNT:.1f} ms; its rows {size / 1e3:.1f} kB"
    )
    with local_cluster() as local, Client(local, set_as_default=False) as on:
        ways: dict[str, dict[str, Any]] = {
            "here": {}, "here, store": {"store": "a"}, "two processes, store": {"jobs": 2, "store": "b"},
            "cluster": {"on": on}, "cluster, store": {"on": on, "store": "c"},
            "cluster, all of it in the store": {"on": on, "store": "c"},
        }  # fmt: skip
        folder = Path(tempfile.mkdtemp())
        for name, execution in ways.items():
            if "store" in execution:
                execution = {**execution, "store": folder / execution["store"]}
            with engine("tasks", COUNT + WARM, False, execution) as running:
                running.run(empty(WARM, seed=1))
                start = time.perf_counter()
                running.run(empty(COUNT, seed=0))
                print(f"{name:32s} {1e3 * (time.perf_counter() - start) / COUNT:5.1f} ms a task", flush=True)


def empty(count: int, seed: int) -> Iterator[Task]:
    """Yield tasks whose rows lack what the law needs."""
    for task in itertools.islice(tasks_as_module(), count):
        yield replace(task, data=task.data.drop_vars("x"), settings={**task.settings, "seed": seed})


PARTS = {"story": story, "overhead": overhead}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
