"""A law's posterior as two programs: log density with gradient, and the values that coordinates stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayeslaw.inference.coordinates import coordinate_sizes, state
from bayeslaw.inference.machine.assemble import Program, assemble
from bayeslaw.inference.machine.gradient import pull_back
from bayeslaw.inference.machine.graph import Graph, Node, NotRecordableError
from bayeslaw.inference.machine.kernel import run_program
from bayeslaw.inference.machine.record import Recorded, RecordingOps
from bayeslaw.observation.bound import BoundLaw


@dataclass(frozen=True, eq=False)
class PosteriorProgram:
    """A law's posterior.

    Attributes
    ----------
    sizes : mapping of str to int or None
        The coordinates in their order, see `coordinate_sizes`.
    density : Program
        Yields the log density less that of standard normals, and its gradient.
    values : Program
        Yields what coordinates stand for.
    named : mapping of str to int or None
        What `values` yields, in order: a scalar (None) or a vector of that size.
    """

    sizes: Mapping[str, int | None]
    density: Program
    values: Program
    named: Mapping[str, int | None]


def posterior_program(bound: BoundLaw) -> PosteriorProgram:
    """Record and assemble the posterior of a law.

    Parameters
    ----------
    bound : BoundLaw

    Returns
    -------
    PosteriorProgram

    Raises
    ------
    NotRecordableError
        If the observation model does what the machine cannot.
    """
    graph, sizes = Graph(), coordinate_sizes(bound)
    given = {n: Recorded(graph, graph.input(size), size) for n, size in sizes.items()}
    try:
        found = state(bound, given, RecordingOps(graph))
    except Exception as error:  # whatever code does that is not made for recording, PyMC has the last word
        raise NotRecordableError(str(error)) from error
    inputs = [v.node for v in given.values()]
    if not isinstance(found.log_density, Recorded) or found.log_density.length is not None:
        raise NotRecordableError("the log density is no scalar that depends on parameters")
    result = found.log_density.node
    slopes = pull_back(graph, result, inputs)
    outputs = [(result, None), *zip(slopes, sizes.values(), strict=True)]
    named = {**found.values, **found.latent}
    made: list[tuple[Node | None, int | None]] = [(_node(graph, v), _length(v)) for v in named.values()]
    return PosteriorProgram(
        sizes, assemble(graph.inputs, outputs), assemble(graph.inputs, made), {n: _length(v) for n, v in named.items()}
    )  # fmt: skip


def _node(graph: Graph, value: object) -> Node:
    return value.node if isinstance(value, Recorded) else graph.constant(value)


def _length(value: object) -> int | None:
    return value.length if isinstance(value, Recorded) else None


def named_values(program: PosteriorProgram, points: np.ndarray) -> dict[str, np.ndarray]:
    """Return what coordinates stand for.

    Parameters
    ----------
    program : PosteriorProgram
    points : numpy.ndarray, shape (points, coordinates)

    Returns
    -------
    dict of str to numpy.ndarray
        Parameters, shape (points,), and latent vectors, (points, size).
    """
    found, out, at = run_program(program.values, points), {}, 0
    for name, size in program.named.items():
        out[name] = found[:, at] if size is None else found[:, at : at + size]
        at += 1 if size is None else size
    return out
