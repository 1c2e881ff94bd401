"""What this machine has and lacks for training, found out without needing any of it. Works without torch."""

import importlib.metadata
import os
import platform
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

HUB_TIMEOUT = 2.0
"""Seconds; a machine without a network should learn so at once."""

EXTRAS = {
    "train": ("torch", "transformers", "tokenizers", "safetensors", "numpy", "jaxtyping"),
    "parquet": ("pyarrow",),
    "plots": ("matplotlib",),
    "tensorboard": ("tensorboard",),
    "postgres": ("psycopg",),
    "pii": ("presidio_analyzer",),
}
"""Extra -> the packages it brings."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One accelerator."""

    name: str
    memory_gb: float
    bf16_tflops: float


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What there is. Sizes in 10⁹ bytes, speeds in 10¹² floating-point operations per second; None where it could not be measured."""

    cores: int
    threads: int | None
    """Threads torch would use."""
    memory_gb: float | None
    disk_free_gb: float
    """Where the command was given."""
    fp32_tflops: float | None
    bf16_tflops: float | None
    gpus: tuple[Gpu, ...]
    versions: dict[str, str]
    missing: dict[str, list[str]] = field(default_factory=dict)
    """Extra -> its packages that are not installed."""
    hub: str | None
    """Address of the model hub, None if it cannot be known."""
    hub_reachable: bool


def inspect_machine(*, folder: Path = Path()) -> Machine:
    """Look at the machine, measuring its matrix products for about a second; `folder` is where disk space is counted."""
    torch_runs = is_installed("torch")
    hub = hub_address()
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=_threads() if torch_runs else None,
        memory_gb=_memory_gb(),
        disk_free_gb=shutil.disk_usage(folder).free / 1e9,
        fp32_tflops=_cpu_tflops("float32") if torch_runs else None,
        bf16_tflops=_cpu_tflops("bfloat16") if torch_runs else None,
        gpus=_gpus() if torch_runs else (),
        versions={"python": platform.python_version(), **{name: version for name in EXTRAS["train"] if (version := _version(name))}},
        missing={extra: absent for extra, packages in EXTRAS.items() if (absent := [name for name in packages if not is_installed(name)])},
        hub=hub,
        hub_reachable=hub is not None and is_reachable(hub),
    )


def is_installed(package: str) -> bool:
    """True if the package can be found; nothing is imported."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # an import hook may refuse a package instead of not finding it
        return False


def hub_address() -> str | None:
    """Where models would be fetched from, as the installed hub client is configured; None without one."""
    if not is_installed("huggingface_hub"):
        return None
    from huggingface_hub import constants

    return constants.ENDPOINT


def is_reachable(address: str) -> bool:
    """True if anything answers at the address within two seconds, an error page included."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=HUB_TIMEOUT).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _cpu_tflops(dtype: str) -> float:
    import torch

    from instructloop.steps.matrix_speed import matrix_speed

    return matrix_speed(getattr(torch, dtype)) / 1e12


def _gpus() -> tuple[Gpu, ...]:
    import torch

    from instructloop.steps.matrix_speed import matrix_speed

    return tuple(
        Gpu(
            name=torch.cuda.get_device_name(index),
            memory_gb=torch.cuda.get_device_properties(index).total_memory / 1e9,
            bf16_tflops=matrix_speed(torch.bfloat16, device=f"cuda:{index}", size=8192) / 1e12,
        )
        for index in range(torch.cuda.device_count())
    )


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
