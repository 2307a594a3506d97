"""Wrong commands and damaged inputs: one line that names the value and the remedy, and nothing is touched."""

import gzip
import hashlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from bombs import Bomb
from conftest import SMALL, train
from idx_files import FILES, SIZES, idx
from torchvision.datasets import MNIST


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below ``folder`` with its content, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


# arguments, and what the line must contain: the value, and what was expected or is to be typed instead
COMMANDS = [
    (["latnt=3"], ["no option 'latnt'", "did you mean 'latent'"]),
    (["beta.wieght=3"], ["no option 'beta.wieght'", "did you mean 'beta.weight'"]),
    (["optimzer.lr=1"], ["no option 'optimzer.lr'", "did you mean 'optimizer.lr'"]),
    (["model=vea"], ["model=vea", "noisy_ae, pca, vae"]),
    (["accelerator=cuda"], ["accelerator=cuda", "ddp_cpu", "gpu"]),
    (["experiment=seed/gan"], ["experiment=seed/gan", "seed/ae, seed/deep_ae"]),
    (["latent"], ["cannot read 'latent'", "option=value"]),
    (["latent=[2"], ["latent=[2"]),
    (["latent=0"], ["latent must be a whole number of at least 1", "0"]),
    (["latent=-3"], ["latent must be a whole number of at least 1", "-3"]),
    (["latent=abc"], ["latent must be a whole number of at least 1", "'abc'"]),
    (["latent=2.5"], ["latent must be a whole number of at least 1", "2.5"]),
    (["latent=2,5"], ["latent=2,5"]),  # a sweep without -m
    (["epochs=0"], ["epochs must be a whole number of at least 1", "0"]),
    (["seed=-1"], ["seed must be a whole number of at least 0", "-1"]),
    (["beta.weight=-1"], ["beta.weight must be a finite number of at least 0", "-1"]),
    (["beta.weight=nan"], ["beta.weight must be a finite number of at least 0", "nan"]),
    (["beta.weight=high"], ["beta.weight must be a finite number of at least 0", "'high'"]),
    (["beta=linear", "beta.warmup=soon"], ["beta.warmup must be a number", '"10 epochs"', "'soon'"]),
    (["network.init=xavier"], ["network.init must be one of torch, he, glorot", "'xavier'"]),
    (["posterior.clamp=[2,-6]"], ["posterior.clamp must be two numbers [low,high]", "[2, -6]"]),
    (["loss.kl=exact"], ["loss.kl must be one of closed, sampled", "'exact'"]),
    (["likelihood.output_bias=median"], ["likelihood.output_bias must be one of network, mean", "'median'"]),
    (["model=pca", "network.hidden=[]", "likelihood.output_bias=mean"], ["ProbabilisticPCA", "output_bias=mean out"]),
    (["model=mixture", "network.hidden=[]", "likelihood.output_bias=mean"], ["MixtureModel", "output_bias=mean out"]),
    (["model=hvae", "bottom=3", "prior@prior.top=vamp"], ["needs the density q(z2|x)", "posterior.first=top"]),
    (["prior=chain", "prior@prior.top=vamp"], ["VampPrior has 1 latents", "posterior=chain"]),
    (["prior=chain", "prior.clamp=2"], ["prior.clamp must be two numbers [low,high]", "2"]),
    (["prior=chain", "prior.init=xavier"], ["prior.init must be one of torch, he, glorot", "'xavier'"]),
    (["posterior=chain", "posterior.gated=1"], ["posterior.gated must be true or false", "1"]),
    (["posterior=chain", "posterior.hidden=5"], ["posterior.hidden must be a list of widths", "5"]),
    (["posterior=chain", "posterior.first=middle"], ["posterior.first must be one of bottom, top", "'middle'"]),
    (["prior=vamp", "prior.start=zeros"], ["prior.start must be one of images, random", "'zeros'"]),
    (["beta=linear", "beta.warmup=-0.5"], ["beta.warmup must be a finite number of at least 0", "-0.5"]),
    (["network.hidden=400"], ["network.hidden must be a list of widths", "400"]),
    (["network.hidden=[400,0]"], ["network.hidden", "at least 1", "0"]),
    (["network.activation=rleu"], ["network.activation must be one of", "relu", "'rleu'"]),
    (["+network.depth=3"], ["network has no option 'depth'", "leave network.depth out"]),
    (["likelihood=gaussian", "likelihood.sigma=0"], ["likelihood.sigma must be a finite number above 0", "0"]),
    (["likelihood=gaussian", "likelihood.learnt=perhaps"], ["likelihood.learnt must be true or false", "'perhaps'"]),
    (["posterior=dirac"], ["needs a posterior with a density", "posterior=gaussian or loss=reconstruction"]),
    (["optimizer.lr=-1"], ["-1"]),
    (["optimizer.lr=fast"], ["fast"]),
    (["+optimizer.speed=3"], ["optimizer has no option 'speed'", "leave optimizer.speed out"]),
    (["data.binarize=yes"], ["data.binarize must be one of none, threshold, static, dynamic"]),
    (["data.binarize=sttic"], ["data.binarize must be one of none, threshold, static, dynamic", "'sttic'"]),
    (["data.batch_size=0"], ["data.batch_size must be a whole number of at least 1", "0"]),
    (["data.batch_size=600"], ["data.batch_size=600 is larger than the 512 training images"]),
    (["data.val=4000"], ["data.val=4000", "4000", "smaller"]),
    (["evaluation.nll_samples=-1"], ["evaluation.nll_samples must be a whole number of at least 0", "-1"]),
    (["evaluation.checkpoint=bset"], ["evaluation.checkpoint must be one of best, last", "'bset'"]),
    (["evaluation.parts=latents"], ["evaluation.parts must be a list", "[latents, aggregate]", "'latents'"]),
    (["evaluation.parts=[latent]"], ["evaluation.parts must be one of likelihood, latents", "'latent'"]),
    (["evaluation.aggregate_images=1"], ["evaluation.aggregate_images", "at least 2", "1"]),
    (["evaluation.active_variance=-1"], ["evaluation.active_variance", "at least 0", "-1"]),
    (["evaluation.chunk=0"], ["evaluation.chunk must be a whole number of at least 1", "0"]),
    (["pictures.projection=pcb"], ["pictures.projection must be one of pca, tsne, umap", "'pcb'"]),
    (["pictures.projector=perhaps"], ["pictures.projector must be true or false", "'perhaps'"]),
    (["pictures.every=0"], ["pictures.every must be a whole number of at least 1", "0"]),
    (["trainer.precision=8"], ["trainer.precision must be one of auto", "8"]),
    (["accelerator=ddp_cpu", "+trainer.speed=3"], ["speed"]),
    (["trainer.log_every_n_steps=0"], ["trainer.log_every_n_steps must be a whole number of at least 1", "0"]),
    (["trainer.check_val_every_n_epoch=0"], ["trainer.check_val_every_n_epoch", "0"]),
    (["trainer.max_epoch=3"], ["no option 'trainer.max_epoch'", "trainer.max_epochs"]),
    (["+trainer.speed=3"], ["speed"]),
    (["+trainer.fast_dev_run=true"], ["fast_dev_run", "take trainer=debug"]),
    (["trainer.devices=0"], ["trainer.devices must be a whole number of at least 1", "0"]),
    (["accelerator=ddp_cpu", "data.batch_size=63"], ["data.batch_size=63", "2 processes"]),
    (["accelerator=ddp_cpu", "data.eval_batch_size=1"], ["2 processes share a batch of 1"]),
    (["name=a/b"], ["name must be the plain name of a folder", "'a/b'"]),
    (["name=''"], ["name must be the plain name of a folder", "''"]),
    (["likelihood=gaussian", "likelihood.learnt=pixel"], ["likelihood.learnt must be true or false, or per_pixel"]),
    (["posterior=none"], ["posterior=none", "posterior=gaussian"]),
    (["prior=categorical"], ["prior=categorical", "model=mixture", "prior=normal"]),
    (["posterior=dirac", "loss=iwae"], ["needs a posterior with a density", "posterior=gaussian"]),
    (["posterior=flow", "loss=tc"], ["FlowPosterior has none", "posterior=gaussian or loss=elbo"]),
    (["prior=vamp", "loss=reconstruction"], ["VampPrior is learnt", "prior=normal or loss=elbo"]),
    (["prior=mixture", "loss.free_bits=0.5"], ["loss.free_bits=0.5", "prior=normal"]),
    (["loss=iwae", "loss.samples=0"], ["loss.samples must be a whole number of at least 1", "0"]),
    (["loss=capacity", "loss.warmup=2"], ["loss.warmup is a share of the training, from 0 to 1", "2"]),
    (["posterior=chain", "latent=1"], ["at least 2 latents", "latent=1"]),
    (["model=hvae", "bottom=40"], ["bottom=40", "latent=4"]),
    (["model=noisy_ae", "latent=1"], ["take latent=2 or more"]),
    (["model=pca"], ["PCA is linear", "network.hidden=[]"]),
    (["model=pca", "network.hidden=[]", "latent=784"], ["latent must be below 784", "784"]),
    (["model=pca", "network.hidden=[]", "latent=511"], ["more than 512 training images", "512"]),
    (["model=pca", "network.hidden=[]", "posterior=noisy"], ["posterior=gaussian", "NoisyPosterior"]),
    (["model=pca", "network.hidden=[]", "prior=vamp"], ["prior=normal", "VampPrior"]),
    (["model=pca", "network.hidden=[]", "likelihood=laplace"], ["likelihood=gaussian", "LaplaceLikelihood"]),
    (
        ["model=pca", "network.hidden=[]", "likelihood.mean=sigmoid"],
        ["without options of likelihood"],
    ),
    (["model=mixture", "network.hidden=[]", "likelihood=laplace"], ["LaplaceLikelihood", "likelihood=bernoulli"]),
    (["model=hvae", "latent=2", "bottom=2"], ["bottom=2", "latent=2"]),
    (["model=pca", "network.hidden=[]", "likelihood=bernoulli"], ["no option 'mean'", "leave likelihood.mean out"]),
    (["prior=vamp", "prior.image=[1,14,14]", "prior.components=4"], ["prior.image=[1, 14, 14]", "[1, 28, 28]"]),
    (["model=mixture", "network=mlp"], ["network=linear"]),
    (["model=mixture", "network.hidden=[]", "prior=normal"], ["prior=categorical"]),
    (["model=mixture", "network.hidden=[]", "latent=600"], ["600 components", "components=512"]),
    (["model=mixture", "network.hidden=[]", "loss=tc"], ["posterior=gaussian or loss=elbo"]),
    (["componants=3"], ["no option 'componants'", "did you mean 'components'"]),
    (["model=cvae", "model.classes=4"], ["model.classes=4 does not fit mnist5k", "model.classes=10"]),
    (["network=conv", "network.channels=[8,8,8,8,8,8]"], ["network.channels=[8, 8, 8, 8, 8, 8]", "28 x 28", "take 5"]),
    (["network=resnet", "network.channels=[12]"], ["multiples of 8", "12"]),
    (["data.shape=[1,14,14]"], ["data.shape=[1,14,14]", "mnist5k", "take data.shape=[1,28,28]"]),
    (["data.shape=28"], ["data.shape must be three whole numbers [C,H,W]", "28"]),
    (["data.shape=[1,0,28]"], ["data.shape must be three whole numbers", "[1, 0, 28]"]),
    (["data.shape=null"], ["data.shape is missing", "data.shape=[3,64,64]"]),
    (["network.image=[1,14,14]"], ["network.image=[1, 14, 14]", "mnist5k", "network.image=[1, 28, 28]"]),
    (["model=cvae", "model.image=[1,14,14]"], ["model.image=[1, 14, 14]", "model.image=[1, 28, 28]"]),
    (["beta=cyclical", "beta.warmup=0.5"], ["beta.warmup=0.5 does not fit 4 times", "0.25"]),
    (["evaluation.ema=1"], ["evaluation.ema must be below 1", "0.999"]),
    (["evaluation.ema=-0.1"], ["evaluation.ema must be a finite number of at least 0", "-0.1"]),
    (["data=folder"], ["data.size is missing", "data.size=64"]),
    (["data=folder", "data.size=8"], ["data.root is missing", "data.root=photos"]),
    (["data=folder", "data.root=nowhere", "data.size=8"], ["data.root=nowhere is no folder"]),
    (["data=folder", "data.root=/", "data.size=big"], ["data.size must be a whole number", "'big'"]),
    (["data=folder", "data.root=/", "data.size=8", "data.channels=4"], ["data.channels must be 1 (grey) or 3", "4"]),
    (["data=arrays"], ["data.root is missing", "data.root=images.npz"]),
    (["data=arrays", "data.root=nowhere.npz"], ["data.root=nowhere.npz is no file", "data=folder"]),
    (["data=kmnist", "data.fallback=true"], ["data.fallback=true", "no fallback for KMNIST", "data.fallback=false"]),
    (["data=emnist", "data.split=capitals"], ["data.split must be one of byclass", "'capitals'"]),
    (["ckpt=nowhere/last.ckpt"], ["ckpt=nowhere/last.ckpt: no such file"]),
    (["ckpt=."], ["ckpt=.: no such file"]),
]


@pytest.mark.parametrize(("arguments", "says"), COMMANDS, ids=lambda value: " ".join(value)[:50])
def test_a_wrong_command_gets_one_line_and_leaves_nothing(command, tmp_path, arguments, says):
    status, _, err = command(*SMALL, *arguments)
    assert status != 0
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert "multirun" not in lines[0] or "latent=2,5" in arguments
    assert "Traceback" not in err
    for words in says:
        assert words in lines[0]
    assert tree(tmp_path) == {}


no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU, so asking for one is no mistake")
no_mps = pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")


@pytest.mark.parametrize(
    "accelerator",
    [pytest.param("gpu", marks=no_gpu), pytest.param("ddp", marks=no_gpu), pytest.param("mps", marks=no_mps)],
)
def test_hardware_that_is_not_there(command, tmp_path, accelerator):
    status, _, err = command(*SMALL[:-1], f"accelerator={accelerator}")
    assert status != 0
    assert len(err.strip().splitlines()) == 1
    assert "accelerator=cpu" in err
    assert tree(tmp_path) == {}


# ---- data ----------------------------------------------------------------------------------------------------


@pytest.fixture
def image_set(tmp_path_factory) -> tuple[Path, list[str]]:
    """A small image set in torchvision's layout, and the options with its checksums."""
    root = tmp_path_factory.mktemp("images")
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    options = [f"data.root={root}", "data.val=10", "data.batch_size=8", "data.train=null", "data.test=null"]
    random = np.random.default_rng(0)
    for part, size in SIZES.items():
        content = idx(random.integers(0, 10, size, dtype=np.uint8))
        (folder / f"{FILES[part]}.gz").write_bytes(gzip.compress(content))
        options.append(f"data.checksums.{FILES[part]}={hashlib.md5(content).hexdigest()}")
    return root, options


def test_these_images_themselves_are_fine(command, image_set):
    status, out, err = command(*SMALL[4:], "data=mnist", *image_set[1], "name=fine", "epochs=1")
    assert (status, err) == (0, ""), err
    assert "mnist with 40 images" in out


@pytest.mark.parametrize("how", ["truncated", "bit flipped"])
def test_damaged_images(command, tmp_path, image_set, how):
    path = image_set[0] / "MNIST" / "raw" / f"{FILES['test_images']}.gz"
    content = path.read_bytes()
    path.write_bytes(content[:300] if how == "truncated" else content[:300] + bytes([content[300] ^ 4]) + content[301:])
    status, _, err = command(*SMALL[4:], "data=mnist", *image_set[1])
    assert status != 0
    assert len(err.strip().splitlines()) == 1
    assert str(path) in err
    assert "damaged" in err
    assert "delete" not in err
    assert tree(tmp_path) == {}


def test_images_of_ones_own_without_their_checksums(command, tmp_path, image_set):
    root, options = image_set
    status, _, err = command(*SMALL[4:], "data=mnist", *(word for word in options if "checksums" not in word))
    assert status != 0
    (line,) = err.strip().splitlines()
    assert f"{root}/MNIST/raw/train-images-idx3-ubyte.gz is not the official file" in line
    assert "data.checksums=null" in line
    assert "delete" not in line
    assert tree(tmp_path) == {}


def test_training_and_test_images_of_two_sizes_are_refused_before_the_training(command, tmp_path, image_set):
    root, options = image_set
    small = np.zeros((20, 14, 14), np.uint8)
    (root / "MNIST" / "raw" / f"{FILES['test_images']}.gz").write_bytes(gzip.compress(idx(small)))
    options = [word for word in options if "checksums" not in word]
    status, _, err = command(*SMALL[4:], "data=mnist", *options, "data.checksums=null")
    assert status != 0
    (line,) = err.strip().splitlines()
    assert "28 x 28 pixels" in line
    assert "14 x 14" in line
    assert tree(tmp_path) == {}


def test_images_of_one_class_have_no_probes(command, tmp_path, image_set):
    """What was not measured is not said to be."""
    root, options = image_set
    for part in ("train_labels", "test_labels"):
        (root / "MNIST" / "raw" / f"{FILES[part]}.gz").write_bytes(gzip.compress(idx(np.zeros(SIZES[part], np.uint8))))
    options = [word for word in options if "labels" not in word]
    options += [f"data.checksums.{FILES[part]}=null" for part in ("train_labels", "test_labels")]
    status, out, err = command(*SMALL[4:], "data=mnist", *options, "name=one", "epochs=1")
    assert (status, err) == (0, ""), err
    assert "evaluated latents, aggregate; no probes (the training images have no labels, or all have the same)" in out
    assert "failed" not in out


@pytest.mark.parametrize("fallback", ["true", "false"])
def test_missing_images_where_a_folder_is_named(command, tmp_path, monkeypatch, fallback):
    """No other images take their place, and nothing is left behind."""
    monkeypatch.setattr(MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    status, _, err = command(*SMALL[4:], "data=mnist", f"data.fallback={fallback}", "data.root=some/where")
    assert status != 0
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: no MNIST under some/where")
    assert "data=mnist5k" in line
    assert tree(tmp_path) == {}


def test_missing_images_with_the_fallback_off(command, tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    status, _, err = command(*SMALL[4:], "data=mnist", "data.fallback=false")
    assert status != 0
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: no MNIST under data/MNIST/raw")
    assert "data.fallback=true" in line
    assert tree(tmp_path) == {}


def test_the_fallback_for_missing_images_is_reported_at_the_start_and_the_end(command, tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    status, out, _ = command(*SMALL[4:], "data=mnist", "name=in", "epochs=1")
    assert status == 0
    assert not (tmp_path / "data").exists()
    assert out.count("WARNING: this is not MNIST but mnist5k") == 2
    assert '"name": "mnist5k"' in (tmp_path / "outputs/runs/in/results.json").read_text()


# ---- directories and checkpoints -----------------------------------------------------------------------------


@pytest.fixture
def runs(finished, tmp_path) -> Path:
    """The current folder with a copy of a finished run in it."""
    shutil.copytree(finished, tmp_path / "outputs" / "runs" / "small")
    return tmp_path


def refused(command, folder: Path, *arguments: str) -> str:
    before = tree(folder)
    status, _, err = command(*arguments)
    assert status != 0
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err
    assert tree(folder) == before
    return err


def test_the_name_of_a_run_that_exists(command, runs):
    err = refused(command, runs, *SMALL, "name=small")
    assert "outputs/runs/small exists already" in err
    assert "name=" in err
    assert "ckpt=outputs/runs/small/checkpoints/last.ckpt" in err


def test_going_on_from_a_run_that_is_complete(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt")
    assert "has its 2 epochs behind it" in err


def test_a_checkpoint_of_another_latent_size(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "latent=5", "epochs=4")
    assert "trained with latent=4, this command says latent=5" in err


def test_a_checkpoint_of_another_network(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "network.hidden=[8]", "epochs=4")
    assert "network.hidden=[32]" in err
    assert "network.hidden=[8]" in err


def test_a_checkpoint_of_another_optimizer(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "optimizer=muon", "epochs=4")
    assert "optimizer._target_=torch.optim.Adam" in err
    assert "vaelab.training.optimizers.Muon" in err


def test_going_on_with_other_data(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "data.batch_size=32", "epochs=4")
    assert "'batch_size': 64" in err
    assert "'batch_size': 32" in err


def test_a_refused_job_leaves_a_directory_that_is_not_its_own(command, runs):
    (runs / "outputs/runs/small/results.json").unlink()
    before = tree(runs)
    status, _, err = command("-m", *SMALL, "latent=2", "hydra.sweep.dir=outputs/runs", "hydra.sweep.subdir=small")
    assert status != 0
    assert "latent=4 there, 2 here; nothing was touched" in err
    after = {name: content for name, content in tree(runs).items() if not name.endswith(".lock")}
    assert {name: content for name, content in after.items() if "runs/small" in name} == {
        name: content for name, content in before.items() if "runs/small" in name and not name.endswith(".lock")
    }


def test_folders_that_the_user_made_stay(command, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr("vaelab.STARTED", time.time() + 1)  # they are older than the command
    refused(command, tmp_path, *SMALL, "latent=0", "hydra.run.dir=mine")


def test_a_checkpoint_behind_the_last_one_would_overwrite_it(command, runs):
    folder = runs / "outputs/runs/small/checkpoints"
    early = torch.load(folder / "last.ckpt", weights_only=True)
    torch.save({**early, "epoch": 0, "global_step": 8}, folder / "early.ckpt")
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/early.ckpt")
    assert "is behind outputs/runs/small/checkpoints/last.ckpt" in err
    assert "name=" in err


@pytest.mark.parametrize("content", [b"not a checkpoint", b""])
def test_a_checkpoint_that_is_none(command, runs, content):
    (runs / "some.ckpt").write_bytes(content)
    assert "ckpt=some.ckpt is no checkpoint" in refused(command, runs, *SMALL, "ckpt=some.ckpt", "name=new")


def test_a_damaged_checkpoint(command, runs):
    path = runs / "outputs/runs/small/checkpoints/last.ckpt"
    path.write_bytes(path.read_bytes()[:5000])
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "epochs=4")
    assert "damaged" in err


def test_a_pickle_bomb_under_a_checkpoints_name_is_not_run(command, runs):
    trace = runs / "it-ran"
    torch.save({"state_dict": {}, "config": Bomb(trace), "epoch": 0}, runs / "bomb.ckpt")
    refused(command, runs, *SMALL, "ckpt=bomb.ckpt", "name=new")
    assert not trace.exists()


def test_a_directory_without_write_permission(command, tmp_path):
    if os.geteuid() == 0:
        closed = Path("/sys/vaelab")  # permissions do not bind root, but the kernel's own file system does
    else:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
    err = refused(command, tmp_path, *SMALL, f"hydra.run.dir={closed}/run")
    assert str(closed) in err
    assert "choose another place" in err


def test_a_file_where_the_directory_should_be(command, tmp_path):
    (tmp_path / "outputs").write_text("a file")
    err = refused(command, tmp_path, *SMALL, "name=x")
    assert "outputs" in err
    assert "choose another place" in err


def test_a_loss_that_is_no_number(command, tmp_path):
    status, _, err = command(*SMALL, "name=wild", "optimizer.lr=1e20", "lr=constant")
    assert status != 0
    assert len(err.strip().splitlines()) == 1
    assert "lower optimizer.lr" in err
    written = (tmp_path / "outputs/runs/wild/results.json").read_text()
    assert '"status": "failed"' in written
    assert "the loss became" in written
    assert not (tmp_path / "outputs/runs/wild/checkpoints/last.ckpt").exists()


def test_a_full_disk(command, tmp_path, monkeypatch):
    """From the second checkpoint on."""
    real, written = Path.write_bytes, []

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith(".last."):
            if written:
                raise OSError(28, "No space left on device")
            written.append(path)
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    status, _, err = command(*SMALL, "name=full")
    assert status != 0
    assert len(err.strip().splitlines()) == 1, err
    assert "outputs/runs/full/checkpoints/last.ckpt: No space left on device" in err
    assert "go on with: python train.py ckpt=outputs/runs/full/checkpoints/last.ckpt" in err
    monkeypatch.undo()
    torch.load(tmp_path / "outputs/runs/full/checkpoints/last.ckpt", weights_only=True)


def test_a_multirun_goes_on_after_a_wrong_job(command, tmp_path):
    status, _, err = command(
        "-m", *SMALL, "latent=0,2", "epochs=1", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=latent-${latent}"
    )
    assert status != 0
    assert "Traceback" not in err
    assert '"status": "failed"' in (tmp_path / "sweep/latent-0/results.json").read_text()
    assert "latent must be" in (tmp_path / "sweep/latent-0/results.json").read_text()
    assert '"status": "completed"' in (tmp_path / "sweep/latent-2/results.json").read_text()


def test_a_process_of_its_own_says_the_same(tmp_path):
    status, out, err = train(tmp_path, *SMALL, "latent=0")
    assert (status, out) == (1, "")
    assert err == "error: latent must be a whole number of at least 1, got 0\n"
    assert tree(tmp_path) == {}
