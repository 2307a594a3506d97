"""Devices, precision and the settings of a process."""

import os

import pytest
import torch
from compositions import module_of
from torch import nn

from vaelab import hardware
from vaelab.runs.prepare import compile_networks


@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
def test_one_device_is_one_process(accelerator):
    assert hardware.count_processes(accelerator, 1) == 1


def test_on_cpus_there_are_as_many_processes_as_devices():
    assert hardware.count_processes("cpu", 3) == 3


def test_gpus_are_counted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert hardware.count_processes("gpu", "auto") == 4
    assert hardware.count_processes("gpu", 2) == 2
    with pytest.raises(ValueError, match=r"trainer\.devices=5: this machine has 4"):
        hardware.count_processes("gpu", 5)


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_automatic_precision_is_bf16_only_where_it_is_native(monkeypatch, native, precision):
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: native)
    assert hardware.resolve_precision("auto", "cpu") == precision
    assert hardware.resolve_precision("32-true", "cpu") == "32-true"


def test_devices_are_described_in_words():
    assert hardware.describe_device("cpu", 1).startswith("cpu: ")
    assert hardware.describe_device("cpu", 2).startswith("2 x cpu: ")


def test_each_process_pins_its_own_gpu_and_shares_one_where_all_are_pinned(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    pinned = []
    for _ in range(3):  # as three processes would: no lock is released
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
        pinned.append(hardware.pin_gpu(tmp_path))
        assert os.environ["CUDA_VISIBLE_DEVICES"] == pinned[-1]
    assert pinned[:2] == ["4", "GPU-7"]
    assert pinned[2] in pinned[:2]
    hardware._pinned.close()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    assert hardware.pin_gpu(tmp_path) == "4"
    hardware._pinned.close()


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_pinned_on_a_machine_with_at_most_one_gpu(monkeypatch, tmp_path, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert hardware.pin_gpu(tmp_path) is None
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_compilation_needs_a_compiler_and_a_known_mode(monkeypatch):
    hardware.check_compile(None)
    with pytest.raises(ValueError, match=r"trainer\.compile must be one of default, reduce-overhead"):
        hardware.check_compile("fast")
    monkeypatch.setattr(hardware.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=r"needs a C\+\+ compiler, and this machine has none"):
        hardware.check_compile("default")


@pytest.mark.parametrize(("words", "networks"), [((), 2), (("model=hvae", "bottom=2"), 4), (("posterior=flow",), 2)])
def test_every_network_of_a_model_is_compiled(words, networks, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module, mode: compiled.append(module))
    module = module_of("latent=4", *words)
    model = module.model
    compile_networks(module, None)
    assert not compiled
    compile_networks(module, "default")
    assert len(compiled) == networks
    inside = {parameter for module in compiled for parameter in module.parameters()}
    assert {*model.posterior.parameters(), *model.likelihood.parameters()} - inside == (
        {*model.posterior.flow.parameters()} if words == ("posterior=flow",) else set()
    )


def test_torch_does_not_look_for_nvml_at_every_step(monkeypatch):
    """Where the variable of Lightning is set, torch does so in every call of an optimizer."""
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    hardware.tune_process()
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ
