"""Runs that differ only in numbers, trained together: one batched product instead of one product for each run.

On a GPU a small model leaves most of the device idle, and many of them cost little more than one. Each run draws its
own order of the images and its own noise, so its weights become what they would be alone, up to the rounding of
batched products.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.func import functional_call, vmap

from vaelab import rng
from vaelab.data.batches import Batches
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.models.distributions import factors
from vaelab.models.inference import Inference
from vaelab.training.lightning_internals import checkpoint_at_end
from vaelab.training.module import VAEModule
from vaelab.training.optimizers import is_linear_in_rate


class _Loss(nn.Module):
    """The loss per image ``(B,)`` of one model, with its noise given instead of drawn."""

    def __init__(self, module: VAEModule) -> None:
        super().__init__()
        self.model = module.model
        self.objective = module.objective

    def forward(self, x: Tensor, noise: Tensor, beta: Tensor, progress: float) -> Tensor:
        q = self.model.encode(x)
        normal = cast(Normal, factors(q))  # the contract of a posterior with is_normal
        z = normal.loc + normal.scale * noise
        inference = Inference(x, z, q, self.model.prior_distribution(), self.model.decode(z))
        return self.objective(inference, cast(float, beta), progress)  # under vmap β is a tensor without dimensions


class Stack:
    """The training of ``modules`` whose models have one architecture, on the images of ``data``.

    **Arguments**
        modules: on one device; ``checkpoints`` gives them their weights back.
        data: set up; its order of images is drawn with each module's seed.
        epochs: how many.
        compile: the mode in which torch.compile compiles the losses of all, such as ``reduce-overhead``, which makes
            CUDA graphs of them and of their gradients; None: it does not.

    **Raises**
        InputError: the model, its objective, its optimizer or the data cannot be stacked.
    """

    def __init__(
        self, modules: Sequence[VAEModule], data: ImageDataModule, epochs: int, compile: str | None = None
    ) -> None:
        _check(modules[0], data)
        model = modules[0].model
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
        self.images = train.to(self.device)
        seeds = [module.config["data"]["seed"] for module in modules]
        self.batches = [Batches(self.images, data.batch_size, seed, device=self.device) for seed in seeds]
        self.steps = epochs * len(self.batches[0])
        self.step = 0

    def _stack_weights(self) -> None:
        """One tensor ``(N, ...)`` for each weight of N models, and one optimizer for all."""
        own = [dict(_Loss(module).named_parameters()) for module in self.modules]
        self.weights = {
            name: torch.stack([weights[name].detach() for weights in own]).requires_grad_(weight.requires_grad)
            for name, weight in own[0].items()
        }
        optimizers = [module.configure_optimizers() for module in self.modules]
        if not is_linear_in_rate(optimizers[0]):
            raise InputError(f"stacked runs need optimizer=adam, adamw or adamax, got {type(optimizers[0]).__name__}")
        self.rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
        self.optimizer = self.modules[0].optimizer(cast(Iterable[nn.Parameter], list(self.weights.values())))
        for group in self.optimizer.param_groups:
            group["lr"] = 1.0  # train_step applies each run's own rate

    def train_epoch(self, epoch: int) -> list[float]:
        """Train all runs for the epoch with this number, from 0; the mean training loss of each."""
        generators = []
        for module, batches in zip(self.modules, self.batches, strict=True):
            batches.set_epoch(epoch)
            seed = rng.mix(module.seed, rng.TRAIN, epoch, 0)  # as VAEModule seeds its epochs
            generators.append(torch.Generator(self.device).manual_seed(seed))
        losses = []
        for together in zip(*(batches.indices() for batches in self.batches), strict=True):
            indices = torch.stack(together)
            x = self.data.scale(self.images[indices.flatten()][0]).unflatten(0, indices.shape)
            losses.append(self.train_step(x, self._draw(generators, indices.shape[1])))
        return torch.cat(losses, 1).double().mean(1).tolist()

    def _draw(self, generators: Sequence[torch.Generator], images: int) -> Tensor:
        """Standard normal noise ``(N, K, B, D)``, each run's from its own generator."""
        shape = (self.loss.objective.samples, images, self.latent)
        return torch.stack(
            [torch.empty(shape, device=self.device).normal_(generator=generator) for generator in generators]
        )

    def train_step(self, x: Tensor, noise: Tensor) -> Tensor:
        """One optimizer step of each run on its own images ``(N, B, C, H, W)``; losses ``(N, B)``."""
        betas = torch.tensor([module.beta(self.step, self.steps) for module in self.modules], device=self.device)
        rates = torch.tensor(self._rates_at(self.step), device=self.device)
        self.optimizer.zero_grad()
        losses: Tensor = self._losses(self.weights, self.step / self.steps, x, noise, betas)
        losses.mean(1).sum().backward()
        with torch.no_grad():
            trained = [weight for weight in self.weights.values() if weight.requires_grad]
            before = [weight.clone() for weight in trained]
            self.optimizer.step()
            for weight, old in zip(trained, before, strict=True):  # each run's share of a step at rate 1
                weight.copy_(torch.lerp(old, weight, rates.view(-1, *[1] * (weight.dim() - 1))))
        self.step += 1
        return losses.detach().clone()  # the next step's CUDA graph would overwrite it

    def _rates_at(self, step: int) -> list[float]:
        """The learning rate of each run."""
        pairs = zip(self.modules, self.rates, strict=True)
        return [module.lr(step, self.steps) * rate for module, rate in pairs]

    def checkpoints(self) -> list[dict]:
        """What Lightning would have saved of each run after the last epoch, to resume from and to test."""
        return [self._checkpoint(run, rate) for run, rate in enumerate(self._rates_at(self.step - 1))]

    def _checkpoint(self, run: int, rate: float) -> dict:
        module = self.modules[run]
        with torch.no_grad():
            for name, weight in _Loss(module).named_parameters():
                weight.copy_(self.weights[name][run])
        return checkpoint_at_end(
            module.state_dict(), self._optimizer_state(run, rate), self.epochs, len(self.batches[0]),
            module.checkpoint_contents(self.data),
        )  # fmt: skip

    def _optimizer_state(self, run: int, rate: float) -> dict:
        stacked = self.optimizer.state_dict()
        state = {index: _of_run(moments, run) for index, moments in stacked["state"].items()}
        return {"state": state, "param_groups": [{**group, "lr": rate} for group in stacked["param_groups"]]}


def _of_run(moments: Mapping[str, Tensor], run: int) -> dict[str, Tensor]:
    return {name: value[run].clone() if value.dim() else value.clone() for name, value in moments.items()}


def _check(module: VAEModule, data: ImageDataModule) -> None:
    model = module.model
    if not model.posterior.is_normal or model.classes:
        raise InputError(
            f"stacked runs need posterior=gaussian and no labels, got {type(model.posterior).__name__} in "
            f"{type(model).__name__}"
        )
    if model.betas is not None:
        raise InputError(f"stacked runs have one beta each, and {type(model).__name__} has a range: take model=vae")
    if model.is_solved:
        raise InputError("stacked runs need weights to train: a model in closed form has none")
    if module.objective.has_latent_gradients:
        raise InputError(
            "stacked runs cannot take loss.dreg=true, which needs gradients with respect to the latents: leave it out"
        )
    if not module.objective.infers_by_model:
        raise InputError(
            f"stacked runs call the model themselves, and {type(module.objective).__name__}.infer calls it in another "
            "way: train one run at a time, or leave out loss.gradient_samples and loss.first_samples"
        )
    if data.binarize == "dynamic":
        raise InputError("stacked runs need images that are drawn once: data.binarize=dynamic is not for them")
