"""Hands a program to nutpie as a function that C code calls; nothing is compiled for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types

from bayeslaw.core.compiled import callback
from bayeslaw.inference.machine.assemble import Program
from bayeslaw.inference.machine.kernel import addresses, run
from bayeslaw.inference.machine.pointers import INTEGERS, NUMBERS, call, integers_at, numbers_at
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
    work = np.empty(told[6])  # its count of users keeps it only while it is named below
    for i in range(dim):
        work[i] = point[i]
    places = numbers_at(work.ctypes.data)
    if call(
        told[0],
        (
            integers_at(told[1]),
            told[2],
            numbers_at(told[3]),
            integers_at(told[4]),
            integers_at(told[5]),
            places,
        ),
    ):
        return _FAILED
    total, fine = work[dim], True
    for i in range(dim):
        total -= 0.5 * point[i] * point[i]
        gradient[i] = work[dim + 1 + i] - point[i]
        fine = fine and math.isfinite(gradient[i])
    value[0] = total
    if not math.isfinite(total):
        return _BAD_VALUE
    return _FINE if fine else _BAD_GRADIENT


@callback(_EXPAND)
def _expand(dim, expanded, point, out, told):
    """Keep the coordinates as they are."""
    for i in range(dim):
        out[i] = point[i]
    return _FINE


def _told(program: Program, calls: np.ndarray) -> np.ndarray:
    """Return what the callback is told: where the machine is, where a program's arrays are, and its sizes."""
    return np.array(
        [run.address, program.code.ctypes.data, len(program.code), program.constants.ctypes.data,
         program.integers.ctypes.data, calls.ctypes.data, program.size], dtype=np.int64,
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

    dim, calls = program.inputs, addresses(program)
    kept: dict[str, Any] = {
        "code": program.code,
        "constants": program.constants,
        "integers": program.integers,
        "calls": calls,
    }
    return CompiledPyMCModel(
        _n_dim=dim, dims={}, _coords={}, _shapes={COORDINATES: (dim,)}, compiled_logp_func=_logp,
        compiled_expand_func=_expand, initial_point_func=start, shared_data=kept, shared_var_keys={}, user_data=_told(program, calls),
        n_expanded=dim, shape_info=([COORDINATES], [slice(0, dim)], [(dim,)]), logp_func=None, expand_func=None,
    )  # fmt: skip
