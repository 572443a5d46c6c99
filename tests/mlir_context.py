"""One context of MLIR for many programs. JAX makes one for each that it lowers: a fifth of all time of the tests."""

import threading

from jax._src.interpreters import mlir

TIMES = 200
"""Programs that a context serves; it keeps the constants of all of them."""


class ReusedContexts(threading.local):
    """Gives the same object ``times`` times, then a new one. Every thread has its own."""

    def __init__(self, make, times):
        self._make, self._times, self._left = make, times, 0

    def __call__(self):
        if not self._left:
            self._left, self._context = self._times, self._make()
        self._left -= 1
        return self._context


def reuse():
    """From here on, lowering takes contexts that served before."""
    if not isinstance(mlir.make_ir_context, ReusedContexts):
        mlir.make_ir_context = ReusedContexts(mlir.make_ir_context, TIMES)
