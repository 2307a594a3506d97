"""The catalogue of metrics, the only one: the name, unit and meaning of each, and whether higher or lower is better.

The table at the end of a run, `scripts/evaluate.py`, sweeps, plots, TensorBoard and the README's table read it.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass

from vaelab.errors import InputError

SHARE = "0 to 1"  # the unit of scores between these two


@dataclass(frozen=True)
class Metric:
    """A number that a test or an evaluation reports.

    **Attributes**
        name: its key in results.json.
        unit: "nats" are nats per image.
        meaning: one line.
        better: "higher" or "lower"; "" where neither is.
        since: the version that introduced its present definition: older values are not comparable.
        is_brief: whether the one line of a job in a sweep shows it.
    """

    name: str
    unit: str
    meaning: str
    better: str = ""
    since: str = "0.1.0"
    is_brief: bool = False

    @property
    def short(self) -> str:
        """The meaning up to its first comma, for the title of a plot."""
        return self.meaning.partition(",")[0]

    @property
    def digits(self) -> int:
        """Decimal places in tables: more for bits per value, as one of these is thousands of nats per image."""
        return {"latents": 1, "bits": 4, SHARE: 3}.get(self.unit, 2)

    @property
    def title(self) -> str:
        """The title of a plot's axis: ``elbo, nats (higher is better)``."""
        unit = f", {self.unit}" if self.unit not in ("", SHARE) else ""
        return f"{self.name}{unit}" + (f" ({self.better} is better)" if self.better else "")


# In the order in which tables show them.
_TEST = (
    Metric("elbo", "nats", "-(rate + distortion) at beta = 1, latents sampled", "higher", is_brief=True),
    Metric("rate", "nats", "KL(q(z|x) || p(z))", is_brief=True),
    Metric("distortion", "nats", "-E log p(x|z)", "lower", is_brief=True),
    Metric("nll", "nats", "-log p(x), estimated by importance sampling", "lower", is_brief=True),
    Metric("nll_samples", "", "importance samples of q(z|x) per image in nll"),
    Metric("nll_prior_samples", "", "samples of the prior in nll, shared by a batch"),
    Metric("nll_stderr", "nats", "Monte Carlo standard error of nll"),
    Metric("bf16_error", "nats", "change of nll by bfloat16 products in the decoder"),
    Metric("gap", "nats", "-elbo - nll, which estimates KL(q(z|x) || p(z|x))", "lower"),
    Metric("bits_per_dim", "bits", "nll / (C H W log 2), where p(x|z) is over 256 levels", "lower"),
    Metric("bits_per_dim_bound", "bits", "-elbo / (C H W log 2), where p(x|z) is over 256 levels", "lower"),
    Metric("active_units", "latents", "latents whose posterior mean has a variance over images above active_variance"),
    Metric("posterior_std", "", "the posterior's standard deviation, mean over latents"),
    Metric("mse", "", "squared error per image, summed over pixels, decoded from the posterior mean", "lower",
           is_brief=True),
    Metric("iwae", "nats", "the importance-weighted bound with loss.samples samples", "higher"),
    Metric("mutual_information", "nats", "I(x; z), estimated from minibatches"),
    Metric("total_correlation", "nats", "KL(q(z) || prod_d q(z_d)), estimated from minibatches"),
    Metric("dimension_kl", "nats", "sum_d KL(q(z_d) || p(z_d)), estimated from minibatches, or from all images (full)"),
    Metric("product_kl", "nats", "E[sum_d log q(z_d) - log p(z)], where p(z) is no product over latents"),
    Metric("loss", "nats", "what was minimised, at the beta of the training"),
)  # fmt: skip
_SWEEP = (
    Metric("used_units", "latents", "latents whose KL term is above 0.05 nats"),
    Metric("linear_kept", "latents", "latents that probabilistic PCA would use at the same beta"),
    Metric("mig", SHARE, "mutual information gap (I(z_1; v) - I(z_2; v)) / H(v), of the two latents that say most "
           "about a factor v, mean over factors", "higher"),
    Metric("sap", SHARE, "separated attribute predictability: accuracies of the two latents that predict a factor "
           "best, their difference, mean over factors", "higher"),
    Metric("dci_disentanglement", SHARE, "1 where each latent is important for one factor only, 0 where for all alike",
           "higher"),
    Metric("dci_completeness", SHARE, "1 where one latent predicts a factor, 0 where all are needed alike, mean over "
           "factors", "higher"),
    Metric("dci_informativeness", SHARE, "test accuracy of forests that predict the factors from all latents, mean "
           "over factors", "higher"),
    Metric("factor_vae_score", SHARE, "accuracy with which the latent that varies least tells which factor is fixed",
           "higher"),
)  # fmt: skip
_EVALUATION = (
    Metric("images", "", "test images that the means are over"),
    Metric("time_s", "s", "time that the part took"),
    Metric("effective_samples", "", "(sum w)^2 / sum w^2 of the importance weights: from 1 to all samples", "higher"),
    Metric("nll_widen", "", "factor by which half of the samples of q(z|x) in nll were widened"),
    Metric("active_units_per_layer", "latents", "active_units of each stochastic layer, that next to the image first"),
    Metric("kl_per_latent", "nats", "KL(q(z_d|x) || p(z_d)), the largest first"),
    Metric("kl_order", "", "the latents in the order of kl_per_latent, numbered from 0"),
    Metric("linear_kl", "nats", "KL terms of probabilistic PCA at the same beta, the largest first"),
    Metric("batch", "", "images in a minibatch"),
    Metric("mutual_information_lower", "nats", "lower bound of I(x; z)"),
    Metric("mutual_information_upper", "nats", "upper bound of I(x; z)"),
    Metric("mutual_information_limit", "nats", "log(images), which the lower bound cannot exceed"),
    Metric("marginal_kl_lower", "nats", "lower bound of KL(q(z) || p(z))"),
    Metric("marginal_kl_upper", "nats", "upper bound of KL(q(z) || p(z))"),
    Metric("total_correlation_lower", "nats", "lower bound of KL(q(z) || prod_d q(z_d))"),
    Metric("total_correlation_upper", "nats", "upper bound of KL(q(z) || prod_d q(z_d))"),
    Metric("linear_probe", "", "test accuracy of a linear classifier of the posterior means", "higher"),
    Metric("knn_probe", "", "test accuracy of a nearest-neighbour classifier of the posterior means", "higher"),
    Metric("mutual_information_gap", "", "(I(z_1; y) - I(z_2; y)) / H(y), of the two latents that say most about the "
           "label", "higher"),
    Metric("train_images", "", "training images that classifiers of the latents are fitted to"),
    Metric("factor_accuracy", "", "test accuracy of a random forest that predicts each factor from all latents"),
    Metric("frechet_distance", "", "distance of samples from test images, in a classifier's features", "lower"),
    Metric("frechet_distance_of_training_images", "", "the same distance of training images, for comparison"),
    Metric("precision", "", "share of samples that lie near test images", "higher"),
    Metric("recall", "", "share of test images that lie near samples", "higher"),
    Metric("label_entropy", "nats", "entropy of the samples' labels; log(classes) where all are equally frequent",
           "higher"),
    Metric("label_confusion", "nats", "mean entropy of a sample's label; 0 where each is clearly of one class",
           "lower"),
    Metric("samples", "", "samples of the model that are compared with as many test images"),
    Metric("classifier_accuracy", "", "test accuracy of the classifier whose features are compared"),
    Metric("best_elbo", "nats", "elbo with a posterior that is optimised for each image", "higher"),
    Metric("approximation_gap", "nats", "-best_elbo - nll: what the posterior's family cannot fit", "lower"),
    Metric("amortization_gap", "nats", "best_elbo - elbo: what the encoder loses", "lower"),
    Metric("gap_stderr", "nats", "Monte Carlo standard error of gap"),
    Metric("approximation_gap_stderr", "nats", "Monte Carlo standard error of approximation_gap"),
    Metric("amortization_gap_stderr", "nats", "Monte Carlo standard error of amortization_gap"),
    Metric("steps", "", "steps of that optimisation"),
    Metric("beta", "", "the KL term's weight that a point of a multi-rate model's curve is for"),
)  # fmt: skip

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in (*_TEST, *_SWEEP, *_EVALUATION)}

_OWN: dict[str, Metric] = {}  # metrics of users, which `add` has put there
# All metrics that this process knows, those of users included.
CATALOGUE: Mapping[str, Metric] = ChainMap(_OWN, dict(METRICS))

# What the section ``test`` of results.json may hold.
TEST_METRICS = tuple(metric.name for metric in _TEST)
# What configurations of a sweep are ranked by.
RANKED = ("nll", "elbo", "mse")
# What tables and heat maps of a sweep show, where a configuration has it.
DISENTANGLEMENT = (
    "mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness", "factor_vae_score"
)  # fmt: skip
SWEEP_METRICS = (
    "elbo", *DISENTANGLEMENT, "rate", "distortion", "nll", "bits_per_dim", "mse", "active_units", "used_units",
    "linear_kept",
)  # fmt: skip
# The training's curves, in the order in which they are drawn.
CURVES = ("elbo", "rate", "distortion", "loss")


def add(metric: Metric) -> None:
    """Let tables and plots know a user's own ``metric``; results.json describes it, for other processes.

    **Raises**
        InputError: it has the name of a shipped metric, or says neither "higher", "lower" nor "".
    """
    if metric.name in METRICS:
        raise InputError(f"metric {metric.name!r} has the name of a metric that vaelab ships: take another name")
    if metric.better not in ("higher", "lower", ""):
        raise InputError(f"metric {metric.name!r}: better must be 'higher', 'lower' or '', got {metric.better!r}")
    _OWN[metric.name] = metric


def own_values(part: Mapping[str, Mapping]) -> dict[str, float]:
    """The values in the part ``own`` of results.json; their metrics become known to this process."""
    found = {}
    for name, stored in part.items():
        if "value" in stored and name not in METRICS:
            add(Metric(name, str(stored["unit"]), str(stored["meaning"]), str(stored["better"])))
            found[name] = stored["value"]
    return found


def sweep_metrics() -> tuple[str, ...]:
    """What tables and heat maps of a sweep show, users' own metrics last."""
    return (*SWEEP_METRICS, *_OWN)


def ranked() -> tuple[str, ...]:
    """What configurations of a sweep are ranked by: also users' own metrics, where higher or lower is better."""
    return (*RANKED, *(name for name, metric in _OWN.items() if metric.better))


def lower_is_better(name: str) -> bool:
    """Whether a smaller value of the metric ``name`` is better.

    >>> lower_is_better("nll"), lower_is_better("elbo")
    (True, False)
    """
    return CATALOGUE[name].better == "lower"
