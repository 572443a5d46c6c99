"""What programs of their own inherit from the tests that start them."""

import os

from tests.layout import ROOT


def one_device(**more: str) -> dict[str, str]:
    """Environment with this checkout, one CPU device, and the compiler's other flags of this process."""
    flags = [flag for flag in os.environ["XLA_FLAGS"].split() if "device_count" not in flag]
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": " ".join(flags), "PYTHONPATH": str(ROOT), **more}
