"""Images of several sizes and colours, with every network, likelihood and prior: trained a step and evaluated."""

import itertools
import math
from functools import cache

import pytest
import torch
from compositions import composed, experiment

from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import ImageDataModule
from vaelab.evaluation.evaluated_model import Evaluation
from vaelab.evaluation.settings import Settings
from vaelab.evaluation.suite import evaluate
from vaelab.plots import path_plots, sample_plots
from vaelab.plots.run_plots import RunPlots
from vaelab.runs import onnx_export as export
from vaelab.training.module import VAEModule

IMAGES = {
    "grey_28x28": (1, 28, 28),
    "grey_33x47": (1, 33, 47),
    "colour_32x32": (3, 32, 32),
    "colour_64x64": (3, 64, 64),
}
NETWORKS = {"mlp": ["network.hidden=[8]"], "conv": ["network.channels=[4,8]", "network.hidden=[8]"],
            "resnet": ["network.channels=[8,8]", "network.hidden=[8]"]}  # fmt: skip
LIKELIHOODS = ("bernoulli", "gaussian", "discretized_logistic", "logistic_mixture")
PRIORS = {"normal": [], "vamp": ["prior.components=4"], "flow": []}
QUICK = Settings(nll_samples=3, prior_samples=0)


class Blobs(ImageDataModule):
    """Images of any shape with a bright part in one of two places."""

    def __init__(self, image: tuple[int, int, int]) -> None:
        super().__init__("blobs", batch_size=4, eval_batch_size=4, val=4)
        self.image = image

    def read(self) -> ImageSet:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 60, (20, *self.image), generator=generator, dtype=torch.uint8)
        labels = torch.arange(20) % 2
        images[labels == 1, :, : self.image[1] // 2] += 180
        return ImageSet(self.name, images[:14], labels[:14], images[14:], labels[14:])


@cache
def blobs(images: str) -> Blobs:
    data = Blobs(IMAGES[images])
    data.setup()
    return data


def module_for(images: str, network: str, likelihood: str, prior: str) -> VAEModule:
    """After one step of training."""
    shape = ",".join(map(str, IMAGES[images]))
    words = [f"data.shape=[{shape}]", f"network={network}", f"likelihood={likelihood}", f"prior={prior}", "latent=3"]
    if likelihood == "logistic_mixture":
        words.append("likelihood.components=2")
    torch.manual_seed(0)
    module = experiment(composed(*words, *NETWORKS[network], *PRIORS[prior]))
    data = blobs(images)
    x = data.scale(data.sets["train"].images[:4])
    module.start_from_images(lambda: data.scale(data.sets["train"].images), torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(module.parameters(), 1e-3)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    _, loss = module.infer((x, torch.zeros(4, dtype=torch.int64)), 0)
    loss.mean().backward()
    optimizer.step()
    assert all((now != then).any() for now, then in zip(module.parameters(), before, strict=True))
    return module.eval()


EVERY = list(itertools.product(IMAGES, NETWORKS, LIKELIHOODS, PRIORS))


# Plots take most of a second: every pair of choices has one, not every combination.
DRAWN = {
    choice
    for choice in EVERY
    if sum(list(kinds).index(name) for kinds, name in zip((IMAGES, NETWORKS, LIKELIHOODS, PRIORS), choice, strict=True))
    % len(LIKELIHOODS) == 0
}  # fmt: skip


def is_slow(images: str, network: str, likelihood: str, prior: str) -> bool:
    """The mean of a mixture sums over 256 levels of every value."""
    return likelihood == "logistic_mixture" and images == "colour_64x64"


@pytest.mark.parametrize(
    ("images", "network", "likelihood", "prior"),
    [pytest.param(*choice, marks=[pytest.mark.engine] if is_slow(*choice) else []) for choice in EVERY],
)
@torch.no_grad()
def test_every_kind_of_image_is_trained_on_evaluated_and_plotted(images, network, likelihood, prior, tmp_path):
    with torch.enable_grad():
        module = module_for(images, network, likelihood, prior)
    data = blobs(images)
    evaluated = module.evaluated(data)
    found = evaluate("likelihood", Evaluation.of(evaluated, QUICK, tmp_path))
    assert math.isfinite(found["nll"])
    assert ("bits_per_dim" in found) == (likelihood in ("discretized_logistic", "logistic_mixture"))
    _, px = module.model.sample(2)
    assert px.mean.shape == px.sample().shape == (2, *IMAGES[images])
    if (images, network, likelihood, prior) not in DRAWN:
        return
    wanted = [sample_plots.samples, sample_plots.reconstructions, path_plots.traversal]
    drawn = RunPlots(evaluated, "a title").draw(*wanted, *([sample_plots.pseudo_inputs] if prior == "vamp" else []))
    assert len(drawn) == (4 if prior == "vamp" else 3)
    assert all(plot.std() > 5 for plot in drawn.values())


# Exports take seconds: every size with every network, and the likelihoods in turn. A prior is not exported.
EXPORTED = [
    (images, network, LIKELIHOODS[(row + column) % len(LIKELIHOODS)])
    for row, images in enumerate(IMAGES)
    for column, network in enumerate(NETWORKS)
]


@pytest.mark.engine
@pytest.mark.parametrize(("images", "network", "likelihood"), EXPORTED)
@torch.no_grad()
def test_every_kind_of_image_is_exported(images, network, likelihood, tmp_path):
    with torch.enable_grad():
        model = module_for(images, network, likelihood, "normal").model
    for name, module in (("encoder", export.Encoder(model)), ("decoder", export.Decoder(model))):
        export.export(module.eval(), export.example(model, 3)[name], tmp_path / name)
        assert export.difference(module, export.example(model, 7)[name], tmp_path / name) < export.TOLERANCE
