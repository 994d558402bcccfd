"""Hands a program to nutpie as a function that C code calls; nothing is compiled for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray, types

from bayeslaw.core.compiled import callback
from bayeslaw.inference.machine.assemble import COLUMNS, Program
from bayeslaw.inference.machine.kernel import run
from bayeslaw.inference.machine.pointers import INTEGERS, NUMBERS, integers_at, numbers_at
from bayeslaw.inference.sampler_import import nutpie_module

if TYPE_CHECKING:
    from nutpie.sample import CompiledModel

COORDINATES = "coordinates"
"""The name under which draws are kept."""
_LOGP = types.int64(types.uint64, NUMBERS, NUMBERS, NUMBERS, INTEGERS)
_EXPAND = types.int64(types.uint64, types.uint64, NUMBERS, NUMBERS, INTEGERS)
_FINE, _FAILED, _BAD_GRADIENT, _BAD_VALUE = 0, 1, 3, 4


@callback(_LOGP)
def _logp(dim, point, gradient, value, told):
    """Fill value and gradient; see `_told` for what is told."""
    told_ = carray(told, (8,))
    code = carray(integers_at(told_[0]), (told_[1], COLUMNS))
    constants, integers = (
        carray(numbers_at(told_[2]), (told_[3],)),
        carray(integers_at(told_[4]), (told_[5],)),
    )
    work = np.empty(told_[6])
    given, into, out = carray(point, (dim,)), carray(gradient, (dim,)), carray(value, (1,))
    for i in range(dim):
        work[i] = given[i]
    try:
        run(code, constants, integers, work)
    except Exception:  # an error that leaves here would be printed, and the caller told that all is fine
        return _FAILED
    total, fine = work[dim], True
    for i in range(dim):
        total -= 0.5 * given[i] * given[i]
        into[i] = work[dim + 1 + i] - given[i]
        fine = fine and math.isfinite(into[i])
    out[0] = total
    if not math.isfinite(total):
        return _BAD_VALUE
    return _FINE if fine else _BAD_GRADIENT


@callback(_EXPAND)
def _expand(dim, expanded, point, out, told):
    """Keep the coordinates as they are."""
    given, into = carray(point, (dim,)), carray(out, (dim,))
    for i in range(dim):
        into[i] = given[i]
    return _FINE


def _told(program: Program) -> np.ndarray:
    """Return what the callback is told of a program: where its arrays are, and their sizes."""
    code, constants, integers = program.code, program.constants, program.integers
    return np.array(
        [code.ctypes.data, len(code), constants.ctypes.data, len(constants), integers.ctypes.data, len(integers),
         program.size, 0], dtype=np.int64,
    )  # fmt: skip


def nutpie_model(program: Program, start: Callable[[int], np.ndarray]) -> CompiledModel:
    """Return a program as a model that nutpie samples.

    Parameters
    ----------
    program : Program
        Its outputs are a log density less that of standard normals, and its gradient.
    start : callable
        Seed -> where a chain starts, shape (inputs,).

    Returns
    -------
    nutpie compiled model
        Draws are one vector, `COORDINATES`.

    Raises
    ------
    TypeError
        If this nutpie builds its models otherwise.
    """
    nutpie_module()
    from nutpie.compile_pymc import CompiledPyMCModel

    dim, told = program.inputs, _told(program)
    kept: dict[str, Any] = {
        "code": program.code,
        "constants": program.constants,
        "integers": program.integers,
    }
    return CompiledPyMCModel(
        _n_dim=dim, dims={}, _coords={}, _shapes={COORDINATES: (dim,)}, compiled_logp_func=_logp,
        compiled_expand_func=_expand, initial_point_func=start, shared_data=kept, shared_var_keys={}, user_data=told,
        n_expanded=dim, shape_info=([COORDINATES], [slice(0, dim)], [(dim,)]), logp_func=None, expand_func=None,
    )  # fmt: skip
