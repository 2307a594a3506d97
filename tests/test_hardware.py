import os

import pytest
import torch
from compositions import module_of
from torch import nn

from vaelab import hardware


@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
def test_one_device_is_one_process(accelerator):
    assert hardware.count_processes(accelerator, 1) == 1


def test_cpu_processes_are_as_many_as_asked():
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


def test_processes_side_by_side_have_a_gpu_each_and_share_where_there_are_too_few(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    taken = []
    for _ in range(3):  # each as a process of its own would ask: nobody gives back what it holds
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
        taken.append(hardware.pin_gpu(tmp_path))
        assert os.environ["CUDA_VISIBLE_DEVICES"] == taken[-1]
    assert taken[:2] == ["4", "GPU-7"]
    assert taken[2] in taken[:2]
    hardware._pinned.close()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    assert hardware.pin_gpu(tmp_path) == "4"
    hardware._pinned.close()


@pytest.mark.parametrize("count", [0, 1])
def test_where_there_is_nothing_to_choose_nothing_is_pinned(monkeypatch, tmp_path, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert hardware.pin_gpu(tmp_path) is None
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_compiling_needs_a_compiler_and_a_mode_that_there_is(monkeypatch):
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
    model = module_of("latent=4", *words).model
    hardware.compile_networks(model, None)
    assert not compiled
    hardware.compile_networks(model, "default")
    assert len(compiled) == networks
    inside = {parameter for module in compiled for parameter in module.parameters()}
    assert {*model.posterior.parameters(), *model.likelihood.parameters()} - inside == (
        {*model.posterior.flow.parameters()} if words == ("posterior=flow",) else set()
    )


def test_no_library_is_loaded_to_look_for_gpus_at_every_step(monkeypatch):
    """Where Lightning's variable is set torch does so in every call of an optimizer."""
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    hardware.tune_process()
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ
