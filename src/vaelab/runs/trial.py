"""The trial before the training: every piece is asked to keep its contract on two images."""

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.models.contracts import Model
from vaelab.models.distributions import factors
from vaelab.runs.options import flatten
from vaelab.training.module import VAEModule

IMAGES = 2


def check_image_shape(config: dict, data: ImageDataModule) -> None:
    """Raise an InputError where an option gives a network, a prior or a model another image shape than the data's."""
    shape = list(data.sets["train"].images.shape[1:])
    options = flatten(config).items()
    wrong = [(option, value) for option, value in options if option.endswith(".image") and list(value) != shape]
    if wrong:
        option, value = min(wrong, key=lambda pair: pair[0].count("."))
        raise InputError(f"{option}={value} is not the shape of the images of {data.name}: take {option}={shape}")


def check_labels(model: Model, data: ImageDataModule) -> None:
    """Raise an InputError where a model conditioned on labels knows too few of them."""
    highest = int(data.sets["train"].labels.max())
    if model.classes is not None and highest >= model.classes:
        raise InputError(
            f"model.classes={model.classes} does not fit {data.name}, whose labels go up to {highest}: "
            f"take model.classes={highest + 1}"
        )


def check_contracts(module: VAEModule, data: ImageDataModule) -> None:
    """Run the model and its objective once, and raise an InputError where a shape breaks a contract."""
    train = data.sets["train"]
    x, labels = train[torch.arange(min(IMAGES, len(train)))]
    x = data.scale(x)
    model = module.model.given(labels)
    inference = model(x, module.objective.samples)
    if model.posterior is not None:
        _check(model.posterior, "q(z|x)", inference.q, x.shape[:1], inference.p.event_shape)
        _check(model.prior, "p(z)", inference.p, Size(), inference.q.event_shape)
        _check(model.likelihood, "p(x|z)", inference.px, inference.z.shape[:-1], x.shape[1:])
    elif inference.px.event_shape != x.shape[1:]:
        _check(model.likelihood, "p(x|z)", inference.px, inference.px.batch_shape, x.shape[1:])
    if model.has_kl_per_latent:
        factors(inference.q), factors(inference.p)
    _, loss = module.infer((x, labels), 0)
    _check_tensor(f"{type(module.objective).__name__}.__call__", loss, x.shape[:1])


def _check(piece: object, letter: str, made: Distribution, batch: Size, event: Size) -> None:
    if not isinstance(made, Distribution):
        raise InputError(
            f"{type(piece).__name__}.forward must return {letter} as a torch.distributions.Distribution, "
            f"got {type(made).__name__}"
        )
    if made.batch_shape != batch or made.event_shape != event:
        raise InputError(
            f"{type(piece).__name__}.forward must return {letter} with batch shape {tuple(batch)} and event shape "
            f"{tuple(event)}, got {tuple(made.batch_shape)} and {tuple(made.event_shape)}"
        )


def _check_tensor(method: str, made: object, shape: Size) -> None:
    if not isinstance(made, Tensor) or made.shape != shape:
        got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise InputError(f"{method} must return a tensor of shape {tuple(shape)}, got {got}")
