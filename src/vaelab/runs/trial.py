"""The trial before the training: every piece is asked to keep its contract on two images."""

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.models.contracts import Model, Objective, Piece, Posterior
from vaelab.models.distributions import factors
from vaelab.models.inference import Inference
from vaelab.runs.options import flatten
from vaelab.training.module import VAEModule

IMAGES = 2


def check_image_shape(config: dict, data: ImageDataModule) -> None:
    """Raise an InputError where an option gives a network, a prior or a model another image shape than the data's."""
    shape = list(data.sets["train"].images.shape[1:])
    options = flatten(config).items()
    wrong = [(option, value) for option, value in options if option.endswith(".image") and value != shape]
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


def check_contracts(module: VAEModule, data: ImageDataModule) -> dict[str, float]:
    """Run the model and its objective once; returns the metrics of the untrained model.

    **Raises**
        InputError: what a piece returns breaks its contract.
    """
    train = data.sets["train"]
    x, labels = train[torch.arange(min(IMAGES, len(train)))]
    x = data.scale(x)
    model = module.model.given(labels)
    if model.posterior is not None:
        _check_pieces(model, model.posterior, x)
    inference, loss = module.infer((x, labels), 0)
    _check_distribution(model.likelihood, "p(x|z)", inference.px, inference.px.batch_shape, x.shape[1:])
    if model.has_kl_per_latent:
        _check_kl_per_latent(model, inference)
    _check_loss(module.objective, loss, x.shape[:1])
    return {name: float(values.mean()) for name, values in module.metrics(inference, loss).items()}


def _check_kl_per_latent(model: Model, inference: Inference) -> None:
    """Products of distributions promise a KL term for each latent in closed form; torch must know it."""
    q, p = factors(inference.q), factors(inference.p)
    try:
        _ = inference.kl_per_latent
    except NotImplementedError as error:
        raise InputError(
            f"{_name(model.prior)} sets is_product, and torch knows no KL of {type(q).__name__} to {type(p).__name__}: "
            "leave is_product at False, or add the closed form by torch.distributions.register_kl"
        ) from error


def _check_pieces(model: Model, posterior: Posterior, x: Tensor) -> None:
    """Call posterior, prior and likelihood one after the other, so that the first wrong one is named."""
    q, p = model.encode(x), model.prior_distribution()
    _check_distribution(posterior, "q(z|x)", q, x.shape[:1])
    _check_distribution(model.prior, "p(z)", p, Size())
    if q.event_shape != p.event_shape:
        raise InputError(
            f"q(z|x) of {_name(posterior)} has the event shape {tuple(q.event_shape)}, and p(z) of "
            f"{_name(model.prior)} {tuple(p.event_shape)}: give both the same number of latents"
        )
    if model.has_continuous_latents and not q.has_rsample:
        raise InputError(
            f"{_name(posterior)}.forward must return a distribution with rsample, through which gradients flow, "
            f"got {type(q).__name__}"
        )
    z = q.sample((IMAGES,))
    _check_distribution(model.likelihood, "p(x|z)", model.decode(z), z.shape[:-1], x.shape[1:])


def _check_distribution(piece: Piece, letter: str, made: Distribution, batch: Size, event: Size | None = None) -> None:
    if not isinstance(made, Distribution):
        raise InputError(
            f"{_name(piece)}.forward must return {letter} as a torch.distributions.Distribution, "
            f"got {type(made).__name__}"
        )
    if made.batch_shape != batch:
        raise InputError(
            f"{_name(piece)}.forward must return {letter} with the batch shape {tuple(batch)}, "
            f"got {tuple(made.batch_shape)}"
        )
    if event is not None and made.event_shape != event:
        raise InputError(
            f"{_name(piece)}.forward must return {letter} with the event shape {tuple(event)}, "
            f"got {tuple(made.event_shape)}"
        )


def _check_loss(objective: Objective, loss: object, shape: Size) -> None:
    if not isinstance(loss, Tensor) or loss.shape != shape:
        got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(
            f"{_name(objective)}.__call__ must return a tensor of the shape {tuple(shape)}, a loss for each image, "
            f"got {got}"
        )


def _name(piece: object) -> str:
    return f"{type(piece).__module__}.{type(piece).__qualname__}"
