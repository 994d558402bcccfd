"""Runners: every job once, its result or why there is none; few under way; a worker that dies is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jobs
import numpy as np
import pytest
import xarray as xr
from conftest import handmade, noiseless
from test_odd_values import ODD

import bayeslaw as bl
from bayeslaw.core import threads
from bayeslaw.studies import engine as engines
from bayeslaw.studies.engine import Engine, Job, run_job
from bayeslaw.studies.running import processes
from bayeslaw.studies.running.base import TRIES, Lost
from bayeslaw.studies.running.execution import RUNNERS, Execution, check_execution, runner
from bayeslaw.studies.running.here import Here
from bayeslaw.studies.running.processes import Processes
from bayeslaw.studies.store import open_store
from bayeslaw.studies.tally import Tally
from bayeslaw.studies.tasks import Task, together

POINT = {"method": "map", "bootstrap": 0, "seed": 0}


@pytest.fixture
def two():
    opened = Processes(2)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def power():
    return noiseless("power", noise=0.02)


# ---- processes


def test_every_job_comes_back_once_and_few_are_under_way(two):
    drawn, under_way = 0, []

    def some():
        nonlocal drawn
        for number in range(60):
            drawn += 1
            yield number

    found = {}
    for done, (job, result) in enumerate(two.each(jobs.slow_square, some())):
        under_way.append(drawn - done)
        found[job] = result
    assert found == {n: n * n for n in range(60)}
    assert max(under_way) <= 3, "two at work, and the one that came back"
    assert two.running == 0


def test_workers_are_kept_and_none_is_started_for_nothing(two):
    assert list(two.each(jobs.square, [])) == [] and two._workers == []
    pids = {result for _ in range(2) for _, result in two.each(jobs.die_first, [("nowhere", 0)])}
    assert len(pids) == 1 and os.getpid() not in pids


def test_workers_rest_until_the_next_study_or_end(two, monkeypatch):
    def pid_of(some):
        ((_, pid),) = some.each(jobs.die_first, [("nowhere", 0)])
        return pid

    processes.end_resting()
    first = pid_of(two)
    two.close()
    with runner(check_execution("study", {"jobs": 2})) as again:
        assert pid_of(again) == first, "the one that rested"
    monkeypatch.syspath_prepend("/nowhere")
    with runner(check_execution("study", {"jobs": 2})) as other:
        assert pid_of(other) != first, "it would look for modules elsewhere"
    monkeypatch.undo()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not alive(first))
    with runner(check_execution("study", {"jobs": 2})) as last:
        second = pid_of(last)
        assert second != first
    assert len(processes._resting) == 2 and alive(second)
    processes.end_resting()
    assert not processes._resting and not alive(second)


def test_a_worker_ends_when_nothing_comes(two, monkeypatch):
    monkeypatch.setattr(processes, "_START", processes._START.replace("serve(int", "import bayeslaw.studies.running.worker as w; w.REST = 0.2; w.serve(int"))  # fmt: skip
    monkeypatch.setattr(processes, "_home", lambda: (os.getpid(), "here"))
    ((_, pid),) = two.each(jobs.die_first, [("nowhere", 0)])
    wait_for(lambda: not alive(pid))
    assert dict(two.each(jobs.square, [1, 2, 3])) == {1: 1, 2: 4, 3: 9}, "and others come"


def test_what_a_job_raises_is_raised_with_where_it_happened(two):
    with pytest.raises(ValueError, match="-3 is negative") as caught:
        list(two.each(jobs.square, [1, -3, 2]))
    assert "on a worker process" in caught.value.__notes__[0] and "jobs.py" in caught.value.__notes__[0]
    assert dict(two.each(jobs.square, [4])) == {4: 16}, "the rest works on"
    with pytest.raises(RuntimeError, match="could not send what it found"):
        list(two.each(jobs.unsendable, [1]))


@pytest.mark.parametrize("deaths", [1, TRIES])
def test_a_dead_workers_job_is_run_again_and_given_up_at_last(two, deaths, tmp_path):
    quiet = str(tmp_path / "quiet")
    found = dict(two.each(jobs.die_first, [(quiet, 0), (str(tmp_path), deaths), (quiet + "er", 0)]))
    result = found[str(tmp_path), deaths]
    if deaths < TRIES:
        assert isinstance(result, int)
    else:
        assert result == Lost(
            "3 worker processes died over it, the last one by SIGKILL, as when the memory is full"
        )
    assert all(isinstance(found[job], int) for job in found if job[1] == 0)
    assert len(list(tmp_path.glob("death-*"))) == deaths


def test_workers_that_never_begin_are_one_message(two, monkeypatch):
    monkeypatch.setattr(processes, "_START", "raise SystemExit(7)")
    with pytest.raises(bl.InputError, match=r"^jobs: 3 worker processes in a row .* \(with exit code 7\)"):
        list(two.each(jobs.square, [1, 2]))


def script(tmp_path: Path, body: str) -> list[str]:
    """Write a script, as users do: without a guard for who imports it."""
    path = tmp_path / "script.py"
    head = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport jobs\n"
    head += "from bayeslaw.studies.running.processes import Processes\nprint('begins', flush=True)\n"
    # A shell that runs the tests in its background has them ignore Ctrl-C, and all that they start.
    head += "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    path.write_text(head + textwrap.dedent(body), encoding="utf-8")
    return [sys.executable, str(path)]


def test_a_script_is_not_run_anew_by_its_workers(tmp_path):
    command = script(tmp_path, "print(sorted(r for _, r in Processes(2).each(jobs.square, range(4))))")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["begins", "[0, 1, 4, 9]"] and done.stderr == ""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_study(how, tmp_path):
    body = f"""
    many = Processes(2)
    try:
        list(many.each(jobs.sleep_and_tell, [{str(tmp_path)!r}] * 5))
    except KeyboardInterrupt:
        print("stopped")
    """
    if how is signal.SIGKILL:  # nobody is left to end them: they end when they have done what they were at
        body = body.replace("sleep_and_tell", "slow_square").replace(
            f"[{str(tmp_path)!r}] * 5", "range(10**9)"
        )
        body = body.replace("list(", f"open({str(tmp_path / 'x')!r}, 'w'), list(")
    study = subprocess.Popen(
        script(tmp_path, body),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if how is signal.SIGKILL:
        wait_for(lambda: len(children(study.pid)) == 2)
        pids = children(study.pid)
    else:
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    # From a terminal Ctrl-C goes to all of them, and so does what a batch system sends.
    (os.kill if how is signal.SIGKILL else os.killpg)(study.pid, how)
    out, err = study.communicate(timeout=30)
    assert out.startswith("begins\nstopped") == (how is signal.SIGINT)
    assert "Traceback" not in err
    wait_for(lambda: not any(map(alive, pids)))


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(true, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


# ---- studies on processes


@pytest.fixture(scope="module")
def warm():
    """Workers, some of which have imported what fits need."""
    opened = Processes(2)
    yield opened
    opened.close()


def backtested(power, **execution):
    windows = np.geomspace(2e3, 5e5, 4)
    return bl.backtest(
        *power, "x", windows=windows, methods="point", bootstrap=20, progress=False, **execution
    )


def test_a_study_is_the_same_bits_in_processes(power):
    serial, elsewhere = backtested(power), backtested(power, jobs=2)
    assert serial.drop_vars("seconds").identical(elsewhere.drop_vars("seconds"))


def test_order_failures_shared_fits_and_values_are_those_of_here(power, tmp_path, warm):
    spec, data = power

    def tasks(log):
        few = data.isel(obs=slice(0, 10))
        keys = ["a", "b", "a", None, "b", None]
        made = [
            Task(spec, data, POINT, jobs.rows_of, {"more": i, "log": log}, key) for i, key in enumerate(keys)
        ]
        return [
            *made,
            Task(spec, few, POINT, jobs.optimum),
            Task(spec, few.drop_vars("x"), POINT, jobs.optimum),
        ]

    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    steps = []
    one, other = Engine(steps.append).run(tasks(here)), Engine(steps.append, warm).run(tasks(there))
    assert steps == [*range(1, 9), *range(1, 9)]
    assert [o.value for o in one[:6]] == [o.value for o in other[:6]] == [40, 41, 42, 43, 44, 45]
    assert one[6].value["point"].identical(other[6].value["point"])
    assert one[7].failed == other[7].failed and "'x'" in one[7].failed
    by = dict(line.split() for line in Path(there).read_text().splitlines())
    assert by["0"] == by["2"] and by["1"] == by["4"], "one process made the fit for both"
    assert str(os.getpid()) not in by.values()


def test_a_task_that_kills_its_workers_costs_no_other_and_may_go_through_another_time(power, tmp_path):
    class Deadly(Here):
        def each(self, work, some):
            yield from ((job, Lost("it died") if job.places == (1,) else work(job)) for job in some)

    tasks = [Task(*power, POINT, jobs.rows_of, {"more": i}) for i in range(3)]
    for _ in range(2):
        found = Engine([].append, Deadly(), open_store(tmp_path)).run(tasks)
        assert [(o.value, o.failed) for o in found] == [(40, ""), (None, "it died"), (42, "")]
        assert len(list(tmp_path.iterdir())) == 2
    assert Engine([].append, Here(), open_store(tmp_path)).run(tasks)[1].value == 41


def test_tasks_that_share_a_fit_go_together(power):
    def of(keys):
        return [Task(*power, POINT, jobs.rows_of, key=key) for key in keys]

    keys = ["a", None, "b", "a", None, "b", "b"]
    places = [[place for place, _ in group] for group in together(of(keys))]
    assert places == [[0, 3], [1], [2, 5, 6], [4]]
    lazily = [[place for place, _ in group] for group in together(iter(of(keys)))]
    assert lazily == [[0], [1], [2], [3], [4], [5, 6]]


def test_few_tasks_of_a_generator_are_there_at_a_time(power, monkeypatch):
    spec, data = power
    drawn, done = [], []
    monkeypatch.setattr(engines, "attempt", lambda task, _: engines.Outcome(len(drawn) - len(done)))
    tasks = (drawn.append(i) or Task(spec, data, POINT, jobs.rows_of) for i in range(500))
    found = Engine(done.append).run(tasks)
    assert {o.value for o in found} <= {1, 2}, "one at work, and one that was looked at"


def test_a_fit_runs_with_one_thread_of_linear_algebra(power, monkeypatch):
    seen = []

    def attempt(task, kept):
        blas = [one for one in threads._libraries().info() if one["user_api"] == "blas"]
        seen.append({one["num_threads"] for one in blas})
        return engines.Outcome(1)

    monkeypatch.setattr(engines, "attempt", attempt)
    with threads._libraries().limit(limits=2, user_api="blas"):
        Engine([].append).run([Task(*power, POINT, jobs.rows_of)] * 2)
        after = {one["num_threads"] for one in threads._libraries().info() if one["user_api"] == "blas"}
    assert seen == [{1}, {1}] and after == {2}
    assert len(threads._libraries().info()) >= 2, "NumPy's and SciPy's"


def test_a_worker_with_other_sources_is_refused(power):
    with pytest.raises(bl.InputError, match="another version of bayeslaw"):
        run_job(Job([Task(*power, POINT, jobs.rows_of)], [0], sources="other"))


# ---- arguments


@pytest.mark.parametrize("name", Execution.__annotations__)
def test_odd_arguments_are_refused_in_words(name):
    for kind, value in ODD.items():
        try:
            with runner(
                check_execution("study", {name: value} | ({"store": "."} if name == "store_shared" else {}))
            ):
                pass
        except bl.InputError as error:
            told = str(error)
        else:
            told = name
        assert told.startswith(name) and "\n" not in told and len(told) < 700, kind


def test_every_study_takes_them_and_refuses_before_it_fits(power):
    spec, data = power
    fits = {"a": handmade("power"), "b": handmade("power")}
    calls = [
        lambda **given: bl.backtest(spec, data, "x", **given), lambda **given: bl.stability(spec, data, "x", **given),
        lambda **given: bl.stack(fits, **given), lambda **given: bl.compare(fits, **given),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(bl.InputError, match=r"^jobs: found 0, allowed: a whole number, 1 or more"):
            call(jobs=0)
        with pytest.raises(bl.InputError, match=r"jobs and on: .* give one of them"):
            call(jobs=2, on="tcp://nowhere:1")
        with pytest.raises(bl.InputError, match="store_shared: there is no store"):
            call(store_shared=True)
        with pytest.raises(TypeError, match="unexpected keyword argument 'job'"):
            call(job=2)


def test_a_study_over_k_hands_them_on(monkeypatch):
    from bayeslaw.studies.stability import over_k

    seen = []
    monkeypatch.setattr(over_k, "read_table", lambda *_, **__: noiseless("compute")[1])
    monkeypatch.setattr(over_k, "_slice", lambda *_: xr.Dataset({"a": 1.0}))
    monkeypatch.setattr(over_k, "stability", lambda *_, **given: seen.append(given))
    bl.stability_by_k(bl.load_model("compute"), "t.csv", [1, 2], jobs=2, store="kept", every=0.4)
    assert seen == 2 * [{"jobs": 2, "store": "kept", "every": 0.4}]


def test_one_table_of_runners():
    assert list(RUNNERS) == ["here", "processes", "cluster"]
    with runner(check_execution("study", {})) as where:
        assert isinstance(where, Here) and where.running == 1


# ---- what is told


def test_a_study_tells_what_runs_what_failed_and_what_is_left():
    now = [0.0]

    class Two:
        running = 2

    tally = Tally(40, Two(), lambda: now[0])
    assert tally.text() == "2 running, 0 failed"
    now[0] = 60.0
    for i in range(10):
        tally.step(failed=i == 3, computed=i >= 4)  # four were in the store
    assert tally.text() == "2 running, 1 failed, 5 min left"
    for _ in range(29):
        tally.step(False, True)
    assert tally.text() == "1 running, 1 failed, 2 s left"
    tally.step(False, True)
    assert tally.text() == "0 running, 1 failed"
    assert Tally(0).text() == "0 running, 0 failed"


def test_a_line_of_progress_says_it(power, monkeypatch):
    from bayeslaw.core import progress

    monkeypatch.setattr(progress, "visible", lambda: False)
    said, waits = [], iter([False, True])

    def look(fitted, given):
        said.extend(progress.lines(lambda _: next(waits), lambda: 0.0))
        return 1

    with engines.engine("back-test", 3, None) as running:
        running.run([Task(*power, POINT, look)])
    assert said == ["back-test: 0 of 3 (1 running, 0 failed), 0 s"]


def test_a_bar_says_it(power, monkeypatch):
    from rich.progress import Progress

    said = []
    monkeypatch.setattr(Progress, "update", lambda self, task, **given: said.append(given.get("description")))
    with engines.engine("back-test", 1, True) as running:
        running.run([Task(*power, POINT, jobs.rows_of)])
    assert said[0] == "back-test (0 running, 0 failed)"
