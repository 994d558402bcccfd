"""Keep what came of tasks in a folder, a file each: written whole, named by all that it depends on, and checked."""

from __future__ import annotations

import hashlib
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from bayeslaw.core.errors import InputError
from bayeslaw.core.exact import exact_text, exact_value, fingerprint
from bayeslaw.core.files import as_path, write_bytes
from bayeslaw.core.folders import make_folder
from bayeslaw.core.storage import lasting
from bayeslaw.studies.running.sources import sources_hash
from bayeslaw.studies.tasks import Outcome, Task

_FORMAT = 1
_PROBE = 4096


@dataclass(frozen=True)
class Store:
    """A folder of outcomes.

    Attributes
    ----------
    folder : pathlib.Path
        Absolute: workers may have another working directory.
    """

    folder: Path

    def path(self, name: str) -> Path:
        """Return where an outcome is kept, or will be."""
        return self.folder / f"{name}.json"

    def find(self, name: str) -> Outcome | None:
        """Look an outcome up.

        Parameters
        ----------
        name : str
            As of `task_name`.

        Returns
        -------
        Outcome or None
            None where there is none yet.

        Raises
        ------
        InputError
            If there is a file that is not as it was written.
        """
        path = self.path(name)
        try:
            head, _, body = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        try:
            said = json.loads(head)
            sound = said["format"] == _FORMAT and said["name"] == name and said["sha256"] == _sha(body)
            if sound:
                return Outcome(**exact_value(body.decode("ascii")))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        raise InputError(f"{path}: is not as it was written")

    def keep(self, name: str, task: Task, outcome: Outcome) -> None:
        """Write an outcome, whole or not at all.

        Parameters
        ----------
        name : str
        task : Task
            What it is of, for whoever looks into the file.
        outcome : Outcome

        Raises
        ------
        InputError
            If it cannot be written.
        """
        body = exact_text(vars(outcome)).encode("ascii")
        said = {
            "format": _FORMAT,
            "name": name,
            "sha256": _sha(body),
            "law": task.spec.name,
            "asked": _asked(task),
        }
        write_bytes(self.path(name), json.dumps(said).encode("ascii") + b"\n" + body)


def open_store(folder: object) -> Store:
    """Open a folder as a store, and try whether it takes files.

    Parameters
    ----------
    folder : path
        Made if it is not there.

    Returns
    -------
    Store

    Raises
    ------
    InputError
        If it is none, or takes no files.
    """
    store = Store(make_folder(as_path(folder, "store")).absolute())
    probe = store.folder / f".{secrets.token_hex(6)}.probe"
    try:
        write_bytes(probe, bytes(_PROBE))
    except InputError as error:
        raise InputError(f"store: {error}") from None
    finally:
        with suppress(OSError):
            probe.unlink()
    return store


def task_name(task: Task) -> str:
    """Return a name for all that a task's outcome depends on.

    Parameters
    ----------
    task : Task

    Returns
    -------
    str
        A hash of the law's text and the rows, the settings, what is asked and given, and the sources.
    """
    given = {name: _lasting(value) for name, value in task.given.items()}
    return fingerprint({
        "law": [task.spec.name, task.spec.to_toml()], "data": _lasting(task.data), "settings": task.settings,
        "ask": _asked(task), "given": given, "sources": sources_hash(),
    })  # fmt: skip


def _lasting(value: Any) -> Any:
    """Return a table with what a fit would keep of it: users' own may hold anything."""
    return lasting(value) if isinstance(value, xr.Dataset) else value


def _asked(task: Task) -> str:
    return f"{task.ask.__module__}.{task.ask.__qualname__}"


def _sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
