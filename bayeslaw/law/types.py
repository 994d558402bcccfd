"""Names the types that laws are written in: values of any array library, namespaces of functions, tables of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

Array = np.ndarray
"""A NumPy array, of any shape."""


class Value(Protocol):
    """What a formula is evaluated on: a number, a NumPy array, an xarray object, a PyTensor or a traced variable.

    Each does arithmetic with numbers and with its own kind; the results are values again.
    """

    def __neg__(self) -> Value: ...
    def __add__(self, other: Any, /) -> Value: ...
    def __radd__(self, other: Any, /) -> Value: ...
    def __sub__(self, other: Any, /) -> Value: ...
    def __rsub__(self, other: Any, /) -> Value: ...
    def __mul__(self, other: Any, /) -> Value: ...
    def __rmul__(self, other: Any, /) -> Value: ...
    def __truediv__(self, other: Any, /) -> Value: ...
    def __rtruediv__(self, other: Any, /) -> Value: ...


Values = Mapping[str, Value]
"""Values by symbol."""
Elementwise = Callable[..., Value]
"""A library's function: one value or two -> a value."""
Document = Mapping[str, object]
"""Plain tables, as a TOML reader returns them."""


class Ops(Protocol):
    """The namespace that a formula runs in: the functions of one array library, by the names that NumPy gives them.

    The module ``numpy`` is one, also for xarray, and ``pytensor.tensor``. It is passed on purpose: NumPy's functions
    fail on PyTensor variables. Named here is what code calls; a formula calls the rest of the table
    `bayeslaw.law.functions.FUNCTIONS` as well.
    """

    @property
    def exp(self) -> Elementwise: ...
    @property
    def log(self) -> Elementwise: ...
    @property
    def log1p(self) -> Elementwise: ...
    @property
    def maximum(self) -> Elementwise: ...
    @property
    def minimum(self) -> Elementwise: ...
    @property
    def power(self) -> Elementwise: ...
    @property
    def sqrt(self) -> Elementwise: ...


class ArrayOps(Ops, Protocol):
    """The namespace that a law runs in, functions of schedules included."""

    @property
    def arccos(self) -> Elementwise: ...
    @property
    def cos(self) -> Elementwise: ...
    @property
    def dot(self) -> Elementwise: ...
