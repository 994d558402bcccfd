"""Log densities with hand-written gradients, as operations that PyTensor samples with.

Each is one compiled function that returns the log density and its gradient by every input that varies,
at once: it compiles in a second where a graph of small operations takes a minute, and touches each
number once.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key

from bayeslaw.observation import beliefs, discrepancy_grad, discrepancy_nodes, run_tree_grad


@dataclass(frozen=True)
class _Density:
    """A compiled function: value and gradient from the inputs that vary, then those that are data."""

    evaluate: Callable[..., tuple]
    varying: tuple[int, ...]  # ranks
    data: tuple[tuple[str, int], ...]  # dtypes and ranks
    sources: tuple[Any, ...]  # modules whose text decides the code


_INT, _SCALAR, _VECTOR, _MATRIX = ("int64", 1), ("float64", 0), ("float64", 1), ("float64", 2)
_DENSITIES = {
    "forest": _Density(run_tree_grad.evaluate, (1, 0, 0, 0), (_VECTOR, _INT, _VECTOR), (beliefs, run_tree_grad)),
    "covariance": _Density(
        discrepancy_grad.evaluate, (1, 0),
        (_MATRIX, _MATRIX, _MATRIX, *(_VECTOR,) * 4, _INT, *(_VECTOR,) * 7, _SCALAR, _SCALAR), (discrepancy_grad,),
    ),
    "nodes": _Density(
        discrepancy_nodes.evaluate, (1, 0),
        (_MATRIX, _VECTOR, _VECTOR, *(_MATRIX,) * 7, _VECTOR, _VECTOR, _SCALAR, _SCALAR), (discrepancy_grad, discrepancy_nodes),
    ),
}  # fmt: skip


class LogDensityWithGradient(Op):
    """A log density by name, and its gradient by the inputs that vary."""

    __props__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.density = _DENSITIES[name]

    def make_node(self, *inputs):
        """Take the inputs that vary, then the data."""
        kinds = [*(("float64", rank) for rank in self.density.varying), *self.density.data]
        cast = [pt.cast(pt.as_tensor(v), dtype) for v, (dtype, _) in zip(inputs, kinds, strict=True)]
        if [v.ndim for v in cast] != [rank for _, rank in kinds]:
            raise TypeError(
                f"expected tensors of ranks {[r for _, r in kinds]}, found {[v.ndim for v in cast]}"
            )
        gradients = [pt.tensor(dtype="float64", shape=(None,) * rank) for rank in self.density.varying]
        return Apply(self, cast, [pt.scalar(dtype="float64"), *gradients])

    def perform(self, node, inputs, output_storage):
        """Run the same compiled function from Python."""
        for storage, value in zip(output_storage, self.density.evaluate(*inputs), strict=True):
            storage[0] = value

    def infer_shape(self, node, input_shapes):
        """Give each gradient the shape of its input."""
        return [(), *input_shapes[: len(self.density.varying)]]

    def connection_pattern(self, node):
        """Everything depends on everything but the data."""
        varying, outputs = len(self.density.varying), len(node.outputs)
        return [[True] * outputs] * varying + [[False] * outputs] * (len(node.inputs) - varying)

    def pullback(self, inputs, outputs, cotangents):
        """Multiply by the gradients, which are computed anyway; second derivatives there are none."""
        count = len(self.density.varying)
        apart = [disconnected_type() for _ in inputs[count:]]
        if any(not isinstance(c.type, DisconnectedType) for c in cotangents[1:]):
            return [*(grad_not_implemented(self, i, x, "no second derivatives") for i, x in enumerate(inputs[:count])), *apart]  # fmt: skip
        return [*(cotangents[0] * gradient for gradient in outputs[1:]), *apart]


@register_funcify_default_op_cache_key(LogDensityWithGradient)
def _funcify(op, node, **kwargs):
    # Code kept on disk is found by this number: it changes when the formulas do.
    text = "".join(map(inspect.getsource, op.density.sources)) + op.name
    return op.density.evaluate, zlib.crc32(text.encode())


def log_density_with_gradient(name: str, *inputs: Any) -> pt.TensorVariable:
    """Return a log density whose gradient is written by hand.

    Parameters
    ----------
    name : {"forest", "covariance"}
        See `bayeslaw.observation.run_tree_grad.evaluate` and `bayeslaw.observation.discrepancy_grad.evaluate` for the inputs.
    *inputs : tensor
        Those that vary, then the data.

    Returns
    -------
    tensor, scalar
    """
    return LogDensityWithGradient(name)(*inputs)[0]
