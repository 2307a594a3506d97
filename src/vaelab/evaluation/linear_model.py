"""The KL terms that a linear Gaussian VAE, probabilistic PCA, would have for the same images and β."""

import math

from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.models.closed_form import linear_rates, spectrum


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
    data = evaluated.data
    eigenvalues = spectrum(data.sets["train"].images, lambda chunk: data.scale(chunk, drawn=True))
    variance, whose = evaluated.model.likelihood.pixel_variance, "the likelihood's"
    if variance is None:
        variance, whose = float(eigenvalues[latent:].mean()), "probabilistic PCA's"
    if not beta or latent >= len(eigenvalues) or not variance > 0:
        return {}
    rates = linear_rates(eigenvalues[:latent], variance, beta)
    return {
        "linear_kl": rates.tolist(),
        "linear_kept": int((eigenvalues > beta * variance).sum().clamp_max(latent)),
        "linear_noise": f"sigma = {math.sqrt(variance):.4f}, {whose}, at beta = {beta:g}",
    }
