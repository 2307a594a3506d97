"""Configurations of runs that older versions made, with today's class names. Weights and results need no change."""

from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

# Version 0.1.0, whose modules lay in one folder: the class it named -> today's.
MOVED = {
    "vaelab.conditionals.BernoulliLikelihood": "vaelab.models.likelihoods.BernoulliLikelihood",
    "vaelab.conditionals.ContinuousBernoulliLikelihood": "vaelab.models.likelihoods.ContinuousBernoulliLikelihood",
    "vaelab.conditionals.DiscretizedLogisticLikelihood": "vaelab.models.likelihoods.DiscretizedLogisticLikelihood",
    "vaelab.conditionals.GaussianLikelihood": "vaelab.models.likelihoods.GaussianLikelihood",
    "vaelab.conditionals.LaplaceLikelihood": "vaelab.models.likelihoods.LaplaceLikelihood",
    "vaelab.conditionals.ChainPosterior": "vaelab.models.posteriors.ChainPosterior",
    "vaelab.conditionals.DiracPosterior": "vaelab.models.posteriors.DiracPosterior",
    "vaelab.conditionals.FlowPosterior": "vaelab.models.posteriors.FlowPosterior",
    "vaelab.conditionals.GaussianPosterior": "vaelab.models.posteriors.GaussianPosterior",
    "vaelab.conditionals.NoisyPosterior": "vaelab.models.posteriors.NoisyPosterior",
    "vaelab.exact.MixtureModel": "vaelab.models.mixture.MixtureModel",
    "vaelab.exact.ProbabilisticPCA": "vaelab.models.closed_form.ProbabilisticPCA",
    "vaelab.model.ConditionalModel": "vaelab.models.vae.ConditionalModel",
    "vaelab.model.LatentVariableModel": "vaelab.models.vae.LatentVariableModel",
    "vaelab.networks.conv_decoder": "vaelab.models.networks.ConvNet",
    "vaelab.networks.conv_encoder": "vaelab.models.networks.ConvNet",
    "vaelab.networks.mlp_decoder": "vaelab.models.networks.MLP",
    "vaelab.networks.mlp_encoder": "vaelab.models.networks.MLP",
    "vaelab.objectives.Capacity": "vaelab.models.objectives.Capacity",
    "vaelab.objectives.ELBO": "vaelab.models.objectives.ELBO",
    "vaelab.objectives.IWAE": "vaelab.models.objectives.IWAE",
    "vaelab.objectives.Reconstruction": "vaelab.models.objectives.Reconstruction",
    "vaelab.objectives.TotalCorrelation": "vaelab.models.objectives.TotalCorrelation",
    "vaelab.optimizers.Muon": "vaelab.training.optimizers.Muon",
    "vaelab.priors.Categorical": "vaelab.models.priors.CategoricalPrior",
    "vaelab.priors.ChainPrior": "vaelab.models.priors.ChainPrior",
    "vaelab.priors.FlowPrior": "vaelab.models.priors.FlowPrior",
    "vaelab.priors.GaussianMixture": "vaelab.models.priors.GaussianMixture",
    "vaelab.priors.StandardNormal": "vaelab.models.priors.StandardNormal",
    "vaelab.priors.Vamp": "vaelab.models.priors.VampPrior",
    "vaelab.schedules.Constant": "vaelab.training.schedules.Constant",
    "vaelab.schedules.ConstantRate": "vaelab.training.schedules.ConstantRate",
    "vaelab.schedules.Cosine": "vaelab.training.schedules.Cosine",
    "vaelab.schedules.CosineRate": "vaelab.training.schedules.CosineRate",
    "vaelab.schedules.Cyclical": "vaelab.training.schedules.Cyclical",
    "vaelab.schedules.Linear": "vaelab.training.schedules.Linear",
    "vaelab.schedules.Sigmoid": "vaelab.training.schedules.Sigmoid",
}
# Its cosine of the learning rate fell during the warm-up too. A run that was begun under it goes on under it; where
# configurations are compared the two are the same, so that the commands of 0.1.0 find their runs.
COSINE = MOVED["vaelab.schedules.CosineRate"]
COSINE_OF_010 = "vaelab.training.schedules.CosineRateOf010"
MOVED[COSINE_OF_010] = COSINE
# Options that a class got later, with the value that it had before: older runs, and a user's own YAML, lack them.
_LAYERS = {"gated": False, "init": "torch"}
_OUTPUT = {"output_bias": "network"}
ADDED: Mapping[str, Mapping[str, object]] = {
    "torch.optim.Adam": {"eps": 1e-8},
    "torch.optim.AdamW": {"eps": 1e-8},
    "torch.optim.Adamax": {"eps": 1e-8},
    "vaelab.models.likelihoods.BernoulliLikelihood": _OUTPUT,
    "vaelab.models.likelihoods.ContinuousBernoulliLikelihood": _OUTPUT,
    "vaelab.models.likelihoods.DiscretizedLogisticLikelihood": _OUTPUT,
    "vaelab.models.likelihoods.GaussianLikelihood": _OUTPUT,
    "vaelab.models.likelihoods.LaplaceLikelihood": _OUTPUT,
    "vaelab.models.networks.ConvNet": _LAYERS,
    "vaelab.models.networks.MLP": {"decoder_hidden": None, **_LAYERS},
    "vaelab.models.objectives.ELBO": {"kl": "closed"},
    "vaelab.models.objectives.IWAE": {"gradient_samples": None, "first_samples": None, "first_part": 0.7},
    "vaelab.models.posteriors.ChainPosterior": {
        "first": "bottom", "sees_x": False, "context": 64, "clamp": None, **_LAYERS,
    },
    "vaelab.models.posteriors.GaussianPosterior": {"clamp": None},
    "vaelab.models.priors.ChainPrior": {"clamp": None, **_LAYERS},
    "vaelab.models.priors.VampPrior": {"start": "images"},
}  # fmt: skip
# Its networks were functions, each with its options bound; today a network is an object that builds both.
NETWORKS = {old for old in MOVED if old.startswith("vaelab.networks.")}
# Its image sets were one class with an option ``name``; today each is a class.
IMAGE_SETS = {
    "mnist": "vaelab.data.mnist.MNIST",
    "fashion_mnist": "vaelab.data.mnist.FashionMNIST",
    "kmnist": "vaelab.data.mnist.KMNIST",
    "emnist": "vaelab.data.mnist.EMNIST",
    "mnist5k": "vaelab.data.packaged.MNIST5k",
    "uci_digits": "vaelab.data.packaged.UCIDigits",
}


def migrate(config: Mapping[str, object]) -> dict:
    """``config`` with the classes and options that today's version knows."""
    network = config.get("network")
    if isinstance(network, Mapping):
        config = _with_shape(config, network.get("encoder", network))
    if not (isinstance(network, Mapping) and "encoder" in network):
        return {name: _migrated(value) for name, value in config.items()}
    # Version 0.1.0 had encoder and decoder beside the option ``output``; today one object has all three.
    output = {"output": network["output"]} if "output" in network else {}
    config = {**config, "network": network["encoder"]}
    return {name: _migrated(value, output) for name, value in config.items()}


def _with_shape(config: Mapping[str, object], network: object) -> Mapping[str, object]:
    """``config`` with the image's shape in ``data`` and in the conditional model; older versions had defaults there."""
    data, model = config.get("data"), config.get("model")
    if not (isinstance(data, Mapping) and isinstance(network, Mapping) and "image" in network):
        return config
    changed = {"data": {"shape": network["image"], **data}}
    if isinstance(model, Mapping) and str(model.get("_target_")).endswith(".ConditionalModel"):
        changed["model"] = {"image": network["image"], **model}
    return {**config, **changed}


def _migrated(value: object, output: Mapping[str, object] = MappingProxyType({})) -> object:
    """``value`` with today's classes; ``output``: what its networks lack."""
    if not isinstance(value, Mapping):
        return value
    node = {name: _migrated(item, output) for name, item in value.items()}
    old = node.get("_target_")
    if old in NETWORKS:
        node.pop("_partial_", None)
        node |= output
    if old in MOVED:
        node["_target_"] = MOVED[old]
    if old == "vaelab.data.ImageData":
        node["_target_"] = IMAGE_SETS[str(node.pop("name"))]
    return _completed(node)


def _completed(node: dict[str, object]) -> dict[str, object]:
    """``node`` with the options that its class got later."""
    target = str(node.get("_target_"))
    node = {**node, **{option: value for option, value in ADDED.get(target, {}).items() if option not in node}}
    if target.endswith(".ChainPrior") and "top" not in node:
        top = {"_target_": "vaelab.models.priors.StandardNormal", "latent": node.get("latent"), "_partial_": True}
        node["top"] = top
    return node


def keep_schedule(begun: Mapping[str, object], config: MutableMapping[str, object]) -> bool:
    """Give ``config`` the cosine of version 0.1.0 if the run was ``begun`` under it; whether it was.

    **Arguments**
        begun: the section ``lr`` of the configuration in its checkpoint.
        config: the section ``lr`` of the run that goes on.
    """
    is_old = begun.get("_target_") in ("vaelab.schedules.CosineRate", COSINE_OF_010)
    if is_old and config.get("_target_") == COSINE:  # else another schedule was asked for
        config["_target_"] = COSINE_OF_010
    return config.get("_target_") == COSINE_OF_010
