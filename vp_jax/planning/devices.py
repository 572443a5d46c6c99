"""Devices to compile for, which you need not have: memory, peak and links of each, and how its compiler is called.

    local          this machine's devices
    v6e:8x8        a TPU slice: chip and grid                       extra ``aot``
    h100:8         1 to 8 GPUs of one machine                       extra ``aot-gpu``

The extras bring the compilers: libtpu holds the one for TPUs, JAX's CUDA plugin the one for GPUs. Neither needs a
device.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from vp_jax.errors import UserError
from vp_jax.training import flops

GB = 1e9

CARDS = 8
"""GPUs of one machine."""


class GPU(NamedTuple):
    """What XLA's compiler asks about a GPU.

    Attributes:
      name: as the driver gives it.
      capability: compute capability.
      cores: streaming multiprocessors.
      lanes: float32 units of each.
      threads: resident threads of each.
      shared: bytes of shared memory of each, and the most that one block may have.
      bandwidth: bytes of device memory per second.
      cache: bytes of level-2 cache.
      clock: GHz.
      memory: bytes that a program sees.
    """

    name: str
    capability: tuple[int, int]
    cores: int
    lanes: int
    threads: int
    shared: tuple[int, int]
    bandwidth: int
    cache: int
    clock: float
    memory: int


@dataclasses.dataclass(frozen=True)
class Chip:
    """Vendor specifications of one device.

    Attributes:
      memory: GB.
      peak: dense bfloat16 operations per second.
      links: bytes per second to the other devices, all links and both directions together.
      fill: share of the matrix unit that attention with 64 values per head can use.
      gpu: description for XLA's GPU compiler; ``None``: a TPU.
      options: of a TPU's topology, besides its name.
    """

    memory: float
    peak: float
    links: float
    fill: float = 1.0
    gpu: GPU | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


_HOPPER: dict[str, Any] = dict(
    capability=(9, 0), cores=132, lanes=128, threads=2048, shared=(233_472, 232_448), cache=52_428_800, clock=1.98
)
_AMPERE: dict[str, Any] = dict(
    capability=(8, 0), cores=108, lanes=64, threads=2048, shared=(167_936, 166_912), cache=41_943_040, clock=1.41
)

CHIPS = {
    "v4": Chip(
        32,
        275e12,
        300e9,
        fill=0.5,
        options={"chip_config_name": "megacore", "chips_per_host_bounds": (2, 2, 1), "num_slices": 1},
    ),
    "v5e": Chip(16, 197e12, 200e9, fill=0.5),
    "v5p": Chip(95, 459e12, 600e9, fill=0.5),
    "v6e": Chip(32, 918e12, 448e9, fill=0.25),
    "h200": Chip(
        141,
        989e12,
        900e9,
        gpu=GPU("NVIDIA H200", **_HOPPER, bandwidth=4_800_000_000_000, memory=151_397_597_184),
    ),
    "h100": Chip(
        80,
        989e12,
        900e9,
        gpu=GPU("NVIDIA H100 80GB HBM3", **_HOPPER, bandwidth=3_352_320_000_000, memory=84_942_979_072),
    ),
    "a100": Chip(
        80,
        312e12,
        600e9,
        gpu=GPU("NVIDIA A100-SXM4-80GB", **_AMPERE, bandwidth=2_039_040_000_000, memory=85_100_068_864),
    ),
    "a100-40gb": Chip(
        40,
        312e12,
        600e9,
        gpu=GPU("NVIDIA A100-SXM4-40GB", **_AMPERE, bandwidth=1_555_200_000_000, memory=42_331_013_120),
    ),
    "rtx4090": Chip(
        24,
        165e12,
        64e9,  # PCI Express 4.0, 16 lanes
        gpu=GPU(
            "NVIDIA GeForce RTX 4090",
            capability=(8, 9),
            cores=128,
            lanes=128,
            threads=1536,
            shared=(102_400, 101_376),
            bandwidth=1_008_096_000_000,
            cache=75_497_472,
            clock=2.52,
            memory=25_757_220_864,
        ),
    ),
}


_UNTUNED = {"xla_gpu_enable_triton_gemm": False}
"""Without a GPU nothing can be tuned, and Triton's products need it: some of their untuned tiles do not compile."""


class Target(NamedTuple):
    """Devices to compile for.

    Attributes:
      name: as requested.
      platform: ``cpu``, ``gpu`` or ``tpu``.
      devices: of this machine, or of a description.
      chip: specifications, ``None`` where they are not known.
      memory: GB of one device, ``None`` where it is not known.
      options: of the compiler.
    """

    name: str
    platform: str
    devices: Sequence[Any]
    chip: Chip | None
    memory: float | None
    options: Mapping[str, Any] = MappingProxyType({})


def target(where: str) -> Target:
    """Devices called ``where``, see the top of this file.

    Raises:
      UserError: unknown device or grid, or its compiler is not installed.
    """
    if where == "local":
        return _local()
    name, _, grid = where.partition(":")
    if name not in CHIPS:
        raise UserError(
            f"compile_only {where!r}: expected 'local' or a chip: a TPU and its grid such as v4:4x4x4 or v6e:8x8, "
            f"a GPU and how many such as h100:8; known are {', '.join(CHIPS)}"
        )
    chip = CHIPS[name]
    if chip.gpu is None:
        return Target(where, "tpu", _tpus(where, name, grid, chip), chip, chip.memory)
    return Target(where, "gpu", _gpus(where, grid, chip.gpu), chip, chip.memory, _UNTUNED)


def _local() -> Target:
    devices = jax.devices()
    kind, platform = devices[0].device_kind, devices[0].platform
    limit = (devices[0].memory_stats() or {}).get("bytes_limit")
    peak = flops.peak_flops(kind)
    chip = Chip(limit / GB, peak, float("inf")) if limit and peak else None
    return Target(f"{len(devices)} x {kind}", platform, devices, chip, limit and limit / GB)


def _tpus(where: str, name: str, grid: str, chip: Chip) -> Sequence[Any]:
    for key, value in (
        ("TPU_SKIP_MDS_QUERY", "1"),
        ("TPU_ACCELERATOR_TYPE", ""),
        ("TPU_WORKER_HOSTNAMES", "localhost"),
        ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
    ):
        os.environ.setdefault(key, value)
    topology = f"v5:{grid}" if name == "v5p" else where
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=topology, **chip.options).devices
    except Exception as error:  # whatever the compiler's library raises: it is absent, or knows no such grid
        raise UserError(
            f"compile_only {where!r}: {_line(error)}; the TPU compiler comes with pip install 'vp_jax[aot]', grids are "
            f"as in Google's tables (v4 and v5p: AxBxC)"
        ) from error


def _gpus(where: str, cards: str, gpu: GPU) -> Sequence[Any]:
    if cards not in [str(count) for count in range(1, CARDS + 1)]:
        raise UserError(f"compile_only {where!r}: expected 1 to {CARDS} GPUs of one machine, such as h100:8")
    # else the plugin wants a driver before it says that it is there
    os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
    try:
        return topologies.get_topology_desc(
            platform="cuda", topology_name="", topology=f"1x1x{cards}", target_config=description(gpu)
        ).devices
    except Exception as error:  # whatever JAX or the plugin raises: it is absent, or does not know such a GPU
        raise UserError(
            f"compile_only {where!r}: {_line(error)}; the compiler for NVIDIA GPUs comes with "
            f"pip install 'vp_jax[aot-gpu]' (4 GB, no GPU and no driver needed)"
        ) from error


def description(gpu: GPU) -> str:
    """``gpu`` as the text of XLA's ``GpuTargetConfigProto``."""
    values: dict[str, Any] = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "shared_memory_per_block": 49_152,
        "shared_memory_per_core": gpu.shared[0],
        "threads_per_core_limit": gpu.threads,
        "core_count": gpu.cores,
        "fpus_per_core": gpu.lanes,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 65_535,
        "block_dim_limit_z": 65_535,
        "memory_bandwidth": gpu.bandwidth,
        "l2_cache_size": gpu.cache,
        "clock_rate_ghz": gpu.clock,
        "device_memory_size": gpu.memory,
        "shared_memory_per_block_optin": gpu.shared[1],
        "registers_per_core_limit": 65_536,
        "registers_per_block_limit": 65_536,
    }
    fields = " ".join(f"{name}: {value}" for name, value in values.items())
    major, minor = gpu.capability
    wgmma = " feature_extension: ACCELERATED_FEATURES" if major >= 9 else ""  # instructions of this generation alone
    cudnn, runtime = _version("nvidia-cudnn-cu13", (9, 15, 1)), _version("nvidia-cuda-runtime", (13, 0, 0))
    return (
        f"gpu_device_info {{ {fields} cuda_compute_capability {{ major: {major} minor: {minor}{wgmma} }} }} "
        f'platform_name: "CUDA" device_description_str: "{gpu.name}" '
        f"dnn_version_info {{ major: {cudnn[0]} minor: {cudnn[1]} patch: {cudnn[2]} }} "
        f"runtime_version {{ major: {runtime[0]} minor: {runtime[1]} patch: {runtime[2]} }}"
    )


def _version(package: str, otherwise: tuple[int, int, int]) -> tuple[int, ...]:
    """Version of an installed package, three numbers."""
    try:
        return tuple(int(part) for part in importlib.metadata.version(package).split(".")[:3])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return otherwise


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
