"""Hold linear algebra to one thread, so that a fit has the same bits wherever it runs.

A library of linear algebra (BLAS) splits its sums by its threads, and so rounds them differently on machines
with other numbers of cores.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np  # noqa: F401  # NumPy and SciPy each bring a library of their own,
import scipy.linalg  # noqa: F401  # which must be there when they are looked for
from threadpoolctl import ThreadpoolController

_alone = threading.RLock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run what is inside with one thread of linear algebra.

    The number of threads is the process's: whoever comes while it is held waits, as a second thread of a
    worker on a cluster does.
    """
    with _alone, _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
