"""Compiled functions, kept on disk between processes: compiled once a machine.

Numba keeps a caller's code when only a function that it calls has changed, and a stale cache is a silent wrong
answer. So everything is kept in a folder whose name holds a hash of all the sources that compiled code is made
of, of the compiler's versions and of the processor. The folder belongs to the user alone, for its index is a
pickle; where it cannot, or cannot be written, functions are compiled anew in each process.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core import caching

_SOURCES = ("core/compiled.py", "core/elementary.py", "observation", "inference/machine")
"""Modules that have compiled functions, or constants that those take."""
_DIGEST = hashlib.sha256().digest_size
_OPTIONS = {"error_model": "numpy", "nogil": True}
compiled_functions: list[Any] = []
"""What this process has, in the order in which it was made."""


class _CheckedFiles(caching.IndexDataCacheFile):
    """Numba's, with a checksum behind each file of code: a bit that was turned over is a wrong answer, or a crash."""

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        data, told = content[:-_DIGEST], content[-_DIGEST:]
        if hashlib.sha256(data).digest() != told:
            raise OSError(f"{name} is not as it was written")  # numba then compiles anew
        return super()._load_data(name)  # what stands behind the code is not read

    def _save_data(self, name: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(content + hashlib.sha256(content).digest())


class _Cache(caching.FunctionCache):
    """Numba's, which costs no answer where a file is damaged or the disk is full."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file.__class__ = _CheckedFiles

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kept function; None where there is none, or none that can be read."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # a damaged pickle raises anything; what was kept is made again
            return None
        # Of two processes that keep a function for other types at once, one's file can get the other's entry.
        return found if found is None or found.signature.args == tuple(getattr(sig, "args", sig)) else None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a function, if there is room."""
        for _ in range(2):
            try:
                return super().save_overload(sig, data)
            except Exception:  # nor may a damaged index or a full disk cost the answer
                self._forget()

    def _forget(self) -> None:
        try:
            os.unlink(self._cache_file._index_path)
        except OSError:
            pass


def compiled(
    function: Callable[..., Any] | None = None, *, fast: Collection[str] = (), **options: Any
) -> Any:
    """Compile a function on its first call, or take it from where it is kept.

    Parameters
    ----------
    function : callable
        Of numbers and arrays.
    fast : collection of str, optional
        What LLVM's fast-math may do with it, such as "reassoc". Such a function always becomes a part of the code
        that calls it: of two linked copies that were optimised apart, the one that a process happens to have loaded
        first would run, and the last bits depend on that.
    **options
        Of ``numba.njit``.

    Returns
    -------
    callable
    """
    if function is None:
        return lambda given: compiled(given, fast=fast, **options)
    if fast:
        options |= {"fastmath": set(fast), "forceinline": True}
    made = numba.njit(**{**_OPTIONS, **options})(function)
    made._cache = _cache_of(function)
    compiled_functions.append(made)
    return made


class Callback:
    """A function that C code can call, compiled or taken from where it is kept once its address is asked for."""

    def __init__(self, signature: Any, function: Callable[..., Any]) -> None:
        from numba.core import ccallback, sigutils

        arguments = function, sigutils.normalize_signature(signature)
        self._made = ccallback.CFunc(*arguments, locals={}, options=dict(_OPTIONS))
        self._made._cache = _cache_of(function)
        self._address, self._alone = 0, threading.Lock()
        compiled_functions.append(self._made)

    @property
    def address(self) -> int:
        """Where it is; compiled now, if it was not."""
        with self._alone:
            if not self._address:
                self._made.compile()
                self._address = int(self._made.address)
        return self._address


def callback(signature: Any) -> Callable[[Callable[..., Any]], Callback]:
    """Make a function one that C code can call.

    Parameters
    ----------
    signature : numba signature

    Returns
    -------
    callable
        Decorator; the result is a `Callback`.
    """
    return lambda function: Callback(signature, function)


def _cache_of(function: Callable[..., Any]) -> Any:
    """Return the cache of a function, one that keeps nothing where there is no folder for it."""
    folder = cache_folder()
    if folder is None:
        return caching.NullCache()
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        return _Cache(function)
    except (RuntimeError, OSError):
        return caching.NullCache()
    finally:
        numba.config.CACHE_DIR = before


@cache
def cache_folder() -> Path | None:
    """Return the folder of compiled functions, made if it was missing.

    Returns
    -------
    pathlib.Path or None
        ``bayeslaw/<hash>`` in the folder that ``XDG_CACHE_HOME`` names, by default ``.cache`` in the home folder.
        None where it cannot be written, or others than the user could.
    """
    try:
        above = os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or Path.home()) / ".cache"
        own = Path(above) / "bayeslaw"
        folder = own / fingerprint()
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (own, folder):
            path.mkdir(mode=0o700, exist_ok=True)
            if not _private(path):
                return None
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):
        return None


def _private(path: Path) -> bool:
    """Return whether a folder is the user's own, and nobody else's."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        return False
    if stat.S_IMODE(found.st_mode) & 0o077:
        if any(path.iterdir()):  # others may have put something there
            return False
        path.chmod(0o700)
    return True


@cache
def fingerprint() -> str:
    """Return a hash of all that compiled code is made of: sources, compilers, processor."""
    package = Path(__file__).parents[1]
    found = hashlib.sha256()
    for source in _SOURCES:
        for path in sorted((package / source).rglob("*.py")) or [package / source]:
            found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    features = llvm.get_host_cpu_features().flatten()
    found.update(repr((numba.__version__, llvmlite.__version__, llvm.get_host_cpu_name(), features)).encode())
    return found.hexdigest()[:20]


def is_kept(module: str = "*") -> bool:
    """Return whether a module's compiled functions, of these sources, lie in the cache already; by default any."""
    folder = cache_folder()
    return folder is not None and any(folder.rglob(f"{module}.*.nbc"))
