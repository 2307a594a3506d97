"""The catalogue of metrics: the one place that says what each is called, its unit, what it means, and what is better.

The table at the end of a run, sweeps, plots, TensorBoard and the README's table read it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A number that a test or an evaluation reports.

    **Attributes**
        name: its key in results.json.
        unit: "nats" are nats per image.
        meaning: one line.
        better: "higher" or "lower"; "" where neither is.
        since: the version whose definition it has: older values are not comparable.
        is_brief: whether the one line of a job in a sweep shows it.
    """

    name: str
    unit: str
    meaning: str
    better: str = ""
    since: str = "0.1.0"
    is_brief: bool = False

    @property
    def title(self) -> str:
        """For the axis of a plot: ``elbo, nats (higher is better)``."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.name}{unit}" + (f" ({self.better} is better)" if self.better else "")


_ALL = (
    Metric("elbo", "nats", "-(rate + distortion) at beta = 1, latents sampled", "higher", is_brief=True),
    Metric("rate", "nats", "KL(q(z|x) || p(z))", is_brief=True),
    Metric("distortion", "nats", "-E log p(x|z)", "lower", is_brief=True),
    Metric("nll", "nats", "-log p(x), estimated by importance sampling", "lower", is_brief=True),
    Metric("nll_samples", "", "importance samples per image in nll"),
    Metric("nll_prior_samples", "", "samples of the prior in nll, shared by a batch"),
    Metric("nll_stderr", "nats", "Monte Carlo standard error of nll"),
    Metric("gap", "nats", "-elbo - nll, which estimates KL(q(z|x) || p(z|x))", "lower"),
    Metric("active_units", "latents", "latents whose posterior mean varies over images, by more than 0.01"),
    Metric("posterior_std", "", "the posterior's standard deviation, mean over latents"),
    Metric("mse", "", "squared error per image, summed over pixels, decoded from the posterior mean", "lower",
           is_brief=True),
    Metric("iwae", "nats", "the importance-weighted bound with loss.samples samples", "higher"),
    Metric("mutual_information", "nats", "I(x; z), estimated from batches"),
    Metric("total_correlation", "nats", "KL(q(z) || prod_d q(z_d)), estimated from batches"),
    Metric("dimension_kl", "nats", "sum_d KL(q(z_d) || p(z_d)), estimated from batches"),
    Metric("product_kl", "nats", "E[sum_d log q(z_d) - log p(z)], estimated from batches"),
    Metric("loss", "nats", "what was minimised, at the beta of the training"),
    Metric("used_units", "latents", "latents whose KL term is above 0.05 nats"),
    Metric("linear_kept", "latents", "latents that probabilistic PCA would use at the same beta"),
)  # fmt: skip

METRICS = {metric.name: metric for metric in _ALL}

# What configurations of a sweep are ranked by.
RANKED = ("nll", "elbo", "mse")
# What tables and heat maps of a sweep show, where a configuration has it.
SWEEP_METRICS = ("elbo", "rate", "distortion", "nll", "mse", "active_units", "used_units", "linear_kept")
# The training's curves, in the order in which they are drawn.
CURVES = ("elbo", "rate", "distortion", "loss")


def lower_is_better(name: str) -> bool:
    """Whether a smaller value of the metric ``name`` is better."""
    return METRICS[name].better == "lower"
