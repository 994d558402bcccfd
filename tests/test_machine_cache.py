"""Compiled functions come from the cache only where it is the user's own, whole and of these very sources."""

from __future__ import annotations

import ast
import errno
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core import caching

import bayeslaw as bl
from bayeslaw.core import compiled as module
from bayeslaw.core.compiled import cache_folder, compiled, compiled_functions, fingerprint, is_kept

PACKAGE = Path(bl.__file__).parent
TESTS = Path(__file__).parent

# ---- where it is kept


@pytest.fixture
def above(monkeypatch, tmp_path):
    """An empty folder for caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def found() -> Path | None:
    return cache_folder.__wrapped__()


def test_the_folder_is_the_users_alone(above):
    folder = found()
    assert folder == above / "bayeslaw" / fingerprint()
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert found() == folder


@pytest.mark.parametrize("shared", ["bayeslaw", f"bayeslaw/{fingerprint()}"])
@pytest.mark.parametrize("mode", [0o750, 0o770, 0o701, 0o777])
def test_a_folder_that_others_can_enter_is_not_used_once_it_holds_something(above, shared, mode):
    (above / shared).mkdir(parents=True)
    (above / "bayeslaw").chmod(0o700)
    (above / shared).chmod(mode)
    (above / shared / "left").touch()
    assert found() is None
    (above / shared / "left").unlink()
    assert found() is not None  # empty: it is closed, then used
    assert stat.S_IMODE((above / shared).stat().st_mode) == 0o700


def test_a_folder_of_another_user_is_not_used(above, monkeypatch):
    assert found() is not None
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    assert found() is None


def test_a_folder_that_cannot_be_written_is_not_used(above, monkeypatch):
    def refused(**_):
        raise PermissionError(errno.EACCES, "not yours")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", refused)
    assert found() is None


@pytest.mark.parametrize("place", ["", "bayeslaw", f"bayeslaw/{fingerprint()}"])
def test_a_file_or_a_link_where_the_folder_should_be(above, tmp_path, place):
    path = above / place
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if place:
        path.parent.chmod(0o700)
    path.write_text("no folder")
    assert found() is None
    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    path.symlink_to(elsewhere)
    assert (found() is None) == bool(place)  # the cache folder of the system may be a link, ours may not


def test_without_a_home_nothing_is_kept(monkeypatch):
    def nobody():
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(Path, "home", staticmethod(nobody))
    assert found() is None


# ---- what is kept

SOURCE = """
CONSTANT = 3.0
def square_and_more(x):
    return x * x + CONSTANT
"""


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Return a maker of compiled functions from one file, each new one as if in a new process, and its folder."""
    folder, path = tmp_path / "kept", tmp_path / "code.py"
    folder.mkdir(mode=0o700)
    path.write_text(SOURCE)
    monkeypatch.setattr(module, "cache_folder", lambda: folder)
    monkeypatch.setattr(module, "compiled_functions", [])

    def make():
        spec = importlib.util.spec_from_file_location("code_of_a_test", path)
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return compiled(made.square_and_more)

    return SimpleNamespace(make=make, folder=folder)


def hits(function) -> int:
    return sum(function.stats.cache_hits.values())


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.rglob(pattern)
    return path


def test_a_function_is_kept_and_found_again(kept):
    first = kept.make()
    assert (first(2.0), hits(first)) == (7.0, 0)
    assert is_kept()
    again = kept.make()
    assert (again(2.0), hits(again)) == (7.0, 1)


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("damage", ["empty", "half", "garbage", "a folder"])
def test_a_damaged_file_is_made_again(kept, pattern, damage):
    kept.make()(2.0)
    path = only(kept.folder, pattern)
    whole = path.read_bytes()
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "garbage": os.urandom(500)}[damage])
    second = kept.make()
    assert (second(2.0), hits(second)) == (7.0, 0)
    third = kept.make()
    assert third(2.0) == 7.0
    assert hits(third) == (damage != "a folder")


def test_code_of_which_a_bit_was_turned_over_is_not_run(kept):
    kept.make()(2.0)
    path = only(kept.folder, "*.nbc")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    second = kept.make()
    assert (second(2.0), hits(second)) == (7.0, 0)
    third = kept.make()
    assert (third(2.0), hits(third)) == (7.0, 1)


@pytest.mark.parametrize("what", ["_save_index", "_save_data"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_disk_costs_no_answer(kept, monkeypatch, what, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(module._CheckedFiles, what, full)
        for _ in range(2):
            assert kept.make()(2.0) == 7.0
    assert kept.make()(2.0) == 7.0
    again = kept.make()
    assert (again(2.0), hits(again)) == (7.0, 1)


def test_an_entry_of_other_types_is_not_taken_for_ones_own(kept):
    """Two processes that write the index at once can leave one's code under the other's types."""
    function = kept.make()
    function(2.0), function(2)
    one, two = sorted(kept.folder.rglob("*.nbc"))
    shutil.copy(one, two)
    again = kept.make()
    assert (again(2.0), again(3)) == (7.0, 12.0)
    assert again.nopython_signatures == function.nopython_signatures


def test_what_is_overridden_is_still_there(kept):
    """Numba's cache is overridden under names that another version may not have."""
    assert {"load_overload", "save_overload"} <= vars(caching.Cache).keys()
    own = {"_load_data", "_save_data", "_data_path", "_dump", "_open_for_write"}
    assert own <= vars(caching.IndexDataCacheFile).keys()
    assert Path(kept.make()._cache._cache_file._index_path).name.endswith(".nbi")


def test_without_a_folder_functions_are_compiled(kept, monkeypatch):
    monkeypatch.setattr(module, "cache_folder", lambda: None)
    assert not is_kept()
    assert kept.make()(2.0) == 7.0
    assert not list(kept.folder.rglob("*.nb*"))


# ---- whose sources decide


def test_all_that_compiled_code_is_made_of_decides_the_folders_name():
    """Every function's module, and whatever of the package its code names, is hashed."""
    import bayeslaw.inference.machine.callback

    hashed = [PACKAGE / source for source in module._SOURCES]

    def is_hashed(path: Path) -> bool:
        return any(path == h or h in path.parents for h in hashed)

    assert len(compiled_functions) > 20 and bayeslaw.inference.machine.callback
    own = [f for f in compiled_functions if PACKAGE in Path(function_of(f).__code__.co_filename).parents]
    used: dict[Path, set[str]] = {}
    for function in map(function_of, own):
        used.setdefault(Path(function.__code__.co_filename), set()).update(function.__code__.co_names)
    for path, names in used.items():
        assert is_hashed(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("bayeslaw."):
                taken = {alias.asname or alias.name for alias in node.names} & names
                home = PACKAGE.parent / node.module.replace(".", "/")
                assert not taken or is_hashed(home) or is_hashed(home.with_suffix(".py")), (path, taken)


def function_of(made):
    return getattr(made, "py_func", None) or made._pyfunc


# ---- in processes of their own

FOREST = """
import numpy as np
from bayeslaw.observation import run_tree_grad
data = np.array([0.01, 0.0]), np.array([-1, 0]), np.array([0.0, 0.3])
value, *_ = run_tree_grad.evaluate(np.array([0.1, -0.2]), *map(np.asarray, (0.3, 0.6, 0.2)), *data)
print(float(value).hex(), sum(run_tree_grad.evaluate.stats.cache_hits.values()))
"""
FIT = f"""
import hashlib, sys
sys.path.insert(0, {str(TESTS)!r})
import numpy as np
from posterior_cases import CROSS, scores
import bayeslaw as bl
from bayeslaw.core.compiled import is_kept
from bayeslaw.inference.machine.kernel import run_program
from bayeslaw.inference.machine.posterior import posterior_program
was_kept = is_kept()
for case in ("compute: outliers", "annealing: exponential"):
    program = posterior_program(CROSS[case]())
    print(hashlib.sha256(run_program(program.density, scores(program)).tobytes()).hexdigest())
bound = CROSS["compute: outliers"]()
fit = bl.fit(bound.spec, bound.data, draws=60, tune=120, chains=2, seed=3, progress=False)
for name in sorted(fit.tree["posterior"].data_vars):
    print(name, hashlib.sha256(fit.tree["posterior"][name].values.tobytes()).hexdigest())
assert "pymc" not in sys.modules
print(was_kept)
"""


@pytest.fixture
def package(tmp_path):
    """Return a starter of processes that have a copy of the package, and a cache of their own."""
    for name in ("bayeslaw", "models"):
        shutil.copytree(PACKAGE.parent / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"),
                   "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip

    def start(code: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return SimpleNamespace(start=start, path=tmp_path / "bayeslaw", cache=tmp_path / "cache")


def told(process: subprocess.Popen) -> list[str]:
    out, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    return out.split()


def test_editing_a_called_module_alone_changes_the_answer(package):
    first, hits = told(package.start(FOREST))
    assert hits == "0"
    assert told(package.start(FOREST)) == [first, "1"]
    called = package.path / "observation" / "beliefs.py"
    text = called.read_text(encoding="utf-8")
    assert text.count("np.log(2 * np.pi)") == 1
    called.write_text(text.replace("np.log(2 * np.pi)", "np.log(3 * np.pi)"), encoding="utf-8")
    second, hits = told(package.start(FOREST))
    assert hits == "0"
    assert float.fromhex(first) - float.fromhex(second) == pytest.approx(np.log(1.5), rel=1e-9)
    called.write_text(text, encoding="utf-8")
    assert told(package.start(FOREST))[0] == first


def test_two_processes_at_once_on_an_empty_folder(package):
    both = [package.start(FOREST) for _ in range(2)]
    (one, _), (other, _) = map(told, both)
    assert one == other
    assert told(package.start(FOREST)) == [one, "1"]
    assert not list(package.cache.rglob("*.tmp.*"))


def test_a_first_run_and_the_cache_give_the_same_bits(package):
    """Log densities, gradients and a fit's draws."""
    *first, was_kept = told(package.start(FIT))
    assert was_kept == "False"
    *second, was_kept = told(package.start(FIT))
    assert was_kept == "True"
    assert first == second
