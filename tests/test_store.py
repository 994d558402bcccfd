"""The store: nothing is computed twice, nothing is trusted that was altered, nothing that is read can run."""

from __future__ import annotations

import json
import os
import pickle
import threading

import jobs
import numpy as np
import pytest
from conftest import handmade, noiseless

import bayeslaw as bl
from bayeslaw.core import files
from bayeslaw.core.exact import exact_text, exact_value
from bayeslaw.studies import engine as engines
from bayeslaw.studies import store as stores
from bayeslaw.studies.engine import Engine, Job, run_job
from bayeslaw.studies.running.here import Here
from bayeslaw.studies.stability.fits import middle_place, records_of, window_said
from bayeslaw.studies.stacking import block_score
from bayeslaw.studies.store import Store, open_store, task_name
from bayeslaw.studies.tasks import Outcome, Task

POINT = {"method": "map", "bootstrap": 0, "seed": 0}
WINDOWS = np.geomspace(2e3, 5e5, 4)


@pytest.fixture(scope="module")
def power():
    return noiseless("power", noise=0.02)


@pytest.fixture
def fits(monkeypatch):
    """Count fits."""
    made = []
    monkeypatch.setattr(engines, "fit", lambda *a, **s: made.append(a) or bl.fit(*a, **s))
    return made


def backtested(power, store, windows=WINDOWS):
    return bl.backtest(
        *power, "x", windows=windows, methods="point", bootstrap=20, progress=False, store=store
    )  # fmt: skip


def tasks(power, count=3, **given):
    return [Task(*power, POINT, jobs.rows_of, {"more": i, **given}) for i in range(count)]


def run(some, folder, **more):
    return Engine([].append, Here(), open_store(folder), **more).run(some)


# ---- nothing is computed twice


def test_a_study_goes_on_from_what_is_there(power, fits, tmp_path, capsys):
    plain = backtested(power, None)
    first = backtested(power, tmp_path / "kept" / "here")
    assert len(fits) == 8 and first.drop_vars("seconds").identical(plain.drop_vars("seconds"))
    assert backtested(power, tmp_path / "kept/here").identical(first) and len(fits) == 8, (
        "the seconds are those of then"
    )
    backtested(power, str(tmp_path / "kept/here"), [*WINDOWS, 3e3])
    assert len(fits) == 9, "extended by one window"
    assert capsys.readouterr().err == ""


def test_a_study_that_is_stopped_keeps_what_it_had(power, fits, tmp_path, monkeypatch):
    def stopped(*given):
        if len(list(tmp_path.iterdir())) == 2:
            raise KeyboardInterrupt
        return attempt(*given)

    attempt = engines.attempt
    with monkeypatch.context() as patch:
        patch.setattr(engines, "attempt", stopped)
        with pytest.raises(KeyboardInterrupt):
            backtested(power, tmp_path)
    before = len(fits)
    backtested(power, tmp_path)
    assert before == 2 and len(fits) == 4


def test_failures_are_kept_and_shared_fits_are_made_for_what_is_missing(power, fits, tmp_path):
    spec, data = power
    bad = Task(spec, data.drop_vars("x"), POINT, jobs.rows_of)
    some = [Task(spec, data, POINT, jobs.rows_of, {"more": i}, "key") for i in range(3)]
    for _ in range(2):
        found = run([bad, *some], tmp_path)
        assert "'x'" in found[0].failed and [o.value for o in found[1:]] == [40, 41, 42]
        assert len(fits) == 2
    os.unlink(tmp_path / f"{task_name(some[1])}.json")
    assert run([bad, *some], tmp_path)[2].value == 41 and len(fits) == 3


def test_a_name_holds_all_that_an_outcome_depends_on(power, monkeypatch):
    spec, data = power
    one = Task(spec, data, POINT, jobs.rows_of, {"more": 1, "held": data})
    bent = data.assign(y=("obs", np.r_[np.nextafter(data["y"].values[0], 9), data["y"].values[1:]]))
    others = [
        Task(bl.change(spec, prior={"alpha": (0.1, 0.4)}), data, POINT, jobs.rows_of, one.given),
        Task(spec, bent, POINT, jobs.rows_of, one.given), Task(spec, data, {**POINT, "seed": 1}, jobs.rows_of, one.given),
        Task(spec, data, POINT, jobs.optimum, one.given), Task(spec, data, POINT, jobs.rows_of, {"more": 2, "held": data}),
        Task(spec, data, POINT, jobs.rows_of, {"more": 1, "held": bent}), Task(spec, data, POINT, jobs.rows_of),
    ]  # fmt: skip
    names = {task_name(task) for task in (one, *others)}
    assert len(names) == 8
    again = Task(
        bl.load_model("power"), data.copy(deep=True), dict(POINT), jobs.rows_of, dict(one.given), key="any"
    )
    assert task_name(again) == task_name(one)
    monkeypatch.setattr(stores, "sources_hash", lambda: "others")
    assert task_name(one) not in names


def test_a_table_may_hold_anything(power, tmp_path):
    spec, data = power
    odd = data.assign(
        when=("obs", np.arange(40).astype("M8[D]")), what=("obs", np.array([None, {1}] * 20, object))
    )
    odd = odd.assign_attrs(by=object)
    task = Task(spec, odd, POINT, jobs.rows_of, {"held": odd})
    assert [o.value for o in run([task], tmp_path)] == [40]
    moved = odd.assign(when=("obs", np.arange(1, 41).astype("M8[D]")))
    assert task_name(task) == task_name(Task(spec, odd.copy(), POINT, jobs.rows_of, {"held": odd}))
    assert task_name(task) != task_name(Task(spec, odd, POINT, jobs.rows_of, {"held": moved}))


def test_sources_are_those_that_results_come_from(tmp_path, monkeypatch):
    import shutil

    from bayeslaw.studies.running import sources

    def now():
        sources.sources_hash.cache_clear()
        return sources.sources_hash()

    copy = tmp_path / "bayeslaw"
    shutil.copytree(sources._PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = now()
    monkeypatch.setattr(sources, "_PACKAGE", copy)
    assert now() == before
    (copy / "plots" / "fit.py").write_text("# none of a fit's business")
    assert now() == before
    path = copy / "observation" / "kernels.py"
    path.write_text(path.read_text() + "\n")
    changed = now()
    assert changed != before
    path.rename(path.with_name("kernel.py"))
    assert now() not in (before, changed)
    monkeypatch.setattr(sources, "version", lambda name: "0")
    assert now() not in (before, changed)
    sources.sources_hash.cache_clear()


# ---- nothing is trusted, nothing runs


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)


def swap(path):
    (other,) = [p for p in path.parent.iterdir() if p != path]
    path.write_bytes(other.read_bytes())


class Hostile:
    def __reduce__(self):
        return os.system, ("touch was-run",)


DAMAGE = {
    "cut": cut, "flipped": flip, "another's": swap, "empty": lambda path: path.write_bytes(b""),
    "pickle": lambda path: path.write_bytes(pickle.dumps(Hostile())), "zeros": lambda path: path.write_bytes(bytes(4096)),
    "list": lambda path: path.write_bytes(b"[1]\n{}"), "head": lambda path: path.write_bytes(path.read_bytes().split(b"\n")[0]),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_computed_again_and_said_so(damage, power, fits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    some = tasks(power, 2)
    before = run(some, "kept")
    path = tmp_path / "kept" / f"{task_name(some[0])}.json"
    whole = path.read_bytes()
    damage(path)
    assert [o.value for o in run(some, "kept")] == [40, 41] and len(fits) == 3
    said = capsys.readouterr().err
    assert said == f"bayeslaw: {path}: is not as it was written; it is computed again.\n"
    assert path.read_bytes().split(b"\n")[0][:60] == whole.split(b"\n")[0][:60], "and is whole again"
    assert run(some, "kept")[1] == before[1] and len(fits) == 3
    assert not (tmp_path / "was-run").exists()


def test_a_file_that_cannot_be_read_is_computed_again(power, fits, tmp_path, capsys):
    (task,) = tasks(power, 1)
    (tmp_path / f"{task_name(task)}.json").mkdir()
    assert run([task], tmp_path)[0].value == 40
    assert "cannot be read" in capsys.readouterr().err


def test_files_are_plain_text_that_says_what_it_is(power, tmp_path):
    run(tasks(power, 1), tmp_path)
    (path,) = tmp_path.iterdir()
    head, body = path.read_text(encoding="ascii").split("\n")
    assert {"law": "power", "asked": "jobs.rows_of"}.items() <= json.loads(head).items()
    assert json.loads(body)["dict"]["value"] == 40


def test_what_every_study_keeps_comes_back_with_every_bit(power, tmp_path):
    """A back-test's: above. These two on posteriors, which take no sampler."""
    spec, data = bl.change(power[0], discrepancy=None), power[1]
    fit = handmade("power", spec)
    place = middle_place(fit.bound)
    place = {name: np.asarray(values).ravel()[:1] for name, values in place.items()}
    given = {
        "place": place,
        "target": data.isel(obs=[39]),
        "ends": (0.05, 0.95),
        "noise_along": "x",
        "seed": 0,
    }
    said = window_said(fit, given)
    held = {"held": data.isel(obs=[38, 39]), "draws": 300, "seed": 0}
    for ask, asked, value in ((window_said, given, said), (block_score, held, block_score(fit, held))):
        task = Task(spec, data, POINT, ask, asked)
        store = open_store(tmp_path)
        store.keep(task_name(task), task, Outcome(value, seconds=1.5))
        back = store.find(task_name(task))
        assert exact_text(back.value) == exact_text(value) and back.seconds == 1.5
        assert type(back.value) is type(value)
    window = type("Window", (), {"seen": range(40)})
    (record,) = records_of([window], [Outcome(exact_value(exact_text(said)))])
    for name, quantity in said["quantities"].items():
        got = record["quantities"][name]
        assert got.draws.identical(quantity["draws"]) and got.prior_sd == quantity["prior_sd"]


# ---- folders that take no files


def test_a_folder_that_takes_no_files_is_one_message_before_any_fit(power, fits, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(bl.InputError, match=r"cannot be made a folder, .* is a file"):
        backtested(power, tmp_path / "file" / "store")
    for odd in ("", 3, "a\0b"):
        with pytest.raises(bl.InputError, match=r"store: found .* allowed: the path"):
            backtested(power, odd)

    def full(path, content):
        raise bl.InputError(f"{path}: cannot be written (the disk is full); free some space.")

    monkeypatch.setattr(stores, "write_bytes", full)
    with pytest.raises(bl.InputError, match=r"^store: .* \(the disk is full\)"):
        backtested(power, tmp_path / "store")
    monkeypatch.undo()
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(bl.InputError, match="takes no new files; choose another folder"):
        backtested(power, tmp_path / "store")
    assert not fits


def test_a_store_that_fills_up_costs_no_study(power, fits, tmp_path, monkeypatch, capsys):
    store, written = open_store(tmp_path), []

    def fills(descriptor):
        written.append(descriptor)
        if len(written) > 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fills)
    found = Engine([].append, Here(), store).run(tasks(power, 4))
    assert [o.value for o in found] == [40, 41, 42, 43]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the disk is full" in said and "The study goes on" in said
    assert len(list(tmp_path.iterdir())) == 1, "and nothing half-written"


# ---- several at once


def test_two_may_use_one_store_at_once(power, tmp_path, monkeypatch):
    store, outcome = open_store(tmp_path), Outcome(np.arange(10_000.0), seconds=1.0)
    (task,) = tasks(power, 1)
    name, wrong, stop = task_name(task), [], threading.Event()

    def reads():
        while not stop.is_set():
            found = store.find(name)
            if found is not None and not np.array_equal(found.value, outcome.value):
                wrong.append(found)

    monkeypatch.setattr(files.os, "fsync", lambda _: None)
    reader = threading.Thread(target=reads)
    writers = [
        threading.Thread(target=lambda: [store.keep(name, task, outcome) for _ in range(50)]) for _ in "ab"
    ]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not wrong and [p.name for p in tmp_path.iterdir()] == [f"{name}.json"]


def test_workers_write_to_a_shared_store_and_look_there_first(power, fits, tmp_path, monkeypatch):
    store, some = open_store(tmp_path), tasks(power, 3)
    names = [task_name(task) for task in some]
    assert [(o.value, kept) for o, kept in run_job(Job(some[:2], [0, 1], names[:2], store))] == [
        (40, True),
        (41, True),
    ]
    assert len(list(tmp_path.iterdir())) == 2 and len(fits) == 2
    assert [o.value for o, _ in run_job(Job(some, [0, 1, 2], names, store))] == [40, 41, 42] and len(
        fits
    ) == 3

    class Elsewhere(Here):
        def each(self, work, jobs):
            for job in jobs:
                assert job.store == store
                yield job, work(job)

    kept = []
    monkeypatch.setattr(Engine, "_keep", lambda *given: kept.append(given))
    more = tasks(power, 5)
    found = Engine([].append, Elsewhere(), store, shared=True).run(more)
    assert [o.value for o in found] == [40, 41, 42, 43, 44] and len(fits) == 5 and not kept
    assert len(list(tmp_path.iterdir())) == 5


def test_what_a_worker_cannot_write_the_study_does(power, tmp_path, monkeypatch):
    store, keep, calls = open_store(tmp_path), Store.keep, []

    def only_the_second(*given):
        calls.append(given)
        if len(calls) % 2:
            raise bl.InputError("not here")
        keep(*given)

    monkeypatch.setattr(Store, "keep", only_the_second)
    assert [o.value for o in Engine([].append, Here(), store, shared=True).run(tasks(power, 2))] == [40, 41]
    assert len(calls) == 4 and len(list(tmp_path.iterdir())) == 2
