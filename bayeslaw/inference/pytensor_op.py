"""Log densities with hand-written gradients, as operations that PyTensor samples with.

Each is one compiled function that returns the log density and its gradient by every input that varies,
at once: it compiles in a second where a graph of small operations takes a minute, and touches each
number once.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key

from bayeslaw.core.compiled import fingerprint
from bayeslaw.inference.machine.densities import DENSITIES
from bayeslaw.observation import discrepancy_grad, discrepancy_nodes, run_tree_grad

_EVALUATE: dict[str, Callable[..., tuple]] = {
    "forest": run_tree_grad.evaluate,
    "covariance": discrepancy_grad.evaluate,
    "nodes": discrepancy_nodes.evaluate,
}


class LogDensityWithGradient(Op):
    """A log density by name, and its gradient by the inputs that vary."""

    __props__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.density, self.evaluate = DENSITIES[name], _EVALUATE[name]

    def make_node(self, *inputs):
        """Take the inputs that vary, then the data."""
        kinds = [*(("float", rank) for rank in self.density.varying), *self.density.data]
        cast = [pt.cast(pt.as_tensor(v), f"{kind}64") for v, (kind, _) in zip(inputs, kinds, strict=True)]
        if [v.ndim for v in cast] != [rank for _, rank in kinds]:
            raise TypeError(
                f"expected tensors of ranks {[r for _, r in kinds]}, found {[v.ndim for v in cast]}"
            )
        gradients = [pt.tensor(dtype="float64", shape=(None,) * rank) for rank in self.density.varying]
        return Apply(self, cast, [pt.scalar(dtype="float64"), *gradients])

    def perform(self, node, inputs, output_storage):
        """Run the same compiled function from Python."""
        for storage, value in zip(output_storage, self.evaluate(*inputs), strict=True):
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
    # Code kept on disk is found by this number: it changes when any source of compiled code does.
    return op.evaluate, zlib.crc32((fingerprint() + op.name).encode())


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
