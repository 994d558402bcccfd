"""Files are whole or not there, whatever the disk, the name or the machine's folders."""

from __future__ import annotations

import ast
import errno
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

import bayeslaw as bl
from bayeslaw import plots
from bayeslaw.core.files import write_bytes, write_study, write_text
from bayeslaw.inference.compiled import settle_compiledir
from bayeslaw.reports.elements import Section
from bayeslaw.reports.page import write_page

LONG = 300 * "n"


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    x = np.geomspace(10, 1e4, 12)
    pd.DataFrame({"x": x, "y": 2 + 3 * x**-0.3 * np.exp(0.01 * np.sin(np.arange(12)))}).to_csv(
        path, index=False
    )
    return path


@pytest.fixture(scope="module")
def fit(table) -> bl.Fit:
    spec = bl.load_model("power")
    return bl.fit(spec, bl.read_table(table, spec), "map", bootstrap=2, progress=False)


def run(code: str, *words: object, **environment: str) -> subprocess.CompletedProcess:
    """Run Python in a process of its own."""
    env = {
        n: v for n, v in os.environ.items() if n not in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    }
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=env | environment, timeout=120)


# ---- a full disk

FULL = """
    import json, pathlib, resource, sys
    import numpy as np, xarray as xr
    import bayeslaw as bl
    from matplotlib.figure import Figure
    from bayeslaw import plots
    from bayeslaw.cli.main import main
    from bayeslaw.core.files import write_study, write_text
    from bayeslaw.reports.page import Section, write_page

    folder, path, table = map(pathlib.Path, sys.argv[1:])
    fit, study = bl.load_fit(path), xr.Dataset({"a": ("t", np.arange(9999.0))})
    writers = {
        "fit.nc": fit.save,
        "study.nc": lambda p: write_study(study, p, lambda: ""),
        "study.csv": lambda p: write_study(study, p, lambda: study.to_dataframe().to_csv()),
        "forecast.csv": lambda p: write_text(p, 9999 * "a"),
        "page.html": lambda p: write_page(p, "title", [Section(9999 * "a")]),
        **{f"figure{s}": lambda p: plots.save(Figure(), p) for s in (".png", ".svg", ".pdf")},
    }
    for name in writers:
        (folder / name).write_text("old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
    said = {}
    for name, write in writers.items():
        for place in (folder / name, folder / f"new-{name}"):
            try:
                write(place)
            except bl.InputError as error:
                said[place.name] = str(error)
    print(json.dumps(said))
    main(f"fit power {table} --method map --bootstrap 2 -o {folder}/command.nc --plots {folder}/figures".split())
"""


def test_a_full_disk_is_one_error_and_leaves_everything_as_it_was(fit, table, tmp_path):
    """By a limit on the size of files: HDF5 used to bring the process down."""
    folder, temporary = tmp_path / "folder", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    done = run(FULL, folder, fit.save(tmp_path / "fit.nc"), table, TMPDIR=str(temporary))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"bayeslaw: {folder}/command.nc: cannot be written (File too large")
    said = json.loads(done.stdout)
    assert len(said) == 16
    for name, message in said.items():
        assert name in message and "\n" not in message
        assert "cannot be written (File too large" in message and "choose another place" in message
    assert {p.name: p.read_text() for p in folder.iterdir()} == {n: "old" for n in said if "new" not in n}
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full); free some space or choose another place"),
        (errno.EDQUOT, "the disk quota is used up); free some space"),
        (errno.EROFS, "Read-only file system); choose another place"),
        (errno.EACCES, "Permission denied); choose another place"),
        (errno.EIO, "Input/output error); choose another place"),
    ],
)
def test_why_a_file_cannot_be_written_is_said(tmp_path, monkeypatch, number, message):
    def broken(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(bl.InputError, match=r"a\.txt: cannot be written") as raised:
        write_text(tmp_path / "a.txt", "text")
    assert message in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, stage):
    write_text(tmp_path / "a.txt", "old")

    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, stage, stopped)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a.txt", "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_file_has_the_users_rights(tmp_path, mask):
    before = os.umask(mask)
    try:
        path = write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_is_no_unicode_is_shown(tmp_path):
    assert write_text(tmp_path / "a", "ä\ud800").read_bytes() == "ä\\ud800".encode()


# ---- names

STUDY = xr.Dataset({"a": ("t", [1.0])})
WRITERS = {
    "fit": lambda fit, path: fit.save(path),
    "study": lambda fit, path: write_study(STUDY, path, lambda: ""),
    "CSV": lambda fit, path: write_study(STUDY, path.with_name(path.name[:-3] + ".csv"), lambda: ""),
    "page": lambda fit, path: write_page(path, "title", [Section("a")]),
    "figure": lambda fit, path: plots.save(Figure(), path.with_name(path.name[:-3] + ".png")),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_long_name_is_written_and_a_longer_one_refused(fit, tmp_path, kind):
    assert WRITERS[kind](fit, tmp_path / f"{250 * 'n'}.nc").is_file()
    for name, reason in (
        (f"{LONG}.nc", "the name is too long); choose a shorter one"),
        ("a\0b.nc", "allowed: the path of a file"),
    ):
        with pytest.raises(bl.InputError) as raised:
            WRITERS[kind](fit, tmp_path / name)
        assert reason in str(raised.value)
    assert len(list(tmp_path.iterdir())) == 1


# ---- folders that are not there


def test_neither_a_home_nor_a_temporary_folder_is_needed(table, tmp_path):
    code = """
        import sys
        from bayeslaw.cli.main import main

        table, folder = sys.argv[1:]
        for words in (
            f"fit power {table} --method map --bootstrap 20 -o {folder}/fit.nc --plots {folder}/figures",
            f"forecast {folder}/fit.nc --at x=1e5 --plot {folder}/forecast.svg -o {folder}/forecast.csv",
            f"report {folder}/fit.nc -o {folder}/report.html",
        ):
            try:
                main(words.split())
            except SystemExit as done:
                assert done.code == 0, done.code
    """
    done = run(code, table, tmp_path, HOME=os.devnull, TMPDIR=os.devnull)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {
        "fit.nc", "figures", "forecast.svg", "forecast.csv", "report.html"
    }  # fmt: skip


def test_compiled_code_has_a_folder_where_the_home_folder_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "pytensor", raising=False)
    monkeypatch.setenv("PYTENSOR_FLAGS", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settle_compiledir()
    assert os.environ["PYTENSOR_FLAGS"] == ""
    monkeypatch.setenv("HOME", os.devnull)
    settle_compiledir()
    assert os.environ["PYTENSOR_FLAGS"].startswith(f"base_compiledir={tmp_path}{os.sep}bayeslaw-")
    monkeypatch.setenv("PYTENSOR_FLAGS", "")
    monkeypatch.setattr(tempfile, "tempdir", os.devnull)
    with pytest.raises(bl.InputError, match="set TMPDIR to a folder that can"):
        settle_compiledir()


# ---- who writes

PATHS_OWN = {"write_text", "write_bytes", "touch"}
THIRDS = {"savefig", "to_csv", "to_netcdf", "to_parquet", "to_html", "dump"}


def test_only_one_module_writes_files():
    """Whatever is written goes through `write_bytes`: tables and fits as bytes, figures into a buffer."""
    for path in Path(bl.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if path.stem == "files" or not isinstance(node, ast.Call):
                continue
            first = [ast.unparse(argument) for argument in node.args[:1]]
            method = getattr(node.func, "attr", "")
            opened = "open" in (method, getattr(node.func, "id", "")) and "'rb'" not in first
            own = opened or method in PATHS_OWN
            assert first in (["drawn"], ["os.devnull"]) or not (own or (method in THIRDS and first)), (
                f"{path.name}: {ast.unparse(node)}"
            )
