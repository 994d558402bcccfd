"""Lists what the machine can do: a number for each instruction."""

from __future__ import annotations

ONE = (
    "copy", "neg", "exp", "expm1", "log", "log1p", "sqrt", "tanh", "cos", "sin", "arccos", "erfc", "gammaln",
    "digamma", "truncated",
)  # fmt: skip
"""Of one value, elementwise."""
TWO = ("add", "sub", "mul", "div", "power", "maximum", "minimum", "ge", "lt")
"""Of two values, elementwise."""
WHOLE = ("sum", "sumprod", "fill", "gather", "scatter", "dot", "part")
"""Of whole vectors."""
CALLS = ("covariance", "nodes", "forest")
"""Log densities with gradients of their own."""

OPCODES = {name: code for code, name in enumerate((*ONE, *TWO, *WHOLE, *CALLS))}
"""The number of each instruction; `kernel.run` knows them by it."""
