"""The graph of a record: constants, inputs, and what is made of them, each once.

What depends on constants alone is computed at once, and what has a simpler form of the same value takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bayeslaw.law.functions import FUNCTIONS, call


class NotRecordableError(TypeError):
    """Code does something with a value that the machine cannot."""


class Node:
    """A value in the graph.

    Attributes
    ----------
    op : str
        "input", "constant", or a name of `instructions.OPCODES`.
    args : tuple of Node
    size : int or None
        Entries of a vector; None for a scalar.
    value : numpy.ndarray or None
        Of a constant.
    payload : object
        What the instruction needs beside its arguments.
    """

    __slots__ = ("args", "number", "op", "payload", "size", "value")

    def __init__(
        self, number: int, op: str, args: tuple[Node, ...], size: int | None, value: Any = None, payload: Any = None
    ) -> None:  # fmt: skip
        self.number, self.op, self.args, self.size = number, op, args, size
        self.value, self.payload = value, payload


class Graph:
    """The nodes of one record."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Any, Node] = {}
        self.inputs = 0

    def _add(
        self, key: Any, op: str, args: tuple[Node, ...], size: int | None, value: Any, payload: Any
    ) -> Node:
        found = self._known.get(key)
        if found is None:
            found = Node(len(self.nodes), op, args, size, value, payload)
            self.nodes.append(found)
            self._known[key] = found
        return found

    def input(self, size: int | None) -> Node:
        """Return the next input: a scalar, or a vector of so many entries."""
        first = self.inputs
        self.inputs += 1 if size is None else size
        return self._add(("input", first), "input", (), size, None, first)

    def constant(self, value: Any) -> Node:
        """Return a constant; a vector of equal entries is a scalar."""
        array = np.asarray(value, dtype=float)
        if array.ndim > 1:
            raise NotRecordableError("a matrix stands only in ops.dot(vector, matrix)")
        if array.ndim == 1 and len(array) and array.min() == array.max() and not (array == 0).any():
            array = array[0]
        elif array.ndim == 1 and len(array) and not array.any() and not np.signbit(array).any():
            array = np.float64(0.0)
        size = None if array.ndim == 0 else len(array)
        key = ("constant", float(array).hex() if size is None else array.tobytes())
        return self._add(key, "constant", (), size, np.array(array), None)

    def apply(self, op: str, *args: Node, payload: Any = None, size: Any = ...) -> Node:
        """Return the node of an elementwise operation, simplified where its value is known."""
        if size is ...:
            size = _size(args)
        if payload is None and all(a.op == "constant" for a in args):
            with np.errstate(all="ignore"):
                return self.constant(_NUMPY[op](*(a.value for a in args)))
        simple = _simplified(self, op, args)
        if simple is not None:
            return simple
        ordered = tuple(sorted(args, key=lambda a: a.number)) if op in ("add", "mul") else args
        key = (op, tuple(a.number for a in ordered), _key(payload))
        return self._add(key, op, ordered, size, None, payload)

    def filled(self, arg: Node, size: int) -> Node:
        """Return a vector in full of a scalar that stands for it."""
        return self._add(("filled", arg.number, size), "copy", (arg,), size, None, None)

    def sum(self, arg: Node) -> Node:
        """Return the sum of a vector; that of a scalar is itself."""
        if arg.size is None:
            return arg
        if arg.op == "constant":
            return self.constant(arg.value.sum())
        if arg.op == "neg":
            return self.apply("neg", self.sum(arg.args[0]))
        scaled = _scaled(arg)
        if scaled is not None:
            return self.apply("mul", scaled[0], self.sum(scaled[1]))
        return self.apply("sum", arg, size=None)

    def dot(self, arg: Node, matrix: np.ndarray) -> Node:
        """Return a vector times a constant matrix."""
        matrix = np.ascontiguousarray(matrix, dtype=float)
        if arg.op == "constant":
            return self.constant(arg.value @ matrix)
        return self.apply("dot", arg, payload=matrix, size=matrix.shape[1])

    def gather(self, arg: Node, index: np.ndarray) -> Node:
        """Return a vector's entries at an index."""
        if arg.size is None:
            return arg
        index = np.ascontiguousarray(index, dtype=np.int64)
        if arg.op == "constant":
            return self.constant(arg.value[index])
        return self.apply("gather", arg, payload=index, size=len(index))

    def scatter(self, arg: Node, index: np.ndarray, size: int) -> Node:
        """Return sums of a vector's entries by where the index says they belong."""
        if arg.op == "constant" or arg.size is None:
            counts = np.bincount(index, minlength=size).astype(float)
            if arg.size is None:
                return self.apply("mul", arg, self.constant(counts))
            return self.constant(np.bincount(index, arg.value, minlength=size))
        return self.apply("scatter", arg, payload=(index, size), size=size)


def _size(args: Sequence[Node]) -> int | None:
    sizes = {a.size for a in args} - {None}
    if len(sizes) > 1:
        raise NotRecordableError(f"vectors of different lengths: {sorted(map(str, sizes))}")
    return sizes.pop() if sizes else None


def _key(payload: Any) -> Any:
    if isinstance(payload, np.ndarray):
        return payload.shape, payload.tobytes()
    if isinstance(payload, tuple):
        return tuple(map(_key, payload))
    return payload


def _is(node: Node, number: float) -> bool:
    return node.op == "constant" and node.size is None and float(node.value) == number


def _scaled(node: Node) -> tuple[Node, Node] | None:
    """Return the scalar and the vector of which a node is the product, if it is one."""
    if node.op != "mul" or node.size is None:
        return None
    for scalar, vector in (node.args, node.args[::-1]):
        if scalar.size is None and vector.size is not None:
            return scalar, vector
    return None


def _simplified(graph: Graph, op: str, args: Sequence[Node]) -> Node | None:
    """Return a simpler node of the same value, if there is one."""
    if (op == "neg" and args[0].op == "neg") or (op == "log" and args[0].op == "exp"):
        return args[0].args[0]
    return _RULES[op](graph, *args) if op in _RULES else None


def _simpler_sum(graph: Graph, first: Node, second: Node) -> Node | None:
    for a, b in ((first, second), (second, first)):
        if _is(a, 0.0):
            return b
        if b.op == "neg":
            return graph.apply("sub", a, b.args[0])
    return None


def _simpler_difference(graph: Graph, first: Node, second: Node) -> Node | None:
    if _is(second, 0.0):
        return first
    if _is(first, 0.0):
        return graph.apply("neg", second)
    return graph.apply("add", first, second.args[0]) if second.op == "neg" else None


def _simpler_product(graph: Graph, first: Node, second: Node) -> Node | None:
    for a, b in ((first, second), (second, first)):
        if _is(a, 1.0):
            return b
        if _is(a, 0.0):
            return a
        if _is(a, -1.0):
            return graph.apply("neg", b)
        constant = a.op == "constant" and a.size is None
        if constant and b.op == "mul" and any(c.op == "constant" for c in b.args):
            inner, rest = b.args if b.args[0].op == "constant" else b.args[::-1]
            return graph.apply("mul", graph.apply("mul", a, inner), rest)
        if a.op == "neg" and (b.op != "constant" or b.size is not None):
            return graph.apply("neg", graph.apply("mul", a.args[0], b))
    for a, b in ((first, second), (second, first)):
        scaled = _scaled(b)
        if scaled is not None:  # scalars first, so that they are multiplied once, not for each entry
            scalar, vector = scaled
            if a.size is None:
                return graph.apply("mul", graph.apply("mul", a, scalar), vector)
            return graph.apply("mul", scalar, graph.apply("mul", a, vector))
    return None


def _simpler_ratio(graph: Graph, first: Node, second: Node) -> Node | None:
    if _is(second, 1.0):
        return first
    if second.op == "constant" and second.size is None:
        return graph.apply("mul", first, graph.apply("div", graph.constant(1.0), second))
    return None


_RULES: dict[str, Callable[[Graph, Node, Node], Node | None]] = {
    "add": _simpler_sum, "sub": _simpler_difference, "mul": _simpler_product, "div": _simpler_ratio,
}  # fmt: skip


def _as_numpy(name: str) -> Callable[..., Any]:
    """Return how a constant is computed."""
    from scipy import special

    own = {
        "copy": lambda x: x, "neg": np.negative, "add": np.add, "sub": np.subtract, "mul": np.multiply,
        "div": np.divide, "ge": lambda a, b: np.greater_equal(a, b).astype(float),
        "lt": lambda a, b: np.less(a, b).astype(float), "erfc": special.erfc, "gammaln": special.gammaln,
        "digamma": special.digamma,
    }  # fmt: skip
    return own[name] if name in own else lambda *values: call(name, values, np) if name in FUNCTIONS else getattr(np, name)(*values)  # fmt: skip


class _Numpy(dict):
    def __missing__(self, name: str) -> Callable[..., Any]:
        self[name] = _as_numpy(name)
        return self[name]


_NUMPY = _Numpy()
