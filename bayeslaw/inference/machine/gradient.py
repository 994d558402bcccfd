"""Differentiates a record: the gradient is recorded too, by the rules of one table.

A vector's adjoint is a vector, or a scalar where it is the same for all entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bayeslaw.inference.machine.graph import Graph, Node
from bayeslaw.inference.machine.record import Recorded, RecordingOps
from bayeslaw.law.functions import FUNCTIONS, MORE

Rule = Callable[..., tuple[Any, ...]]

_ELEMENTWISE: dict[str, Rule] = {
    "copy": lambda x, y, ops: (1.0,),
    "neg": lambda x, y, ops: (-1.0,),
    "add": lambda a, b, y, ops: (1.0, 1.0),
    "sub": lambda a, b, y, ops: (1.0, -1.0),
    "mul": lambda a, b, y, ops: (b, a),
    "div": lambda a, b, y, ops: (1.0 / b, -(y / b)),
    "sin": lambda x, y, ops: (ops.cos(x),),
    "erfc": lambda x, y, ops: (ops.exp(-(x * x)) * (-2 / np.sqrt(np.pi)),),
    "gammaln": lambda x, y, ops: (ops.digamma(x),),
    "power": lambda a, b, y, ops: (b * ops.power(a, _less_one(b)), 0.0),
    "ge": lambda a, b, y, ops: (0.0, 0.0),
    "lt": lambda a, b, y, ops: (0.0, 0.0),
}
"""(argument, …, result, ops) -> derivatives by each argument, beside those of formulas' functions. The exponent of
"power" is a constant."""


def _less_one(exponent: Recorded) -> Any:
    return exponent.node.value - 1.0


def pull_back(
    graph: Graph, result: Node, inputs: Sequence[Node], given: Node | None = None
) -> list[Node | None]:
    """Record the derivatives of a value.

    Parameters
    ----------
    graph : Graph
    result : Node
    inputs : sequence of Node
    given : Node, optional
        How much each entry of the result counts in the sum that is differentiated; by default 1.

    Returns
    -------
    list of Node or None
        A scalar or a vector for each input, also a scalar for a vector whose entries have the same derivative.
        None where the result does not depend on the input.
    """
    depends = _depending(graph, inputs)
    given = graph.constant(1.0) if given is None else given if result.size else graph.sum(given)
    adjoint: dict[int, Node] = {result.number: given}
    for node in graph.nodes[result.number :: -1]:
        counts = adjoint.get(node.number)
        if counts is None or node.number not in depends or node.op == "input":
            continue
        for arg, part in _contributions(graph, node, counts, depends):
            before = adjoint.get(arg.number)
            adjoint[arg.number] = part if before is None else graph.apply("add", before, part)
    return [adjoint.get(node.number) for node in inputs]


def _depending(graph: Graph, inputs: Sequence[Node]) -> set[int]:
    found = {node.number for node in inputs}
    for node in graph.nodes:
        if any(a.number in found for a in node.args):
            found.add(node.number)
    return found


def _contributions(graph: Graph, node: Node, given: Node, depends: set[int]) -> list[tuple[Node, Node]]:
    """Return what a node's adjoint adds to those of its arguments."""
    if node.op in _WHOLE:
        return [(a, part) for a, part in _WHOLE[node.op](graph, node, given) if a.number in depends]
    args = node.args[1:] if node.op == "known" else node.args
    wanted = [a.number in depends for a in args]
    ops = RecordingOps(graph)
    recorded = [Recorded(graph, a, a.size) for a in (*args, node)]
    name = node.payload if node.op == "known" else node.op
    derivatives = _rule(name)(*recorded, _Lazy(ops, node))
    out = []
    for arg, derivative, is_wanted in zip(args, derivatives, wanted, strict=True):
        if is_wanted:
            by = derivative.node if isinstance(derivative, Recorded) else graph.constant(derivative)
            out.append((arg, _summed(graph, graph.apply("mul", given, by), arg, node)))
    return out


class _Lazy(RecordingOps):
    """Operations of a rule, with what the node itself carries."""

    def __init__(self, ops: RecordingOps, node: Node) -> None:
        super().__init__(ops.graph)
        self.payload = node.payload


def _rule(name: str) -> Rule:
    if name in _ELEMENTWISE:
        return _ELEMENTWISE[name]
    return {**FUNCTIONS, **MORE}[name].derivatives


def _summed(graph: Graph, part: Node, arg: Node, node: Node) -> Node:
    """Sum a contribution over the entries along which its argument was the same."""
    if arg.size is not None or node.size is None:
        return part
    if part.size is None:
        return graph.apply("mul", part, graph.constant(float(node.size)))
    return graph.sum(part)


def _truncated(x: Recorded, y: Recorded, ops: Any) -> tuple[Any, ...]:
    from scipy.special import ndtr

    low, high = ops.payload
    mass = ndtr(high) - ndtr(low) if low <= 0 else ndtr(-low) - ndtr(-high)
    return (ops.exp(0.5 * (y * y - x * x)) * float(mass),)


_ELEMENTWISE["truncated"] = _truncated


def _of_sum(graph: Graph, node: Node, given: Node) -> list[tuple[Node, Node]]:
    return [(node.args[0], given)]


def _of_dot(graph: Graph, node: Node, given: Node) -> list[tuple[Node, Node]]:
    matrix = node.payload
    if given.size is None:
        return [(node.args[0], graph.apply("mul", given, graph.constant(matrix.sum(axis=1))))]
    return [(node.args[0], graph.dot(given, matrix.T))]


def _of_gather(graph: Graph, node: Node, given: Node) -> list[tuple[Node, Node]]:
    arg = node.args[0]
    return [(arg, graph.scatter(given, node.payload, arg.size))]


def _of_scatter(graph: Graph, node: Node, given: Node) -> list[tuple[Node, Node]]:
    return [(node.args[0], graph.gather(given, node.payload[0]))]


def _of_part(graph: Graph, node: Node, given: Node) -> list[tuple[Node, Node]]:
    """Return the gradient of a density's value, which the call has left beside it."""
    (call,), (first, _) = node.args, node.payload
    if first != 0:
        raise TypeError("a density with gradient has no second derivatives")
    out, first = [], 1
    for arg in call.args:
        size = arg.size
        part = graph.apply("part", call, payload=(first, size), size=size)
        out.append((arg, graph.apply("mul", given, part)))
        first += 1 if size is None else size
    return out


_WHOLE = {"sum": _of_sum, "dot": _of_dot, "gather": _of_gather, "scatter": _of_scatter, "part": _of_part}
