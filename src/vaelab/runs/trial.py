"""The trial before the training: every piece is called on two images, and checked against its contract."""

from collections.abc import Mapping

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.models.contracts import Model, Objective, Piece, Posterior
from vaelab.models.distributions import factors
from vaelab.models.inference import Inference
from vaelab.runs.options import flatten
from vaelab.runs.pieces import name_of
from vaelab.runs.trial_networks import check_schedule
from vaelab.runs.trial_tensors import check_gradients, check_placement, explaining_values
from vaelab.training.module import Batch, VAEModule

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


def trial_batch(data: ImageDataModule) -> Batch:
    """The first two training images, as models get them, with their labels."""
    train = data.sets["train"]
    x, labels = train[torch.arange(min(IMAGES, len(train)))]
    return data.scale(x), labels


def check_contracts(module: VAEModule, data: ImageDataModule) -> dict[str, float]:
    """Run the model and its objective once; returns the metrics of the untrained model.

    **Raises**
        InputError: what a piece returns breaks its contract.
    """
    check_placement(module)
    for option, schedule in (("beta", module.beta), ("lr", module.lr)):
        check_schedule(option, schedule)
    x, labels = trial_batch(data)
    model = module.model.given(labels)
    if model.posterior is not None:
        _check_pieces(model, model.posterior, x)
    inference, loss = module.infer((x, labels), 0)
    _check_distribution(model.likelihood, "p(x|z)", inference.px, inference.px.batch_shape, x.shape[1:])
    if model.has_kl_per_latent:
        _check_kl_per_latent(model, inference)
    _check_loss(module.objective, loss, x.shape[:1])
    check_gradients(module, model, (x, labels))
    return {name: float(values.mean()) for name, values in module.metrics(inference, loss).items()}


def _check_kl_per_latent(model: Model, inference: Inference) -> None:
    """Products of distributions promise a KL term for each latent in closed form; torch must know it."""
    q, p = factors(inference.q), factors(inference.p)
    try:
        _ = inference.kl_per_latent
    except NotImplementedError as error:
        raise InputError(
            f"{name_of(model.prior)} sets is_product, and torch knows no KL of {type(q).__name__} to "
            f"{type(p).__name__}: leave is_product at False, or add the closed form by torch.distributions.register_kl"
        ) from error


def _check_pieces(model: Model, posterior: Posterior, x: Tensor) -> None:
    """Call posterior, prior and likelihood one after the other, so that the first wrong one is named."""
    with explaining_values(posterior, "q(z|x)"):
        q = model.encode(x)
    with explaining_values(model.prior, "p(z)"):
        p = model.prior_distribution()
    _check_distribution(posterior, "q(z|x)", q, x.shape[:1])
    _check_distribution(model.prior, "p(z)", p, Size())
    if q.event_shape != p.event_shape:
        raise InputError(
            f"q(z|x) of {name_of(posterior)} has the event shape {tuple(q.event_shape)}, and p(z) of "
            f"{name_of(model.prior)} {tuple(p.event_shape)}: give both the same number of latents"
        )
    if model.has_continuous_latents and not q.has_rsample:
        raise InputError(
            f"{name_of(posterior)}.forward must return a distribution with rsample, through which gradients flow, "
            f"got {type(q).__name__}"
        )
    z = q.sample((IMAGES,))
    with explaining_values(model.likelihood, "p(x|z)"):
        px = model.decode(z)
    _check_distribution(model.likelihood, "p(x|z)", px, z.shape[:-1], x.shape[1:])
    if posterior.has_density:
        _check_values(posterior, "q(z|x)", q, {"log_prob": z, "mean": None, "variance": None})
        _check_values(model.prior, "p(z)", p, {"log_prob": z, "sample": None})
    _check_values(model.likelihood, "p(x|z)", px, {"log_prob": x, "mean": None, "sample": None})


def _check_values(piece: Piece, letter: str, made: Distribution, needed: Mapping[str, Tensor | None]) -> None:
    """Call the methods of a distribution that its contract demands: method -> its argument."""
    for method, argument in needed.items():
        try:
            with explaining_values(piece, f"{method} of {letter}"):
                value = getattr(made, method)
                value = value if isinstance(value, Tensor) else value() if argument is None else value(argument)
        except NotImplementedError as error:
            raise InputError(
                f"{name_of(piece)}.forward must return {letter} with {method}, which {type(made).__name__} lacks"
            ) from error
        shape = made.batch_shape if method == "log_prob" else made.batch_shape + made.event_shape
        if method == "log_prob" and argument is not None and letter != "p(x|z)":
            shape = argument.shape[:-1]
        if value.shape != shape:
            raise InputError(
                f"{name_of(piece)}.forward: {method} of {letter} must have the shape {tuple(shape)}, "
                f"got {tuple(value.shape)}"
            )
        if not torch.isfinite(value).all():
            raise InputError(
                f"{name_of(piece)}.forward: {method} of {letter} is not finite before the training, "
                "for the first two training images"
            )


def _check_distribution(piece: Piece, letter: str, made: Distribution, batch: Size, event: Size | None = None) -> None:
    if not isinstance(made, Distribution):
        raise InputError(
            f"{name_of(piece)}.forward must return {letter} as a torch.distributions.Distribution, "
            f"got {type(made).__name__}"
        )
    if made.batch_shape != batch:
        extra = len(made.batch_shape) - len(batch)
        hint = f": wrap it in torch.distributions.Independent(..., {extra})" if extra > 0 else ""
        raise InputError(
            f"{name_of(piece)}.forward must return {letter} with the batch shape {tuple(batch)}, "
            f"got {tuple(made.batch_shape)}{hint}"
        )
    if event is not None and made.event_shape != event:
        raise InputError(
            f"{name_of(piece)}.forward must return {letter} with the event shape {tuple(event)}, "
            f"got {tuple(made.event_shape)}"
        )


def _check_loss(objective: Objective, loss: object, shape: Size) -> None:
    if isinstance(loss, Tensor) and loss.shape == shape and not torch.isfinite(loss).all():
        raise InputError(
            f"{name_of(objective)}.__call__ must return a finite loss, got {loss.tolist()} for the first two images"
        )
    if not isinstance(loss, Tensor) or loss.shape != shape:
        got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(
            f"{name_of(objective)}.__call__ must return a tensor of the shape {tuple(shape)}, a loss for each image, "
            f"got {got}"
        )
