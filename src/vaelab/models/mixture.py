"""The mixture model: discrete latents with an exact posterior, because p(x|m) is computed for every value m."""

from dataclasses import dataclass
from functools import cached_property

import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Generator, Tensor, nn
from torch.distributions import Distribution, OneHotCategorical

from vaelab.errors import InputError
from vaelab.models.contracts import Likelihood, Model, Posterior, Prior
from vaelab.models.distributions import pairwise_log_prob, unvalidated
from vaelab.models.inference import Inference
from vaelab.models.vae import check_decoder_is_free, check_piece


@dataclass
class EnumeratedInference(Inference):
    """An Inference of discrete latents: expectations over q are sums over all M values, not over samples.

    **Arguments**
        log_px_of_each: log p(x|z = e_m) ``(B, M)``.
    """

    q: OneHotCategorical
    log_px_of_each: Tensor

    @cached_property
    def log_px(self) -> Tensor:
        """E_q log p(x|z) ``(1, B)``."""
        return (self.q.probs * self.log_px_of_each).sum(-1).unsqueeze(0)

    @cached_property
    def log_ratio(self) -> Tensor:
        """KL(q ‖ p) ``(1, B)``."""
        return self.kl.unsqueeze(0)


class ExactPosterior(Posterior):
    """P(m|x) = P(m) p(x|m) / p(x) of a mixture model."""

    is_exact = True

    def __init__(self, model: "MixtureModel") -> None:
        super().__init__()
        self._models = (model,)  # a tuple: torch must not register the model as a part of its own part

    def forward(self, x: Tensor) -> OneHotCategorical:
        """P(m|x) of images ``(B, C, H, W)``: batch ``(B,)``, event ``(M,)``."""
        return self._models[0](x).q


class MixtureModel(Model):
    """p(x) = sum_m P(m) p(x|m): the latent is a one-hot vector m, and P(m|x) is exact.

    The decoder is a table, one linear layer of the one-hot vector. With the exact posterior the ELBO and its gradient
    are those of log p(x), and the gap is 0.

    **References**
        Pattern Recognition and Machine Learning (Bishop, 2006), section 9.3.

    **Raises**
        InputError: the prior is not discrete, the decoder is no table, or the likelihood is too slow in pairs.
    """

    has_continuous_latents = False
    starts_from_images = True

    def __init__(self, likelihood: Likelihood, prior: Prior) -> None:
        super().__init__()
        check_piece(self, likelihood, Likelihood, "bernoulli")
        check_piece(self, prior, Prior, "categorical")
        if not prior.is_discrete:
            raise InputError("the latents of a mixture are discrete: take prior=categorical with model=mixture")
        if not likelihood.is_cheap_in_pairs:
            raise InputError(
                f"a mixture computes p(x|m) of every image and every component, for which {type(likelihood).__name__} "
                "is too slow: take likelihood=bernoulli, continuous_bernoulli or gaussian"
            )
        check_decoder_is_free(self, likelihood)
        self.likelihood = likelihood
        self.prior = prior
        self.posterior = ExactPosterior(self)
        self._tables = (_only_table(likelihood),)  # a tuple: torch must not register the layer a second time

    @property
    def table(self) -> nn.Linear:
        """One-hot vector -> the likelihood's parameters: its columns are the components."""
        return self._tables[0]

    def start_from_images(self, images: Tensor, generator: Generator) -> None:
        """Start with the centres of k-means on training images ``(N, C, H, W)``."""
        components = self.table.in_features
        if len(images) < components:
            raise InputError(
                f"{components} components need at least as many training images, got {len(images)}: "
                f"take components={len(images)} or fewer"
            )
        seed = int(torch.randint(2**31, (), generator=generator))
        clusters = MiniBatchKMeans(components, batch_size=4096, n_init=1, max_iter=20, random_state=seed)
        clusters.fit(images.flatten(1).numpy())
        centres = torch.from_numpy(clusters.cluster_centers_)
        outputs = self.likelihood.outputs_at(centres)
        if outputs is None:
            raise InputError(f"{type(self.likelihood).__name__} lacks outputs_at(images), with which a mixture starts")
        with torch.no_grad():
            self.table.weight.zero_()
            self.table.bias.zero_()
            self.table.weight[: centres.shape[1]] = outputs.T

    def _components(self) -> Distribution:
        """p(x|m) of every m, batch ``(M,)``."""
        weight = self.table.weight
        return self.likelihood(torch.eye(self.table.in_features, device=weight.device, dtype=weight.dtype))

    def _prior_probabilities(self) -> OneHotCategorical:
        p = self.prior_distribution()
        if not isinstance(p, OneHotCategorical):
            raise InputError(
                f"{type(self.prior).__name__} sets is_discrete, so its forward must return "
                f"torch.distributions.OneHotCategorical, got {type(p).__name__}"
            )
        return p

    def forward(self, x: Tensor, samples: int = 1) -> EnumeratedInference:
        """All M values are used, so ``samples`` has no effect."""
        components, p = self._components(), self._prior_probabilities()
        log_px = pairwise_log_prob(components, x)
        with unvalidated():
            q = OneHotCategorical(logits=log_px + p.logits)
        z = torch.eye(log_px.shape[1], device=x.device, dtype=x.dtype)
        return EnumeratedInference(x, z, q, p, components, log_px)

    def encode(self, x: Tensor) -> OneHotCategorical:
        """P(m|x) of images ``(B, C, H, W)``: batch ``(B,)``, event ``(M,)``."""
        return self.posterior(x)

    def decode(self, z: Tensor) -> Distribution:
        """p(x|m) of one-hot vectors ``(..., M)``."""
        return self.likelihood(z)

    def reconstruct(self, q: Distribution) -> Tensor:
        """E[x'|x] ``(B, C, H, W)``: the components' means, weighted by their probabilities P(m|x)."""
        means = self._components().mean
        return (q.mean @ means.flatten(1)).unflatten(-1, means.shape[1:])


def _only_table(likelihood: Likelihood) -> nn.Linear:
    """The one layer of the decoder, a linear one, whose columns are the components."""
    inner = [module for module in likelihood.modules() if module is not likelihood]
    layers = [module for module in inner if next(module.parameters(recurse=False), None) is not None]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        raise InputError("the components of a mixture are a table: take network=linear network.hidden=[]")
    return layers[0]
