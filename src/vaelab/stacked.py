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

from vaelab import noise
from vaelab.cells import ANY, differences
from vaelab.conditionals import GaussianPosterior
from vaelab.data import Batches, ImageData, IndexedImages
from vaelab.experiment import Experiment
from vaelab.model import Inference, LatentVariableModel

NUMBERS = ("seed", "data.seed", "beta.weight", "optimizer.lr")  # in which stacked runs may differ
# Optimizers that take a step of rate times what does not depend on the rate, weight by weight.
LINEAR_IN_THE_RATE = (torch.optim.Adam, torch.optim.AdamW, torch.optim.Adamax)
TRAINER = {
    "max_epochs", "precision", "log_every_n_steps", "check_val_every_n_epoch", "gradient_clip_val", "compile",
    "benchmark", "accelerator", "devices", "strategy",
}  # fmt: skip


def check_stackable(configs: Sequence[dict]) -> None:
    """A ValueError where runs of ``configs`` cannot be trained together."""
    for config in configs:
        changed = differences(configs[0], config, (*ANY, *NUMBERS))
        if changed:
            raise ValueError(
                f"stacked runs may differ in seed, beta.weight and optimizer.lr alone, and here {changed[0]}"
            )
        if config["ckpt"]:
            raise ValueError(f"stacked runs begin anew, got ckpt={config['ckpt']}")
    config = configs[0]
    wanted = {
        ("trainer", "gradient_clip_val"): None, ("trainer", "precision"): "32-true", ("trainer", "devices"): 1,
        ("evaluation", "ema"): None, ("evaluation", "checkpoint"): "last",
    }  # fmt: skip
    for (section, option), value in wanted.items():
        if config[section][option] != value:
            said = "null" if value is None else value
            raise ValueError(f"stacked runs need {section}.{option}={said}, got {config[section][option]}")
    added = sorted(config["trainer"].keys() - TRAINER)
    if added:
        raise ValueError(f"stacked runs are trained without Lightning's Trainer: leave +trainer.{added[0]} out")


class _Loss(nn.Module):
    """The loss per image ``(B,)`` of one model, its noise given instead of drawn."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.model: LatentVariableModel = experiment.model
        self.objective = experiment.objective

    def forward(self, x: Tensor, drawn: Tensor, beta: Tensor, progress: float) -> Tensor:
        q = self.model.encode(x)
        z = q.base_dist.loc + q.base_dist.scale * drawn
        inference = Inference(x, z, q, self.model.prior(self.model.posterior), self.model.decode(z))
        return self.objective(inference, beta, progress)


class Stack:
    """The training of ``experiments`` whose models have one architecture, on the images of ``data``.

    Args:
        experiments: on one device; ``checkpoints`` gives them their weights back.
        data: set up; its order of images is drawn for each experiment's seed.
        epochs: how many.
        compile: the mode in which torch.compile takes the losses of all, such as ``reduce-overhead``, which makes CUDA
            graphs of them and of their gradients; None: not.
    """

    def __init__(
        self, experiments: Sequence[Experiment], data: ImageData, epochs: int, compile: str | None = None
    ) -> None:
        model = experiments[0].model
        if not isinstance(model.posterior, GaussianPosterior) or model.classes:
            raise ValueError(
                f"stacked runs need posterior=gaussian and no labels, got {type(model.posterior).__name__} in "
                f"{type(model).__name__}"
            )
        if experiments[0].is_solved:
            raise ValueError("stacked runs need weights to train: a model in closed form has none")
        if getattr(experiments[0].objective, "dreg", False):
            raise ValueError("stacked runs cannot take loss.dreg=true, which wants each code's gradient: leave it out")
        if data.binarize == "dynamic":
            raise ValueError("stacked runs need images that are drawn once: data.binarize=dynamic is not for them")
        self.experiments, self.data, self.epochs = list(experiments), data, epochs
        self.device = next(model.parameters()).device
        with torch.no_grad():
            self.latent = model.prior(model.posterior).event_shape[0]
        self.loss = _Loss(experiments[0])
        self._stack_weights()
        self._losses = vmap(
            lambda weights, progress, *given: functional_call(self.loss, weights, (*given, progress)),
            in_dims=(0, None, 0, 0, 0),
        )
        if compile is not None:
            self._losses = torch.compile(self._losses, mode=compile)
        train = data.sets["train"]
        self.images = IndexedImages(train.images.to(self.device), train.labels)
        seeds = [experiment.config["data"]["seed"] for experiment in experiments]
        self.batches = [Batches(self.images, data.batch_size, seed, device=self.device) for seed in seeds]
        self.steps = epochs * len(self.batches[0])
        self.step = 0

    def _stack_weights(self) -> None:
        """One tensor ``(N, ...)`` for each weight of N models, and one optimizer for all."""
        own = [dict(_Loss(experiment).named_parameters()) for experiment in self.experiments]
        self.weights = {
            name: torch.stack([weights[name].detach() for weights in own]).requires_grad_(weight.requires_grad)
            for name, weight in own[0].items()
        }
        own = [experiment.configure_optimizers() for experiment in self.experiments]
        if type(own[0]) not in LINEAR_IN_THE_RATE:
            raise ValueError(f"stacked runs need optimizer=adam, adamw or adamax, got {type(own[0]).__name__}")
        self.rates = [optimizer.param_groups[0]["lr"] for optimizer in own]
        self.optimizer = self.experiments[0].optimizer(list(self.weights.values()))
        for group in self.optimizer.param_groups:
            group["lr"] = 1.0  # each run's own follows in train_step

    def train_epoch(self, epoch: int) -> list[float]:
        """Train all for one epoch, counted from 0; the mean training loss of each, none of which another's spoils."""
        generators = []
        for experiment, batches in zip(self.experiments, self.batches, strict=True):
            batches.set_epoch(epoch)
            seed = noise.mix(experiment.seed, noise.TRAIN, epoch, 0)  # as Experiment seeds its epochs
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
        betas = torch.tensor([each.beta(self.step, self.steps) for each in self.experiments], device=self.device)
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
        pairs = zip(self.experiments, self.rates, strict=True)
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
        experiment = self.experiments[run]
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
