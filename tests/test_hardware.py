import pytest
import torch

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
