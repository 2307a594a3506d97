"""What a linear Gaussian model, probabilistic PCA, would do with the same images at the same β."""

import math

from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.models.closed_form import linear_rates, spectrum


def linear_comparison(evaluated: EvaluatedModel, latent: int) -> dict[str, object]:
    """KL terms that probabilistic PCA of the training images would have, in each of ``latent`` components.

    At the likelihood's own noise where it has one for all pixels, else at that of probabilistic PCA with as many
    latents. Empty where β does not weigh the whole KL term, or where the model is conditioned on labels, which PCA
    does not know.
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
