"""The LightningModule: one step for train, val and test around a model and its objective."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from lightning import LightningModule
from torch import Tensor, nn

from vaelab import rng
from vaelab.checks import whole
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError, RunFailed
from vaelab.evaluation.bounds import bounds, squared_error
from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.evaluation.importance import importance_weights, log_likelihood, useful_prior_samples
from vaelab.evaluation.latents import ACTIVE_VARIANCE, ActiveUnits, posterior_std
from vaelab.evaluation.means import Mean
from vaelab.models.contracts import Model, Objective, Piece, Schedule
from vaelab.models.inference import Inference

Batch = tuple[Tensor, Tensor]
ImageSource = Callable[[], Tensor]


class TrainingDiverged(RunFailed):
    """The loss is no number any more."""


class VAEModule(LightningModule):
    """Trains ``model`` on ``objective`` and measures it at β = 1.

    Metrics are means over images, in nats per image: ``loss`` is what is minimised, at the current β; ``elbo``,
    ``rate`` and ``distortion`` are at β = 1 always. Training metrics are means since they were last logged.

    Args:
        model: what is trained.
        objective: (Inference, β, progress) -> loss per image.
        beta: (step, steps) -> β.
        optimizer: parameters -> optimizer; its learning rate is multiplied by ``lr``.
        lr: (step, steps) -> factor on the learning rate.
        seed: of the noise in training and evaluation.
        nll_samples: importance samples per image for the test's nll; 0 leaves it out.
        prior_samples: codes from the prior beside them, shared by a batch's images, where they can be of use.
        chunk: how many codes are decoded at a time for it; None for what suits the device.
        active_variance: of its mean, from which on a latent counts as active.
        config: what is stored in checkpoints to say what was trained; plain types only, so that
            ``torch.load(weights_only=True)`` reads them.
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
        prior_samples: int = 2_000,
        chunk: int | None = None,
        active_variance: float = ACTIVE_VARIANCE,
        config: dict | None = None,
    ) -> None:
        super().__init__()
        objective.check(model)
        self.model = model
        self.objective = objective
        self.beta = beta
        self.optimizer = optimizer
        self.lr = lr
        self.seed = seed
        self.nll_samples = whole("evaluation.nll_samples", nll_samples, 0)
        if self.nll_samples == 1:
            raise InputError("evaluation.nll_samples must be at least 2 for a standard error (0: none), got 1")
        # A model in closed form has an exact posterior, which nothing can be added to.
        self.prior_samples = 0 if model.is_solved else whole("evaluation.prior_samples", prior_samples, 0)
        self.chunk = None if chunk is None else whole("evaluation.chunk", chunk)
        self.active_units = ActiveUnits(active_variance)
        self.config = config or {}
        self.steps = 1
        self.latest: dict[str, float] = {}  # the last training metrics, for whoever shows progress
        self.results: dict[str, float] = {}
        self.tested_images = 0

    def __setattr__(self, name: str, value: object) -> None:
        """As a Module does, but for the hook Lightning is in, which it notes 30 times at every step."""
        if name == "_current_fx_name":  # no parameter, which is what a Module would look for each time
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    # ---- one step ------------------------------------------------------------------------------------------

    def infer(self, batch: Batch, step: int) -> tuple[Inference, Tensor]:
        """The Inference of images ``(B, 1, H, W)`` with their labels, and the loss per image ``(B,)`` at ``step``."""
        x, labels = batch
        inference = self.model.given(labels)(x, self.objective.samples)
        return inference, self.objective(inference, self.beta(step, self.steps), step / self.steps)

    def figures(self, inference: Inference, loss: Tensor) -> dict[str, Tensor]:
        """Named figures per image ``(B,)``: the loss, and what it is made of at β = 1."""
        with torch.no_grad():
            figures = {"loss": loss, **bounds(inference, self.model.has_bound), **self.objective.metrics(inference)}
            # A flow's spread is found by drawing from it, which is too dear for every step.
            if self.has_spread and (not self.training or self.model.posterior.is_product):
                figures["posterior_std"] = posterior_std(inference.q)
        return figures

    @property
    def has_spread(self) -> bool:
        """Whether latents are drawn from a density."""
        return self.model.has_bound and self.model.has_continuous_latents

    def evaluated(self, data: ImageDataModule) -> EvaluatedModel:
        """The model with ``data``, as metrics and plots take it."""
        return EvaluatedModel(self.model, data, self.objective, self.beta.end, self.seed)

    @property
    def criterion(self) -> str | None:
        """The figure that validation chooses weights by: the bound at β = 1, whatever β trains; None for the last.

        Without a KL term, at β = 0, that bound would choose the first weights: there it is the distortion.
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
        # From the configuration, not from a checkpoint's optimizer state: a run may go on with another rate.
        self.learning_rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def on_fit_start(self) -> None:
        self.steps = int(self.trainer.estimated_stepping_batches)  # a property that counts batches: ask it once
        self.since_logged = Mean()

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(rng.mix(self.seed, rng.TRAIN, self.current_epoch, self.global_rank))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        step = self.global_step
        factor = self.lr(step, self.steps)
        for group, rate in zip(self.trainer.optimizers[0].param_groups, self.learning_rates, strict=True):
            group["lr"] = rate * factor
        inference, loss = self.infer(batch, step)
        self.since_logged.add(self.figures(inference, loss))
        is_step = (index + 1) % self.trainer.accumulate_grad_batches == 0  # the last batch's always is one
        if self.trainer.is_last_batch or (is_step and (step + 1) % self.trainer.log_every_n_steps == 0):
            self._log_training(step)
        return loss.mean()

    def _log_training(self, step: int) -> None:
        """Straight to the loggers: Lightning's own log() would cost every step, and this waits for the device."""
        figures = self.since_logged.compute(self._all_sum)
        self.since_logged = Mean()
        self._require_finite(figures["loss"], step + 1)
        metrics = {f"{name}/train": value for name, value in figures.items()}
        metrics["schedule/beta"] = self.beta(step, self.steps)
        metrics["schedule/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        metrics["epoch"] = (
            self.current_epoch + (self.trainer.fit_loop.batch_idx + 1) / self.trainer.num_training_batches
        )
        self.latest = metrics
        for logger in self.loggers:
            logger.log_metrics(metrics, step=step + 1)

    def _require_finite(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss became {loss} by step {step} (epoch {self.current_epoch + 1}): "
                "lower optimizer.lr, or clip with trainer.gradient_clip_val=1"
            )

    def on_train_epoch_end(self) -> None:
        """The losses were those before each step; the weights after the last one are what is about to be saved."""
        if not all(parameter.isfinite().all() for parameter in self.parameters()):
            self._require_finite(math.nan, self.global_step)

    # ---- evaluation ----------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self.means = Mean()

    def validation_step(self, batch: Batch, index: int) -> None:
        if not len(batch[0]):
            return  # of a last batch smaller than the number of processes this one has no share
        with self._evaluating(index):
            inference, loss = self.infer(batch, max(0, self.global_step - 1))  # at the β that the last step had
            figures = self.figures(inference, loss)
            if self.model.has_kl_per_latent:
                figures["kl_per_latent"] = inference.kl_per_latent
            self.means.add(figures)

    def on_validation_epoch_end(self) -> None:
        figures = self.means.compute(self._all_sum)
        self._require_finite(figures["loss"], self.global_step)
        per_latent = {f"kl/{latent}": kl for latent, kl in enumerate(figures.pop("kl_per_latent", []))}
        metrics = {f"{name}/val": value for name, value in figures.items()}
        self.log_dict(metrics, logger=False)  # for the checkpoints to choose by; already summed over processes
        for logger in self.loggers:
            logger.log_metrics({**metrics, **per_latent, "epoch": self.current_epoch + 1}, step=self.global_step)

    def on_test_epoch_start(self) -> None:
        self.means = Mean()
        self.active_units = ActiveUnits(self.active_units.threshold)

    def test_step(self, batch: Batch, index: int) -> None:
        x, labels = batch
        if not len(x):
            return
        with self._evaluating(index):
            inference, loss = self.infer(batch, self.steps)
            figures = self.figures(inference, loss)
            model = self.model.given(labels)
            figures["mse"] = squared_error(model, inference)
            if self.has_spread:
                self.active_units.add(inference.q.mean)
            if model.has_bound and self.nll_samples:
                if index == 0:  # for all batches alike, and all processes
                    useful = useful_prior_samples(model, x, self.prior_samples)
                    agreed = self._all_sum(x.new_tensor(float(useful > 0))) == self.trainer.world_size
                    self.prior_codes = useful if agreed else 0
                weights = importance_weights(model, x, self.nll_samples, self.chunk, prior_samples=self.prior_codes)
                estimate, figures["nll_variance"] = log_likelihood(weights.log_w, weights.shared)
                figures["nll"] = -estimate
            self.means.add(figures)

    def on_test_epoch_end(self) -> None:
        """``results``: the test section of results.json."""
        results = self.means.compute(self._all_sum)
        self._require_finite(results["loss"], self.global_step)
        self.tested_images = self.means.total
        if "nll" in results:
            results["nll_samples"] = self.nll_samples
            results["nll_prior_samples"] = self.prior_codes
            results["nll_stderr"] = (results.pop("nll_variance") / self.tested_images) ** 0.5
            results["gap"] = -results["elbo"] - results["nll"]
        if self.has_spread:
            results["active_units"] = self.active_units.compute(self._all_sum)
        loss = results.pop("loss")
        self.results = {**results, "loss": loss}  # last: it depends on β, the others do not

    def _all_sum(self, sums: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(sums, reduce_op="sum")

    @contextmanager
    def _evaluating(self, index: int) -> Iterator[None]:
        """The same noise whenever this batch is evaluated, and full precision whatever the training's."""
        with (
            rng.fixed_noise(self.device, self.seed, rng.EVALUATE, index, self.global_rank),
            torch.autocast(self.device.type, enabled=False),
        ):
            yield

    # ---- checkpoints ---------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["config"] = self.config
        checkpoint["data"] = self.trainer.datamodule.describe()
