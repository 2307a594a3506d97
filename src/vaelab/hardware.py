"""The devices of a machine and their settings. Options are checked here before a run writes anything."""

import ctypes
import os
import platform
import shutil
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import torch

from vaelab.checks import one_of, whole
from vaelab.errors import InputError
from vaelab.locks import locked

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
MMAP_BYTES, TRIM_BYTES = 32 << 20, 1 << 30  # the first is the largest value that glibc accepts
_pinned = ExitStack()  # keeps the lock of this process's GPU until the process ends
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "Storage size calculation overflowed")  # torch's words
COMPILE = ("default", "reduce-overhead", "max-autotune")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def tune_process() -> None:
    """Settings of this process that make training steps faster. Call it before the first arithmetic of torch.

    - Denormal numbers become 0: the gradients of pixels that are always black become denormal, and arithmetic on them
      is many times slower. Threads that exist already do not get this setting.
    - Optimizers ask torch at every step whether there is a GPU. With the variable that Lightning sets, torch would look
      for the library NVML each time.
    - glibc keeps the memory of large tensors instead of returning it to the system, which would clear it at every step.
    """
    torch.set_flush_denormal(True)
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch, or Python, could not allocate memory; on a CPU torch has no exception of its own for that."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def check_accelerator(accelerator: str, typed: str = "", instead: str = "accelerator=cpu or accelerator=auto") -> str:
    """``accelerator`` where it is cpu, gpu, mps or auto and the machine has such a device, else an InputError.

    **Arguments**
        typed: what the user typed to ask for it.
        instead: what to type instead.
    """
    one_of("trainer.accelerator", accelerator, ("auto", "cpu", "gpu", "mps"))
    is_missing = (accelerator == "gpu" and not torch.cuda.is_available()) or (
        accelerator == "mps" and not torch.backends.mps.is_available()
    )
    if is_missing:
        device = "CUDA or ROCm GPU" if accelerator == "gpu" else "Apple GPU"
        raise InputError(
            f"{typed or f'accelerator={accelerator}'}: torch {torch.__version__} sees no {device} on this machine; "
            f"take {instead}"
        )
    return accelerator


def resolve(accelerator: str) -> str:
    """The device type of torch that ``accelerator`` means on this machine: cuda, mps or cpu."""
    if accelerator in ("gpu", "auto") and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("mps", "auto") and torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def find_device(name: str | torch.device, option: str = "device=") -> torch.device:
    """The device ``name``: auto, cpu, cuda or mps, or one of several such as cuda:1.

    **Arguments**
        option: how the user types it.

    **Raises**
        InputError: this machine has no such device.
    """
    kind, _, index = str(name).partition(":")
    one_of(option.rstrip("= "), kind, ("auto", "cpu", "cuda", "mps"))
    accelerator = {"cuda": "gpu"}.get(kind, kind)
    check_accelerator(accelerator, f"{option}{name}", f"{option}cpu or {option}auto")
    if kind == "cuda" and index and not (index.isdigit() and int(index) < torch.cuda.device_count()):
        raise InputError(f"{option}{name}: this machine has {torch.cuda.device_count()} GPU(s), counted from 0")
    return torch.device(resolve(accelerator) if not index else str(name))


def count_processes(accelerator: str, devices: int | str) -> int:
    """How many processes a run takes: one per GPU, or on CPUs as many as ``devices`` says."""
    available = torch.cuda.device_count() if resolve(accelerator) == "cuda" else 1
    if devices in ("auto", -1):
        return max(1, available)
    count = whole("trainer.devices", devices)
    if resolve(accelerator) == "cuda" and count > available:
        raise InputError(f"trainer.devices={count}: this machine has {available} GPU(s); take at most that many")
    return count


def pin_gpu(folder: Path | None = None) -> str | None:
    """Restrict this process to one GPU that no other process has pinned; where all are pinned, share one.

    For engines that start several jobs on one machine and do not assign its GPUs. Call it before CUDA starts: after
    that it has no effect.

    **Arguments**
        folder: where the lock files of the GPUs are; None for the system's temporary folder.
    """
    count = torch.cuda.device_count()
    if count < 2:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(count)]
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = folder or Path(tempfile.gettempdir()) / f"vaelab-gpus-{user}"
    shared = names[os.getpid() % count]
    for name in (*names, shared):
        if _pinned.enter_context(locked(folder / f"{name.replace('/', '-')}.lock")):
            break
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    return name


def resolve_precision(precision: str, accelerator: str) -> str:
    """``precision``, with ``auto`` resolved: bf16-mixed where the device multiplies bfloat16 natively, else 32-true."""
    if one_of("trainer.precision", precision, PRECISIONS) != "auto":
        return precision
    return "bf16-mixed" if multiplies_bf16(resolve(accelerator)) else "32-true"


def multiplies_bf16(device: str) -> bool:
    """Whether devices of this type of torch (cuda, mps or cpu) multiply bfloat16 natively."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and cpu_has_bf16()


def check_compile(mode: str | None) -> None:
    """Raise an InputError where torch.compile has no such ``mode`` or the machine no compiler; None: no compilation."""
    if mode is not None:
        one_of("trainer.compile", mode, COMPILE)
        if not any(map(shutil.which, ("c++", "g++", "clang++"))):
            raise InputError(f"trainer.compile={mode} needs a C++ compiler, and this machine has none: take null")


@cache  # Muon asks at every step
def cpu_has_bf16() -> bool:
    """Whether the CPU has AVX512-BF16 or AMX-BF16; without them bfloat16 products are emulated and slow."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def describe_device(accelerator: str, processes: int) -> str:
    """The device in words, such as ``cpu: AMD EPYC, 2 threads`` or ``2 x cuda: NVIDIA H100``."""
    device = resolve(accelerator)
    if device == "cuda":
        words = f"cuda: {torch.cuda.get_device_name()}"
    elif device == "mps":
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
