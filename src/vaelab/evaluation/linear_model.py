"""The KL terms that a linear Gaussian VAE, probabilistic PCA, would have for the same images and β."""

import math

from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.models.closed_form import linear_rates


def linear_comparison(evaluated: EvaluatedModel, latent: int) -> dict[str, object]:
    """KL terms of a linear Gaussian VAE with ``latent`` latents, from the training images' covariance.

    The pixels' standard deviation σ is the likelihood's own, where all pixels share one; else it is that of
    probabilistic PCA with as many latents. The result is empty where there is no such model: β does not weigh the
    whole KL term, β or σ is 0, or the model is conditioned on labels, which PCA does not know.

    Returns ``linear_kl``, ``linear_kept`` and ``linear_noise``: see `vaelab.evaluation.metrics`.
    """
    beta = evaluated.beta
    if not evaluated.objective.weighs_whole_kl or evaluated.model.classes is not None:
        return {}
    pixels = math.prod(evaluated.data.sets["train"].images.shape[1:])
    if not beta or latent >= pixels:
        return {}
    spectrum = evaluated.data.spectrum(latent)
    variance, whose = evaluated.model.likelihood.pixel_variance, "the likelihood's"
    if variance is None:
        variance, whose = spectrum.rest(latent) / (pixels - latent), "probabilistic PCA's"
    if not variance > 0:
        return {}
    return {
        "linear_kl": linear_rates(spectrum.leading, variance, beta).tolist(),
        "linear_kept": int((spectrum.leading > beta * variance).sum()),
        "linear_noise": f"sigma = {math.sqrt(variance):.4f}, {whose}, at beta = {beta:g}",
    }
