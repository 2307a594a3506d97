"""Runs that differ only in numbers, trained together: one batched product for all instead of one product each.

On a GPU a small model leaves most of the device idle, and as many of them as it holds cost little more than one. Each
draws its own order of the images and its own noise, so each becomes what it would be alone, up to the rounding of
batched products.
"""

from collections.abc import Sequence

import torch
from lightning import __version__ as lightning_version
from torch import Tensor, nn
from torch.func import functional_call, vmap

from vaelab import rng
from vaelab.data.batches import Batches, IndexedImages
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.models.contracts import Model
from vaelab.models.distributions import factors
from vaelab.models.inference import Inference
from vaelab.training.module import VAEModule

# Optimizers that take a step of rate times what does not depend on the rate, weight by weight.
LINEAR_IN_THE_RATE = (torch.optim.Adam, torch.optim.AdamW, torch.optim.Adamax)


class _Loss(nn.Module):
    """The loss per image ``(B,)`` of one model, its noise given instead of drawn."""

    def __init__(self, experiment: VAEModule) -> None:
        super().__init__()
        self.model: Model = experiment.model
        self.objective = experiment.objective

    def forward(self, x: Tensor, drawn: Tensor, beta: Tensor, progress: float) -> Tensor:
        q = self.model.encode(x)
        normal = factors(q)
        z = normal.loc + normal.scale * drawn
        inference = Inference(x, z, q, self.model.prior_distribution(), self.model.decode(z))
        return self.objective(inference, beta, progress)


class Stack:
    """The training of ``modules`` whose models have one architecture, on the images of ``data``.

    Args:
        modules: on one device; ``checkpoints`` gives them their weights back.
        data: set up; its order of images is drawn for each experiment's seed.
        epochs: how many.
        compile: the mode in which torch.compile takes the losses of all, such as ``reduce-overhead``, which makes CUDA
            graphs of them and of their gradients; None: not.
    """

    def __init__(
        self, modules: Sequence[VAEModule], data: ImageDataModule, epochs: int, compile: str | None = None
    ) -> None:
        model = modules[0].model
        if not (model.posterior is not None and model.posterior.is_normal) or model.classes:
            raise InputError(
                f"stacked runs need posterior=gaussian and no labels, got {type(model.posterior).__name__} in "
                f"{type(model).__name__}"
            )
        if model.is_solved:
            raise InputError("stacked runs need weights to train: a model in closed form has none")
        if modules[0].objective.has_latent_gradients:
            raise InputError("stacked runs cannot take loss.dreg=true, which wants each code's gradient: leave it out")
        if data.binarize == "dynamic":
            raise InputError("stacked runs need images that are drawn once: data.binarize=dynamic is not for them")
        self.modules, self.data, self.epochs = list(modules), data, epochs
        self.device = next(model.parameters()).device
        with torch.no_grad():
            self.latent = model.prior_distribution().event_shape[0]
        self.loss = _Loss(modules[0])
        self._stack_weights()
        self._losses = vmap(
            lambda weights, progress, *given: functional_call(self.loss, weights, (*given, progress)),
            in_dims=(0, None, 0, 0, 0),
        )
        if compile is not None:
            self._losses = torch.compile(self._losses, mode=compile)
        train = data.sets["train"]
        self.images = IndexedImages(train.images.to(self.device), train.labels)
        seeds = [experiment.config["data"]["seed"] for experiment in modules]
        self.batches = [Batches(self.images, data.batch_size, seed, device=self.device) for seed in seeds]
        self.steps = epochs * len(self.batches[0])
        self.step = 0

    def _stack_weights(self) -> None:
        """One tensor ``(N, ...)`` for each weight of N models, and one optimizer for all."""
        own = [dict(_Loss(experiment).named_parameters()) for experiment in self.modules]
        self.weights = {
            name: torch.stack([weights[name].detach() for weights in own]).requires_grad_(weight.requires_grad)
            for name, weight in own[0].items()
        }
        own = [experiment.configure_optimizers() for experiment in self.modules]
        if type(own[0]) not in LINEAR_IN_THE_RATE:
            raise InputError(f"stacked runs need optimizer=adam, adamw or adamax, got {type(own[0]).__name__}")
        self.rates = [optimizer.param_groups[0]["lr"] for optimizer in own]
        self.optimizer = self.modules[0].optimizer(list(self.weights.values()))
        for group in self.optimizer.param_groups:
            group["lr"] = 1.0  # each run's own follows in train_step

    def train_epoch(self, epoch: int) -> list[float]:
        """Train all for one epoch, counted from 0; the mean training loss of each, none of which another's spoils."""
        generators = []
        for experiment, batches in zip(self.modules, self.batches, strict=True):
            batches.set_epoch(epoch)
            seed = rng.mix(experiment.seed, rng.TRAIN, epoch, 0)  # as VAEModule seeds its epochs
            generators.append(torch.Generator(self.device).manual_seed(seed))
        losses = []
        for together in zip(*(batches.indices() for batches in self.batches), strict=True):
            indices = torch.stack(together)
            x = self.data.scale(self.images.images.index_select(0, indices.flatten())).unflatten(0, indices.shape)
            losses.append(self.train_step(x, self._draw(generators, indices.shape[1])))
        return torch.cat(losses, 1).double().mean(1).tolist()

    def _draw(self, generators: Sequence[torch.Generator], images: int) -> Tensor:
        """Standard normal noise ``(N, K, B, D)``, each run's of its own stream."""
        shape = (self.loss.objective.samples, images, self.latent)
        return torch.stack(
            [torch.empty(shape, device=self.device).normal_(generator=generator) for generator in generators]
        )

    def train_step(self, x: Tensor, drawn: Tensor) -> Tensor:
        """One optimizer step of each on its own images ``(N, B, 1, H, W)``; losses ``(N, B)``."""
        betas = torch.tensor([each.beta(self.step, self.steps) for each in self.modules], device=self.device)
        rates = torch.tensor(self._rates_at(self.step), device=self.device)
        self.optimizer.zero_grad()
        losses = self._losses(self.weights, self.step / self.steps, x, drawn, betas)
        losses.mean(1).sum().backward()
        with torch.no_grad():
            trained = [weight for weight in self.weights.values() if weight.requires_grad]
            before = [weight.clone() for weight in trained]
            self.optimizer.step()
            for weight, old in zip(trained, before, strict=True):  # of a step at the rate 1, each run's own share
                weight.copy_(torch.lerp(old, weight, rates.view(-1, *[1] * (weight.dim() - 1))))
        self.step += 1
        return losses.detach().clone()  # the next step's CUDA graph would write over it

    def _rates_at(self, step: int) -> list[float]:
        """Each run's learning rate."""
        pairs = zip(self.modules, self.rates, strict=True)
        return [experiment.lr(step, self.steps) * rate for experiment, rate in pairs]

    def checkpoints(self) -> list[dict]:
        """What Lightning would have saved after the last epoch of each, to go on from, and to test."""
        return [self._checkpoint(run, rate) for run, rate in enumerate(self._rates_at(self.step - 1))]

    def _optimizer_state(self, run: int, rate: float) -> dict:
        """Of one run alone."""
        stacked = self.optimizer.state_dict()
        state = {
            index: {name: value[run].clone() if value.dim() else value.clone() for name, value in moments.items()}
            for index, moments in stacked["state"].items()
        }
        return {"state": state, "param_groups": [{**group, "lr": rate} for group in stacked["param_groups"]]}

    def _checkpoint(self, run: int, rate: float) -> dict:
        experiment = self.modules[run]
        with torch.no_grad():
            for name, weight in _Loss(experiment).named_parameters():
                weight.copy_(self.weights[name][run])
        per_epoch, steps = len(self.batches[0]), self.step

        def progress(current: int, total: int, *names: str) -> dict:
            return {"current": dict.fromkeys(names, current), "total": dict.fromkeys(names, total)}

        batch = ("completed", "processed", "ready", "started")
        epochs = {"completed": self.epochs - 1, "processed": self.epochs, "ready": self.epochs, "started": self.epochs}
        return {
            "epoch": self.epochs - 1,
            "global_step": steps,
            "pytorch-lightning_version": lightning_version,
            "state_dict": experiment.state_dict(),
            "loops": {
                "fit_loop": {
                    "state_dict": {},
                    "epoch_progress": {"current": dict(epochs), "total": dict(epochs)},
                    "epoch_loop.state_dict": {"_batches_that_stepped": steps},
                    "epoch_loop.batch_progress": {**progress(per_epoch, steps, *batch), "is_last_batch": True},
                    "epoch_loop.automatic_optimization.state_dict": {},
                    "epoch_loop.automatic_optimization.optim_progress": {
                        "optimizer": {
                            "step": progress(per_epoch, steps, "completed", "ready"),
                            "zero_grad": progress(per_epoch, steps, "completed", "ready", "started"),
                        }
                    },
                }
            },
            "callbacks": {},
            "optimizer_states": [self._optimizer_state(run, rate)],
            "lr_schedulers": [],
            "config": experiment.config,
            "data": self.data.describe(),
        }
