"""Records what Python code does with values: elementwise operations, sums, gathers and densities.

The code is any that runs on `ops`: laws, priors, observation models. A value is a scalar or a vector over rows,
groups or the like; NumPy arrays and numbers are constants. Equal operations on equal values are one node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bayeslaw.inference.machine.densities import DENSITIES
from bayeslaw.inference.machine.graph import Graph, Node, NotRecordableError
from bayeslaw.inference.machine.instructions import ONE, TWO
from bayeslaw.law.functions import FUNCTIONS, MORE


class Recorded:
    """A value of recorded code: a node, and how many entries it has where those are all the same."""

    __array_ufunc__ = None  # so that array * Recorded calls our __rmul__
    __slots__ = ("graph", "length", "node")

    def __init__(self, graph: Graph, node: Node, length: int | None) -> None:
        self.graph, self.node, self.length = graph, node, length

    def __neg__(self) -> Recorded:
        return apply(self.graph, "neg", self)

    def __pos__(self) -> Recorded:
        return self

    def __add__(self, other: Any) -> Recorded:
        return apply(self.graph, "add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Recorded:
        return apply(self.graph, "sub", self, other)

    def __rsub__(self, other: Any) -> Recorded:
        return apply(self.graph, "sub", other, self)

    def __mul__(self, other: Any) -> Recorded:
        return apply(self.graph, "mul", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Recorded:
        return apply(self.graph, "div", self, other)

    def __rtruediv__(self, other: Any) -> Recorded:
        return apply(self.graph, "div", other, self)

    def __pow__(self, other: Any) -> Recorded:
        return power(self.graph, self, other)

    def __rpow__(self, other: Any) -> Recorded:
        return power(self.graph, other, self)

    def __ge__(self, other: Any) -> Recorded:
        return apply(self.graph, "ge", self, other)

    def __lt__(self, other: Any) -> Recorded:
        return apply(self.graph, "lt", self, other)

    def __bool__(self) -> bool:
        raise NotRecordableError("a branch that depends on a value")

    def __eq__(self, other: object) -> bool:
        raise NotRecordableError("a branch that depends on a value")

    __hash__ = object.__hash__

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise NotRecordableError("a function that is not on ops")

    def __getitem__(self, key: Any) -> Recorded:
        if self.length is None:
            raise NotRecordableError("a scalar has no entries")
        index = np.arange(self.length)[key]
        if np.ndim(index) != 1:
            raise NotRecordableError("an entry is taken by a slice or an index of several")
        if len(index) == self.length and (index == np.arange(self.length)).all():
            return self
        return Recorded(self.graph, self.graph.gather(self.node, index), len(index))

    @property
    def shape(self) -> tuple[int, ...]:
        """The entries of a vector; none of a scalar."""
        return () if self.length is None else (self.length,)

    def sum(self) -> Recorded:
        """Return the sum of all entries."""
        total = self.graph.sum(self.node)
        if self.length is not None and self.node.size is None:
            total = self.graph.apply("mul", total, self.graph.constant(float(self.length)))
        return Recorded(self.graph, total, None)


def _operand(graph: Graph, value: Any) -> tuple[Node, int | None]:
    if isinstance(value, Recorded):
        return value.node, value.length
    array = np.asarray(value, dtype=float)
    return graph.constant(array), None if array.ndim == 0 else len(array)


def apply(graph: Graph, op: str, *values: Any, payload: Any = None) -> Recorded:
    """Record an elementwise operation.

    Parameters
    ----------
    graph : Graph
    op : str
    *values : Recorded, array or float
        Scalars, and vectors of one length.
    payload : object, optional

    Returns
    -------
    Recorded

    Raises
    ------
    NotRecordableError
        If a value has more than one axis, or lengths differ.
    """
    operands = [_operand(graph, v) for v in values]
    lengths = {length for _, length in operands} - {None}
    if len(lengths) > 1:
        raise NotRecordableError(f"vectors of different lengths: {sorted(map(str, lengths))}")
    node = graph.apply(op, *(n for n, _ in operands), payload=payload)
    return Recorded(graph, node, lengths.pop() if lengths else None)


def power(graph: Graph, base: Any, exponent: Any) -> Recorded:
    """Record a power: by products where the exponent is a small whole number, else exp(y log x) where it varies."""
    if isinstance(exponent, Recorded):
        return apply(graph, "exp", apply(graph, "mul", exponent, apply(graph, "log", base)))
    known = np.asarray(exponent, dtype=float)
    if known.ndim == 0 and float(known) in _PRODUCTS:
        return _PRODUCTS[float(known)](graph, base)
    return apply(graph, "power", base, exponent)


_PRODUCTS: dict[float, Callable[[Graph, Any], Recorded]] = {
    0.5: lambda graph, x: apply(graph, "sqrt", x),
    1.0: lambda graph, x: apply(graph, "mul", x, 1.0),
    2.0: lambda graph, x: apply(graph, "mul", x, x),
    -1.0: lambda graph, x: apply(graph, "div", 1.0, x),
    3.0: lambda graph, x: apply(graph, "mul", x, apply(graph, "mul", x, x)),
}


class RecordingOps:
    """The namespace in which code is recorded."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in ONE or name in TWO:
            return lambda *values: apply(self.graph, name, *values)
        if name in FUNCTIONS or name in MORE:
            return lambda *values: self._by_form(name, *values)
        raise AttributeError(name)

    def power(self, base: Any, exponent: Any) -> Recorded:
        """Raise to a power."""
        return power(self.graph, base, exponent)

    def dot(self, vector: Any, matrix: np.ndarray) -> Recorded:
        """Multiply a vector by a constant matrix."""
        if isinstance(matrix, Recorded) or np.ndim(matrix) != 2:
            raise NotRecordableError("ops.dot takes a vector and a constant matrix")
        node, length = _operand(self.graph, vector)
        if length != len(matrix):
            raise NotRecordableError(f"a vector of {length} entries times a matrix of {len(matrix)} rows")
        if node.size is None:
            return apply(self.graph, "mul", Recorded(self.graph, node, None), np.sum(matrix, axis=0))
        return Recorded(self.graph, self.graph.dot(node, matrix), np.shape(matrix)[1])

    def truncated(self, score: Any, low: float, high: float) -> Recorded:
        """Map a standard normal score to a standard normal truncated to [low, high]."""
        return apply(self.graph, "truncated", score, payload=(float(low), float(high)))

    def with_gradient(self, name: str, *inputs: Any) -> Recorded:
        """Call a log density that knows its gradient; see `densities`."""
        if name not in DENSITIES:
            raise NotRecordableError(f"no density {name!r}")
        return _call(self.graph, name, inputs)

    def _by_form(self, name: str, *values: Any) -> Any:
        """Record a function by what its form does; its derivatives are the table's, not those of the form."""
        function = {**FUNCTIONS, **MORE}[name]
        if function.form is None:
            raise NotRecordableError(f"no instruction for {name!r}")
        found = function.form(*values, self)
        if not isinstance(found, Recorded) or found.node.op == "constant":
            return found
        operands = [_operand(self.graph, v)[0] for v in values]
        known = self.graph.apply("known", found.node, *operands, payload=name, size=found.node.size)
        return Recorded(self.graph, known, found.length)


def _call(graph: Graph, name: str, inputs: Sequence[Any]) -> Recorded:
    """Record the call of a density: what varies, recorded values or constants, then data as arrays."""
    kind = DENSITIES[name]
    count = len(kind.varying)
    if any(isinstance(v, Recorded) for v in inputs[count:]):
        raise NotRecordableError(f"density {name!r} takes data that are constants")
    data = tuple(
        np.asarray(v, dtype=float if what == "float" else np.int64, order="C")
        for v, (what, _) in zip(inputs[count:], kind.data, strict=True)
    )
    if [v.ndim for v in data] != [r for _, r in kind.data]:
        raise NotRecordableError(
            f"the data of density {name!r} are not of the ranks {[r for _, r in kind.data]}"
        )
    rows = data[0].shape[-1]
    varying = [
        _varying(graph, value, rows if rank else None)
        for value, rank in zip(inputs[:count], kind.varying, strict=True)
    ]
    size = 1 + sum(1 if n.size is None else n.size for n in varying)
    call = graph.apply(name, *varying, payload=data, size=size)
    return Recorded(graph, graph.apply("part", call, payload=(0, None), size=None), None)


def _varying(graph: Graph, value: Any, length: int | None) -> Node:
    """Return what a density takes: a scalar, or a vector in full, for it is read entry by entry."""
    node, found = _operand(graph, value)
    if found != length:
        raise NotRecordableError(f"a density takes {length} entries, not {found}")
    return node if length == node.size else graph.filled(node, length)
