"""Pieces of models, which compose by hand too: networks, posteriors, likelihoods, priors, objectives and models.

    from vaelab.models import ELBO, MLP, BernoulliLikelihood, GaussianPosterior, LatentVariableModel, StandardNormal

Each name is imported at its first use.
"""

from typing import TYPE_CHECKING

from vaelab.lazy import attributes

if TYPE_CHECKING:
    from vaelab.models.closed_form import ProbabilisticPCA
    from vaelab.models.contracts import Likelihood, Model, Network, Objective, Posterior, Prior, Schedule
    from vaelab.models.inference import Inference
    from vaelab.models.likelihoods import (
        BernoulliLikelihood,
        ContinuousBernoulliLikelihood,
        DiscretizedLogisticLikelihood,
        GaussianLikelihood,
        LaplaceLikelihood,
        LogisticMixtureLikelihood,
    )
    from vaelab.models.mixture import MixtureModel
    from vaelab.models.multirate import MultirateModel
    from vaelab.models.networks import MLP, ConvNet
    from vaelab.models.objectives import ELBO, IWAE, Capacity, Reconstruction, TotalCorrelation
    from vaelab.models.posteriors import (
        ChainPosterior,
        DiracPosterior,
        FlowPosterior,
        GaussianPosterior,
        NoisyPosterior,
    )
    from vaelab.models.priors import CategoricalPrior, ChainPrior, FlowPrior, GaussianMixture, StandardNormal, VampPrior
    from vaelab.models.vae import ConditionalModel, LatentVariableModel, sample_images

__all__ = [
    "ELBO",
    "IWAE",
    "MLP",
    "BernoulliLikelihood",
    "Capacity",
    "CategoricalPrior",
    "ChainPosterior",
    "ChainPrior",
    "ConditionalModel",
    "ContinuousBernoulliLikelihood",
    "ConvNet",
    "DiracPosterior",
    "DiscretizedLogisticLikelihood",
    "FlowPosterior",
    "FlowPrior",
    "GaussianLikelihood",
    "GaussianMixture",
    "GaussianPosterior",
    "Inference",
    "LaplaceLikelihood",
    "LatentVariableModel",
    "Likelihood",
    "LogisticMixtureLikelihood",
    "MixtureModel",
    "Model",
    "MultirateModel",
    "Network",
    "NoisyPosterior",
    "Objective",
    "Posterior",
    "Prior",
    "ProbabilisticPCA",
    "Reconstruction",
    "Schedule",
    "StandardNormal",
    "TotalCorrelation",
    "VampPrior",
    "sample_images",
]
_PLACES = {
    "vaelab.models.closed_form": ["ProbabilisticPCA"],
    "vaelab.models.contracts": ["Likelihood", "Model", "Network", "Objective", "Posterior", "Prior", "Schedule"],
    "vaelab.models.inference": ["Inference"],
    "vaelab.models.likelihoods": [
        "BernoulliLikelihood",
        "ContinuousBernoulliLikelihood",
        "DiscretizedLogisticLikelihood",
        "GaussianLikelihood",
        "LaplaceLikelihood",
        "LogisticMixtureLikelihood",
    ],
    "vaelab.models.mixture": ["MixtureModel"],
    "vaelab.models.multirate": ["MultirateModel"],
    "vaelab.models.networks": ["ConvNet", "MLP"],
    "vaelab.models.objectives": ["Capacity", "ELBO", "IWAE", "Reconstruction", "TotalCorrelation"],
    "vaelab.models.posteriors": [
        "ChainPosterior",
        "DiracPosterior",
        "FlowPosterior",
        "GaussianPosterior",
        "NoisyPosterior",
    ],
    "vaelab.models.priors": [
        "CategoricalPrior",
        "ChainPrior",
        "FlowPrior",
        "GaussianMixture",
        "StandardNormal",
        "VampPrior",
    ],
    "vaelab.models.vae": ["ConditionalModel", "LatentVariableModel", "sample_images"],
}
__getattr__ = attributes(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
