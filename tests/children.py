"""What programs of their own inherit from the tests that start them."""

import os

from tests.layout import ROOT

CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "xla"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
}
"""Variables with which a program shares what it compiles with all tests: `devices(**CACHE)`."""


def devices(count: int = 1, **more: str) -> dict[str, str]:
    """Environment with this checkout, ``count`` CPU devices, and the compiler's other flags of this process."""
    flags = [flag for flag in os.environ["XLA_FLAGS"].split() if "device_count" not in flag]
    flags += [f"--xla_force_host_platform_device_count={count}"] * (count > 1)
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": " ".join(flags), "PYTHONPATH": str(ROOT), **more}
