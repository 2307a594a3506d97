"""Time an epoch of training beside a bare PyTorch loop that does the same, and print the ratio.

    python scripts/benchmark.py
    python scripts/benchmark.py --batch-size 512 --precision bf16-mixed --rounds 7 --json out.json

Both train the 784-400-20-400-784 VAE with fused Adam on all training images, a round of the one after a round of the
other in one process, so that a noisy machine is noisy for both; medians are compared, the first round left out. Ours
goes through the Trainer as `python train.py` does, with loggers, progress, pictures and checkpoints on.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from lightning import Callback, LightningModule, Trainer
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional

from vaelab import hardware
from vaelab.run import Run, prepare

CONF = Path(__file__).resolve().parents[1] / "conf"


class BareLoop:
    """The tutorials' VAE with nothing around it: images in memory, a gather per batch, fused Adam."""

    def __init__(self, images: Tensor, batch_size: int, bf16: bool) -> None:
        self.images, self.batch_size, self.bf16 = images.flatten(1), batch_size, bf16
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)

    def epoch(self) -> float:
        """Train for an epoch; its seconds."""
        began = time.perf_counter()
        for indices in torch.randperm(len(self.images)).split(self.batch_size):
            x = self.images[indices].float().div_(255)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                outputs = self.encoder(x)
            mean, log_variance = outputs.float().chunk(2, 1)
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                logits = self.decoder(z)
            cross_entropy = functional.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum")
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
            self.optimizer.zero_grad()
            ((cross_entropy + kl) / len(x)).backward()
            self.optimizer.step()
        return time.perf_counter() - began


class Rounds(Callback):
    """Times every epoch of ours, logging and saving included, and runs an epoch of the rival after it."""

    def __init__(self, rival: BareLoop) -> None:
        self.rival = rival
        self.ours: list[float] = []
        self.theirs: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the checkpoint, which Lightning keeps for last: its time falls into the next round."""
        self.ours.append(time.perf_counter() - self.began)
        self.theirs.append(self.rival.epoch())
        self.began = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose(
                "config",
                overrides=[
                    "name=benchmark", "accelerator=cpu", "experiment=seed/vae", f"epochs={arguments.rounds + 1}",
                    f"data.batch_size={arguments.batch_size}", f"trainer.precision={arguments.precision}",
                ],
            )  # fmt: skip
        parts = prepare(Run(OmegaConf.to_container(config, resolve=True), [], {}, Path(folder)))
        images = parts.data.sets["train"].images
        rounds = Rounds(BareLoop(images, arguments.batch_size, arguments.precision == "bf16-mixed"))
        parts.trainer.callbacks.insert(len(parts.trainer.callbacks) - 1, rounds)
        for logger in parts.trainer.loggers:
            logger.begin()
        parts.trainer.fit(parts.experiment, datamodule=parts.data)
    ours, theirs = statistics.median(rounds.ours[1:]), statistics.median(rounds.theirs[1:])
    figures = {
        "device": hardware.describe_device("cpu", 1),
        "images": len(images),
        "batch_size": arguments.batch_size,
        "precision": arguments.precision,
        "rounds": arguments.rounds,
        "ours_epoch_s": ours,
        "bare_epoch_s": theirs,
        "ratio": ours / theirs,
    }
    print(f"{figures['device']}, {figures['images']:,} images, batch {arguments.batch_size}, {arguments.precision}")
    print(f"ours {ours:.2f} s, bare loop {theirs:.2f} s per epoch: {ours / theirs:.2f} x")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
