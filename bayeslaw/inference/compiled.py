"""Compiled models: each structure of a law compiled once a process, re-used for any data of its rank."""

from __future__ import annotations

import atexit
import copy
import os
import shutil
import sys
import tempfile
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bayeslaw.core.errors import InputError
from bayeslaw.core.progress import shows, work
from bayeslaw.inference.coordinates import latent_vectors
from bayeslaw.inference.pymc_model import build_model, model_data
from bayeslaw.inference.sampler_import import nutpie_module
from bayeslaw.law.spec import Spec
from bayeslaw.observation.bound import BoundLaw

if TYPE_CHECKING:
    from nutpie.compile_pymc import CompiledPyMCModel


_MAX_COMPILED = 32
_compiled: OrderedDict[str, CompiledPyMCModel] = OrderedDict()
compile_count = 0
"""How many models this process has compiled."""


def structure(spec: Spec, sizes: Mapping[str, int]) -> str:
    """Return what decides the compiled code: the spec without references and fixed values.

    Parameters
    ----------
    spec : Spec
    sizes : mapping of str to int
        Lengths of the latent vectors.

    Returns
    -------
    str
    """
    import tomli_w

    document = copy.deepcopy(dict(spec.document))
    for section in ("name", "title", "source", "notes", "map", "inverse"):
        document.pop(section, None)
    for entry in document["inputs"].values():
        entry.pop("meaning", None)
        if "reference" in entry:
            entry["reference"] = 0.0
    for section in ("parameters", "likelihood", "discrepancy"):
        for entry in document.get(section, {}).values():
            if isinstance(entry, dict) and "fixed" in entry:
                entry["fixed"] = 0.0
    return tomli_w.dumps({**document, "sizes": dict(sizes)})


def compile_model(bound: BoundLaw, progress: bool | None = False) -> CompiledPyMCModel:
    """Compile a law's log density and gradient, or return the compiled one of the same structure.

    Parameters
    ----------
    bound : BoundLaw
        The rows' values do not matter, only their columns.
    progress : bool, optional
        As of `fit`: whether to say on standard error that it compiles, for it takes a while.

    Returns
    -------
    nutpie compiled model
        Holding the rows.
    """
    global compile_count
    values = model_data(bound)
    # Which terms there are decides which density is called: another's would be left with the rows before.
    key = "\n".join([structure(bound.spec, latent_vectors(bound)), *sorted(values)])
    if key not in _compiled:
        settle_compiledir()
        import pytensor

        what = f"compiling the law '{bound.spec.name}', once a process"
        if shows(progress):
            print(f"{what} (10-20 s)", file=sys.stderr, flush=True)
        # Code that comes from the cache on disk differs in the last bits from code that was just
        # compiled: with the cache on, the first fit on a machine is not the second one's twin.
        uncached = pytensor.config.change_flags(numba__cache=False)
        with work(what, progress=progress), warnings.catch_warnings(), uncached:
            warnings.simplefilter("ignore")
            _compiled[key] = nutpie_module().compile_pymc_model(build_model(bound))
        compile_count += 1
        while len(_compiled) > _MAX_COMPILED:
            _compiled.popitem(last=False)
    _compiled.move_to_end(key)
    model = _compiled[key]
    known = {variable.name for variable in model.shared_var_keys}
    return model.with_data(**{name: value for name, value in values.items() if name in known})


def settle_compiledir() -> None:
    """Give PyTensor a temporary folder where it cannot write to its own, in the home folder."""
    flags = os.environ.get("PYTENSOR_FLAGS", "")
    if "pytensor" in sys.modules or "compiledir" in flags:
        return
    try:
        own = Path(os.environ.get("HOME") or Path.home()) / ".pytensor"
        own.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=own):
            return
    except (OSError, RuntimeError):
        pass
    try:
        folder = tempfile.mkdtemp(prefix="bayeslaw-")
    except OSError:
        raise InputError(
            "the sampler's compiled code needs a folder, and neither the home folder nor a temporary one can be "
            "written; set TMPDIR to a folder that can."
        ) from None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, (flags, f"base_compiledir={folder}")))
