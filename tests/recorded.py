"""Runs code on the machine: records it, assembles it, runs it, values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bayeslaw.inference.machine import kernel
from bayeslaw.inference.machine.assemble import Program, assemble
from bayeslaw.inference.machine.gradient import pull_back
from bayeslaw.inference.machine.graph import Graph
from bayeslaw.inference.machine.record import Recorded, RecordingOps

Code = Callable[..., object]
"""(ops, value, …) -> value, on any ops."""


def record(code: Code, sizes: Sequence[int | None]) -> tuple[Graph, list[Recorded], object]:
    """Return the graph, its inputs, and what code makes of them."""
    graph = Graph()
    given = [Recorded(graph, graph.input(size), size) for size in sizes]
    return graph, given, code(RecordingOps(graph), *given)


def program_of(code: Code, sizes: Sequence[int | None]) -> Program:
    """Return the program of a scalar and its gradient."""
    graph, given, result = record(code, sizes)
    nodes = [v.node for v in given]
    slopes = pull_back(graph, result.node, nodes)
    return assemble(graph.inputs, [(result.node, None), *zip(slopes, sizes, strict=True)])


def ran(program: Program, point: np.ndarray, before: float = np.nan) -> np.ndarray:
    """Run a program once; its work holds `before` where nothing was put yet."""
    work, found = np.full(program.size, before), np.empty((1, program.outputs))
    told = kernel.addresses(program)
    points = np.asarray(point, dtype=float)[None]
    code = program.code, program.constants, program.integers
    assert kernel._run_all(kernel.run.address, *code, told, work, program.inputs, points, found) == 1
    return found[0]


def flat(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return values one after the other."""
    return np.concatenate([np.atleast_1d(v) for v in values])


def value_and_gradient(code: Code, *values: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Return a scalar and its gradient by each value."""
    values = [np.asarray(v, dtype=float) for v in values]
    found = ran(program_of(code, [None if v.ndim == 0 else len(v) for v in values]), flat(values))
    ends = np.cumsum([v.size for v in values])[:-1]
    return found[0], [g.reshape(v.shape) for g, v in zip(np.split(found[1:], ends), values, strict=True)]


def result_of(code: Code, *values: np.ndarray) -> np.ndarray:
    """Return what code makes of values, in full."""
    values = [np.asarray(v, dtype=float) for v in values]
    graph, _, result = record(code, [None if v.ndim == 0 else len(v) for v in values])
    found = ran(assemble(graph.inputs, [(result.node, result.length)]), flat(values))
    return found[0] if result.length is None else found


def by_complex_step(code: Code, ops: object, *values: np.ndarray) -> list[np.ndarray]:
    """Return the gradient of analytic code, to the last digits."""
    out = []
    for k, value in enumerate(values):
        slope = np.empty(np.size(value))
        for i in range(np.size(value)):
            moved = [np.array(v, dtype=complex) for v in values]
            moved[k].reshape(-1)[i] += 1e-30j
            slope[i] = np.imag(code(ops, *moved)) / 1e-30
        out.append(slope.reshape(np.shape(value)))
    return out
