"""What a machine has: checked before anything is written, so that a missing GPU is one line and no traceback."""

import ctypes
import os
import platform
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import torch

from vaelab.checks import one_of, whole
from vaelab.errors import InputError
from vaelab.locks import locked

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_pinned = ExitStack()  # holds this process's GPU until it ends
COMPILE = ("default", "reduce-overhead", "max-autotune")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def tune_process() -> None:
    """Keep this process from what would cost time at every step; before its first product, so that threads inherit it.

    The gradients of pixels that are never lit get ever smaller, and arithmetic on denormal numbers is many times
    slower. Torch asks at every optimizer step whether there is a GPU, which Lightning has it find out by loading
    NVIDIA's management library: where there is none that is looked for anew each time. And glibc gives the memory of
    every large tensor back to the system, which has to clear it before the next step gets it again.
    """
    torch.set_flush_denormal(True)
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


def check_accelerator(accelerator: str) -> str:
    """``accelerator`` as Lightning names it (cpu, gpu, mps, auto), or an InputError where the machine lacks it."""
    one_of("trainer.accelerator", accelerator, ("auto", "cpu", "gpu", "mps"))
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError(
            f"accelerator={accelerator}: torch {torch.__version__} sees no CUDA or ROCm GPU on this machine; "
            "take accelerator=cpu, accelerator=auto or, for several processes without a GPU, accelerator=ddp_cpu"
        )
    if accelerator == "mps" and not torch.backends.mps.is_available():
        raise InputError(
            f"accelerator={accelerator}: this machine has no Apple GPU that torch {torch.__version__} sees; "
            "take accelerator=cpu or accelerator=auto"
        )
    return accelerator


def resolve(accelerator: str) -> str:
    """The kind of device that ``accelerator`` comes to here: cuda, mps or cpu."""
    if accelerator in ("gpu", "auto") and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("mps", "auto") and torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def count_processes(accelerator: str, devices: int | str) -> int:
    """How many processes a run on ``devices`` of ``accelerator`` takes: one per GPU, or per gloo worker."""
    available = torch.cuda.device_count() if resolve(accelerator) == "cuda" else 1
    if devices in ("auto", -1):
        return max(1, available)
    count = whole("trainer.devices", devices)
    if resolve(accelerator) == "cuda" and count > available:
        raise InputError(f"trainer.devices={count}: this machine has {available} GPU(s); take at most that many")
    return count


def pin_gpu(folder: Path | None = None) -> str | None:
    """Show this process one GPU alone, which no other one that asked here has, as far as there are enough.

    For engines that start several jobs on one machine and leave its GPUs to them. To be called before CUDA starts;
    later calls change nothing, for a process cannot leave its GPU.
    """
    count = torch.cuda.device_count()
    if count < 2:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(count)]
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = folder or Path(tempfile.gettempdir()) / f"vaelab-gpus-{user}"
    own = os.getpid() % count  # where all are taken, they are shared
    for name in (*names, names[own]):
        if _pinned.enter_context(locked(folder / f"{name.replace('/', '-')}.lock")):
            break
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    return name


def resolve_precision(precision: str, accelerator: str) -> str:
    """``auto`` is bf16-mixed where the device multiplies bfloat16 natively, else 32-true."""
    if one_of("trainer.precision", precision, PRECISIONS) != "auto":
        return precision
    kind = resolve(accelerator)
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = kind == "cpu" and cpu_has_bf16()
    return "bf16-mixed" if native else "32-true"


def check_compile(mode: str | None) -> None:
    """An InputError where torch.compile has no such ``mode``, or lacks what it needs; None: it is not used."""
    if mode is not None:
        one_of("trainer.compile", mode, COMPILE)
        if not any(map(shutil.which, ("c++", "g++", "clang++"))):
            raise InputError(f"trainer.compile={mode} needs a C++ compiler, and this machine has none: take null")


def cpu_has_bf16() -> bool:
    """Whether the CPU has AVX512-BF16 or AMX-BF16; without them bfloat16 products are emulated and slow."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def describe_device(accelerator: str, processes: int) -> str:
    """The device in words, e.g. ``cpu: AMD EPYC, 2 threads``."""
    kind = resolve(accelerator)
    if kind == "cuda":
        words = f"cuda: {torch.cuda.get_device_name()}"
    elif kind == "mps":
        words = f"mps: {platform.processor()}"
    else:
        words = f"cpu: {_cpu_name()}, {torch.get_num_threads()} threads"
    return words if processes == 1 else f"{processes} x {words}"


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
