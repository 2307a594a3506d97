"""Where within an epoch a checkpoint was saved, so that a run goes on from there as if it had never stopped."""

from lightning import Callback, LightningModule, Trainer

from vaelab import rng
from vaelab.data.batches import Batches
from vaelab.training.lightning_internals import batches_into_epoch, count_epoch_as_begun, epochs_done
from vaelab.training.module import as_vae_module


class EpochPosition(Callback):
    """Stores in checkpoints how many epochs were trained and, within an epoch, the place and the random numbers.

    A checkpoint has the entry ``epochs``, and within an epoch ``within_epoch``: the ``epoch`` from 0, the number of its
    ``batches`` that are behind, and the ``noise``: the states ``(W, S)`` of the random numbers of each process.
    """

    def __init__(self) -> None:
        self.resumed: dict | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        batches = batches_into_epoch(trainer)
        if not batches:
            checkpoint["epochs"] = trainer.current_epoch + 1
            return
        count_epoch_as_begun(checkpoint)
        device = trainer.strategy.root_device
        noise = trainer.strategy.all_gather(rng.state(device).to(device)).cpu().view(trainer.world_size, -1)
        checkpoint["epochs"] = epochs_done(trainer)
        checkpoint["within_epoch"] = {"epoch": trainer.current_epoch, "batches": batches, "noise": noise}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        self.resumed = checkpoint.get("within_epoch")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the batches and the noise go on where the checkpoint was saved."""
        if self.resumed is None:
            return
        as_vae_module(pl_module).on_train_epoch_start()  # Lightning leaves it out within an epoch
        loader, noise = trainer.train_dataloader, self.resumed["noise"]
        assert isinstance(loader, Batches)
        loader.skip(self.resumed["epoch"], self.resumed["batches"])
        if len(noise) == trainer.world_size:  # else the noise is that at the start of an epoch
            rng.restore(trainer.strategy.root_device, noise[trainer.global_rank])
        self.resumed = None
