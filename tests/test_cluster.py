"""A Dask cluster as a runner: the same results, few tasks under way, dead workers' tasks moved, one message if there is none."""

from __future__ import annotations

import gc
import sys

import jobs
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import noiseless

import bayeslaw as bl
from bayeslaw.cli.main import main
from bayeslaw.studies.engine import Engine
from bayeslaw.studies.running.base import Lost
from bayeslaw.studies.running.cluster import Cluster, cluster
from bayeslaw.studies.tasks import Task

distributed = pytest.importorskip("distributed")
POINT = {"method": "map", "bootstrap": 0, "seed": 0}


@pytest.fixture(scope="module")
def power():
    return noiseless("power", noise=0.02)


@pytest.fixture(scope="module")
def client():
    """A cluster of threads in this process, with more threads than tasks may take at a time."""
    with distributed.Client(
        n_workers=1, threads_per_worker=3, processes=False, dashboard_address=":0", set_as_default=False
    ) as client:
        yield client


@pytest.fixture
def processes():
    """A cluster of processes, which can be killed."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        yield client


def backtested(power, **execution):
    windows = np.geomspace(2e3, 5e5, 4)
    return bl.backtest(
        *power, "x", windows=windows, methods="point", bootstrap=20, progress=False, **execution
    )


def test_a_study_is_the_same_bits_on_a_cluster(power, client, tmp_path):
    serial = backtested(power).drop_vars("seconds")
    for execution in ({"on": client}, {"on": client.scheduler.address, "store": tmp_path}):
        assert serial.identical(backtested(power, **execution).drop_vars("seconds"))
    assert len(list(tmp_path.iterdir())) == 4
    assert serial.identical(backtested(power, store=tmp_path).drop_vars("seconds"))
    assert client.status == "running", "it is whose who opened it"


def test_a_shared_store_is_written_by_workers(power, client, tmp_path, monkeypatch):
    monkeypatch.setattr(Engine, "_keep", lambda *_: pytest.fail("the client wrote"))
    backtested(power, on=client, store=tmp_path, store_shared=True)
    assert len(list(tmp_path.iterdir())) == 4


def test_every_job_comes_back_once_and_few_are_under_way(client):
    drawn, under_way = 0, []

    def some():
        nonlocal drawn
        for number in range(100):
            drawn += 1
            yield number

    found, where = {}, Cluster(client, own=False)
    for done, (job, result) in enumerate(where.each(jobs.slow_square, some())):
        under_way.append(drawn - done)
        assert where.running <= 3
        found[job] = result
    assert found == {n: n * n for n in range(100)}
    assert max(under_way) <= 6 and where.running == 0
    assert list(where.each(jobs.square, [])) == []


def test_order_and_failures_are_those_of_the_tasks(power, client):
    spec, data = power
    some = [Task(spec, data, POINT, jobs.rows_of, {"more": i}, i % 2) for i in range(6)]
    some.append(Task(spec, data.drop_vars("x"), POINT, jobs.rows_of))
    found = Engine([].append, Cluster(client, own=False)).run(some)
    assert [o.value for o in found] == [40, 41, 42, 43, 44, 45, None] and "'x'" in found[6].failed


def test_what_a_job_raises_is_raised(client):
    where = Cluster(client, own=False)
    with pytest.raises(ValueError, match="-3 is negative"):
        list(where.each(jobs.square, [1, -3, *range(50)]))
    assert dict(where.each(jobs.square, [4])) == {4: 16}


def test_a_killed_workers_job_goes_to_another_and_is_given_up_at_last(processes, tmp_path):
    quiet, deadly = tmp_path / "quiet", tmp_path / "deadly"
    quiet.mkdir()
    deadly.mkdir()
    where = Cluster(processes, own=False)
    found = dict(where.each(jobs.die_first, [(str(quiet), 1), (str(tmp_path / "none"), 0)]))
    assert all(isinstance(pid, int) for pid in found.values()) and len(found) == 2
    ((_, lost),) = where.each(jobs.die_first, [(str(deadly), 99)])
    assert lost == Lost("4 workers died over it")
    assert len(list(quiet.glob("death-*"))) == 1 and len(list(deadly.glob("death-*"))) == 4


def test_a_scheduler_that_ends_is_one_message():
    local = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    )
    client = distributed.Client(local, set_as_default=False)

    def some():
        yield 1
        local.close()
        yield from range(2, 6)

    with pytest.raises(bl.InputError, match=r"^on: "):
        list(Cluster(client, own=False).each(jobs.slow_square, some()))
    client.close()


@pytest.mark.parametrize("on", [3, "", "x", "host:8786", "tcp://", True, object(), [], "a\nb"])
def test_what_is_no_cluster_is_refused(on):
    with pytest.raises(
        bl.InputError, match=r"^on: found .* allowed: a distributed.Client, or the address"
    ) as caught:
        cluster(on)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nothing://x", "tcp://127.0.0.1:x"])
def test_where_nobody_answers_is_said(address, power, monkeypatch):
    monkeypatch.setattr("bayeslaw.studies.running.cluster._CONNECT", 0.3)
    with pytest.raises(bl.InputError, match=r"^on: nobody answers at"):
        backtested(power, on=address)
    clients = [one for one in gc.get_objects() if type(one) is distributed.Client]
    assert {one.status for one in clients} <= {"running", "closed"}, (
        "one half-made would hang another's start"
    )


def test_a_client_that_is_closed_is_refused(client):
    other = distributed.Client(client.scheduler.address, set_as_default=False)
    other.close()
    with pytest.raises(bl.InputError, match="a client that is closed"):
        cluster(other)


def test_without_dask_it_says_what_to_install(power, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(bl.InputError, match=r"pip install 'bayeslaw\[cluster\]'"):
        backtested(power, on="tcp://host:8786")


# ---- the command line


@pytest.fixture
def reached(monkeypatch, tmp_path):
    """The arguments that a study is called with."""
    asked: dict = {}

    def study(*_, **given):
        asked.update(given)
        raise bl.InputError("far enough")

    monkeypatch.chdir(tmp_path)
    for home in ("backtest.study.backtest", "stability.study.stability", "stability.over_k.stability_by_k", "stacking.stack", "compare.compare"):  # fmt: skip
        monkeypatch.setattr(f"bayeslaw.studies.{home}", study)
    (tmp_path / "t.csv").write_text(
        "x,y,model\n" + "".join(f"{10.0**i},{3 - i / 9},m{i}\n" for i in range(9))
    )
    (tmp_path / "j.csv").write_text("model,extra\n" + "".join(f"m{i},{i}\n" for i in range(9)))
    bl.fit(*noiseless("power", noise=0.02), "map", bootstrap=8).save("a.nc")
    return asked


STUDIES = [
    ["backtest", "power", "t.csv", "--along", "x", "-o", "o.nc"],
    ["stability", "power", "t.csv", "--along", "x", "-o", "o.nc"],
    ["stability", "power", "t.csv", "--by-k", "1,2", "-o", "o.nc"],
    ["stack", "a.nc"],
    ["compare", "a.nc", "--ahead"],
]


@pytest.mark.parametrize("command", STUDIES, ids=[" ".join(c[:4]) for c in STUDIES])
def test_every_study_has_the_options(command, reached):
    options = ["--on", "tcp://host:8786", "--store", "kept", "--store-shared", "--jobs", "3"]
    assert "far enough" in CliRunner().invoke(main, [*command, *options]).stderr
    where = {n: reached[n] for n in ("jobs", "on", "store_shared")}
    assert (
        where == {"jobs": 3, "on": "tcp://host:8786", "store_shared": True}
        and str(reached["store"]) == "kept"
    )
    CliRunner().invoke(main, command)
    assert [reached[n] for n in ("jobs", "on", "store", "store_shared")] == [1, None, None, False]


def test_on_is_a_column_or_a_cluster_or_both(reached):
    both = ["--join", "j.csv", "--on", "model", "--on", "tcp://host:8786"]
    assert "far enough" in CliRunner().invoke(main, [*STUDIES[0], *both]).stderr
    assert reached["on"] == "tcp://host:8786"
    assert "far enough" in CliRunner().invoke(main, [*STUDIES[0], *both[:4]]).stderr
    assert reached["on"] is None
    result = CliRunner().invoke(main, [*STUDIES[0], "--join", "j.csv", "--on", "nothing"])
    assert result.exit_code == 2 and "nothing" in result.stderr


def test_a_stopped_study_says_what_is_kept(reached, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bayeslaw.studies.backtest.study.backtest", stopped)
    result = CliRunner().invoke(main, [*STUDIES[0], "--store", "kept"])
    assert result.exit_code == 130
    assert result.stderr.endswith(
        "kept keeps what was finished, 0 file(s): the same command goes on from there.\n"
    )
