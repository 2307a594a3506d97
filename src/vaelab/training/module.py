"""The LightningModule: one step for training, validation and test around a model and its objective."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from lightning import LightningModule
from torch import Tensor, nn

from vaelab import rng
from vaelab.checks import one_of, whole
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError, RunFailed
from vaelab.evaluation.bounds import bits_per_dimension, bounds, squared_error
from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.evaluation.importance import useful_prior_samples
from vaelab.evaluation.latents import ACTIVE_VARIANCE, ActiveUnits, has_spread, posterior_std
from vaelab.evaluation.means import Mean, numbers, vectors
from vaelab.evaluation.nll import NllEstimator, Precision, choose_precision
from vaelab.evaluation.settings import PRECISIONS
from vaelab.models.contracts import Model, Objective, Piece, Schedule
from vaelab.models.inference import Inference
from vaelab.models.multirate import check_range
from vaelab.training.lightning_internals import data_of, epochs_done, steps_between_logs

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W) and labels (B,)
ImageSource = Callable[[], Tensor]


class TrainingDiverged(RunFailed):
    """The loss, or a weight, became infinite or nan."""


class VAEModule(LightningModule):
    """Trains ``model`` on ``objective``, and measures it at β = 1.

    Metrics are means over images, in nats per image: ``loss`` is what is minimised, at the current β; ``elbo``,
    ``rate`` and ``distortion`` are at β = 1 always. Training metrics are means since they were last logged.

    **Arguments**
        model: what is trained.
        objective: its loss per image.
        beta: the KL term's weight over the training.
        optimizer: a function of the parameters that makes the optimizer.
        lr: a factor on the optimizer's learning rate over the training.
        seed: of the noise in training and evaluation.
        nll_samples: K, importance samples per image in the test's nll; 0: no nll.
        prior_samples: further samples of the prior in nll, shared by a batch, where they help.
        precision: of the decoder in nll: 32-true, bf16-mixed, or auto: bfloat16 where it is fast and accurate.
        chunk: latents decoded at a time in nll; None for what suits the device.
        active_variance: a latent counts as active where its posterior mean varies more than that.
        config: the run's configuration, which checkpoints store; plain types, for ``torch.load(weights_only=True)``.

    **Attributes**
        steps: the length of the training in optimizer steps.
        latest: the last training metrics that were logged.
        results: the section ``test`` of results.json, after the test.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        beta: Schedule,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        lr: Schedule,
        seed: int = 0,
        nll_samples: int = 100,
        prior_samples: int = 20_000,
        precision: str = "auto",
        chunk: int | None = None,
        active_variance: float = ACTIVE_VARIANCE,
        config: dict | None = None,
    ) -> None:
        super().__init__()
        objective.check(model)
        check_range(model, objective, beta)
        self.model = model
        self.objective = objective
        self.beta = beta
        self.optimizer = optimizer
        self.lr = lr
        self.seed = seed
        self.nll_samples = whole("evaluation.nll_samples", nll_samples, 0)
        if self.nll_samples == 1:
            raise InputError("evaluation.nll_samples must be at least 2 for a standard error (0: none), got 1")
        # A model in closed form has an exact posterior: its own samples are enough.
        self.prior_samples = 0 if model.is_solved else whole("evaluation.prior_samples", prior_samples, 0)
        self.precision = one_of("evaluation.precision", precision, PRECISIONS)
        self.chunk = None if chunk is None else whole("evaluation.chunk", chunk)
        self.active_units = ActiveUnits(active_variance)
        self.config = config or {}
        self.steps = 1
        self.latest: dict[str, float] = {}
        self.results: dict[str, float] = {}
        self.tested_images = 0

    # ---- one step ------------------------------------------------------------------------------------------

    def infer(self, batch: Batch, step: int) -> tuple[Inference, Tensor]:
        """The Inference of a batch, and the loss per image ``(B,)`` at ``step``."""
        x, labels = batch
        beta: float | Tensor = self.beta(step, self.steps)
        if self.beta.is_range and self.training:
            beta = self.beta.draw(len(x)).to(x.device)
        progress = step / self.steps
        inference = self.objective.infer(self.model.given(labels).at(beta), x, beta, progress)
        return inference, self.objective(inference, beta, progress)

    def metrics(self, inference: Inference, loss: Tensor) -> dict[str, Tensor]:
        """The loss of each image ``(B,)``, and its metrics at β = 1."""
        with torch.no_grad():
            metrics = {"loss": loss, **bounds(inference, self.model.has_bound), **self.objective.metrics(inference)}
            # A flow's standard deviation is an estimate from samples, which would cost too much at every step.
            if has_spread(self.model) and (not self.training or self.model.posterior.is_product):
                metrics["posterior_std"] = posterior_std(inference.q)
        return metrics

    def evaluated(self, data: ImageDataModule) -> EvaluatedModel:
        """The model with ``data``, as the evaluation and the plots take it."""
        return EvaluatedModel(self.model, data, self.objective, self.beta.end, self.seed)

    @property
    def criterion(self) -> str | None:
        """The metric by which the validation chooses the weights; None: it does not, and the last weights are tested.

        It is at β = 1, whatever β trains the model; the distortion where β ends at 0, as the ELBO would choose the
        first weights.
        """
        return self.objective.criterion if self.beta.end else "distortion"

    def pieces(self) -> list[Piece]:
        """The model and all pieces in it."""
        return [module for module in self.model.modules() if isinstance(module, Piece)]

    def start_from_images(self, images: ImageSource, generator: torch.Generator) -> None:
        """Let the pieces that start from training images ``(N, C, H, W)`` do so: PCA, k-means, pseudo-inputs."""
        for piece in self.pieces():
            if piece.starts_from_images:
                piece.start_from_images(images(), generator)

    # ---- training ------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = self.optimizer(self.parameters())
        # From the configuration, not from the optimizer's state in a checkpoint: a run may resume with another rate.
        self.learning_rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def on_fit_start(self) -> None:
        self.steps = int(self.trainer.estimated_stepping_batches)  # it counts all batches each time
        per_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        for schedule in (self.beta, self.lr):
            schedule.epochs = self.steps / per_epoch  # fewer than max_epochs where trainer.max_steps ends them
        self.since_logged = Mean()

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(rng.mix(self.seed, rng.TRAIN, self.current_epoch, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        step = self.global_step
        factor = self.lr(step, self.steps)
        for group, rate in zip(self.trainer.optimizers[0].param_groups, self.learning_rates, strict=True):
            group["lr"] = rate * factor
        inference, loss = self.infer(batch, step)
        self.since_logged.add(self.metrics(inference, loss))
        is_step = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0  # the last batch always is one
        if self.trainer.is_last_batch or (is_step and (step + 1) % steps_between_logs(self.trainer) == 0):
            self._log_training(step)
        return loss.mean()

    def _log_training(self, step: int) -> None:
        """Log to the loggers directly: Lightning's log() would cost time at every step."""
        means = numbers(self.since_logged.compute(self._all_sum))
        self.since_logged = Mean()
        self._require_finite(means["loss"], step + 1)
        metrics = {f"{name}/train": value for name, value in means.items()}
        metrics["schedule/beta"] = self.beta(step, self.steps)
        metrics["schedule/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        metrics["epoch"] = epochs_done(self.trainer)
        self.latest = metrics
        for logger in self.loggers:
            logger.log_metrics(metrics, step=step + 1)

    def log_rest_of_training(self) -> None:
        """Log the steps since the last log, where an epoch ended before its last batch."""
        if self.since_logged.batches:
            self._log_training(self.global_step - 1)

    def _require_finite(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss became {loss} by step {step} (epoch {self.current_epoch + 1}): "
                "lower optimizer.lr, or clip with trainer.gradient_clip_val=1"
            )

    def on_train_epoch_end(self) -> None:
        """Check the weights before they are saved: the losses were those before each step."""
        if not all(parameter.isfinite().all() for parameter in self.parameters()):
            self._require_finite(math.nan, self.global_step)

    # ---- evaluation ----------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self.means = Mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        if not len(batch[0]):
            return  # this process has no image of a last batch that is smaller than the number of processes
        with self._evaluating(batch_idx):
            inference, loss = self.infer(batch, max(0, self.global_step - 1))  # at the β of the last step
            metrics = self.metrics(inference, loss)
            if self.model.has_kl_per_latent:
                metrics["kl_per_latent"] = inference.kl_per_latent
            self.means.add(metrics)

    def on_validation_epoch_end(self) -> None:
        means = self.means.compute(self._all_sum)
        metrics = {f"{name}/val": value for name, value in numbers(means).items()}
        self._require_finite(metrics["loss/val"], self.global_step)
        per_latent = {f"kl/{latent}": kl for latent, kl in enumerate(vectors(means).get("kl_per_latent", []))}
        self.log_dict(metrics, logger=False)  # for the checkpoints' criterion; they are means over all processes
        for logger in self.loggers:
            logger.log_metrics({**metrics, **per_latent, "epoch": epochs_done(self.trainer)}, step=self.global_step)

    def on_test_epoch_start(self) -> None:
        self.means = Mean()
        self.active_units = ActiveUnits(self.active_units.threshold)
        self.estimator = NllEstimator(self.nll_samples)  # until the first batch has chosen the rest

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        x, labels = batch
        if not len(x):
            return
        with self._evaluating(batch_idx):
            inference, loss = self.infer(batch, self.steps)
            model = self.model.given(labels)
            metrics = {**self.metrics(inference, loss), "mse": squared_error(model, inference)}
            if has_spread(self.model):
                self.active_units.add(inference.q.mean)
            if model.has_bound and self.nll_samples:
                if batch_idx == 0:
                    self.estimator = self._agreed_estimator(model, x)
                metrics |= self.estimator.estimate(model, x)[1]
            self.means.add(metrics)

    def _agreed_estimator(self, model: Model, x: Tensor) -> NllEstimator:
        """It uses samples of the prior, and bfloat16, in all batches and all processes, or in none."""
        useful = useful_prior_samples(model, x, self.prior_samples)
        precision = choose_precision(self.precision, model, x, self.chunk)
        votes = self._all_sum(x.new_tensor([useful > 0, precision.bf16, abs(precision.error)]))
        wanted, fast, error = (votes / self.trainer.world_size).tolist()
        agreed = Precision(True, error) if fast == 1 else Precision()
        return NllEstimator(self.nll_samples, useful if wanted == 1 else 0, agreed, self.chunk)

    def on_test_epoch_end(self) -> None:
        """Set ``results``, the section ``test`` of results.json."""
        results = numbers(self.means.compute(self._all_sum))
        self._require_finite(results["loss"], self.global_step)
        self.tested_images = self.means.total
        if "nll" in results:
            results |= self.estimator.described(results.pop("nll_variance") / self.tested_images)
            results["gap"] = -results["elbo"] - results["nll"]
        values = data_of(self.trainer).sets["test"].images.shape[1:].numel()
        results |= bits_per_dimension(results, self.model, values)
        if has_spread(self.model):
            results["active_units"] = self.active_units.compute(self._all_sum)
        loss = results.pop("loss")
        self.results = {**results, "loss": loss}  # last, because it alone depends on β

    def _all_sum(self, sums: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(sums, reduce_op="sum")

    @contextmanager
    def _evaluating(self, index: int) -> Iterator[None]:
        """In the block, the noise depends only on the seed and this batch, and the precision is full."""
        with (
            rng.fixed_noise(self.device, self.seed, rng.EVALUATE, index, self.global_rank),
            torch.autocast(self.device.type, enabled=False),
        ):
            yield

    # ---- checkpoints ---------------------------------------------------------------------------------------

    def checkpoint_contents(self, data: ImageDataModule) -> dict[str, object]:
        """What a checkpoint stores of a run beside its weights."""
        return {"config": self.config, "data": data.describe()}

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint.update(self.checkpoint_contents(data_of(self.trainer)))


def as_vae_module(module: LightningModule) -> VAEModule:
    """``module`` with its type: Lightning passes it to callbacks as a LightningModule."""
    if not isinstance(module, VAEModule):
        raise TypeError(f"these callbacks are for a VAEModule, got {type(module).__name__}")
    return module
