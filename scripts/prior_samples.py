"""How well the stated standard error of nll describes its spread, by the number of samples of the prior.

    python scripts/prior_samples.py outputs/runs/two

A table: exp(rate + margin) samples of the prior for each margin, the mean nll of the first test images, its standard
deviation over seeds, and the standard error that an estimate states (root mean square over the seeds). The margin that
`vaelab.evaluation.importance.useful_prior_samples` takes rests on such tables.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vaelab import rng
from vaelab.cli import tools
from vaelab.errors import InputError
from vaelab.evaluation.importance import importance_weights, log_likelihood, median_rate, shares_samples
from vaelab.models.contracts import Model

MOST = 2_000_000  # samples of the prior for an estimate, which take a minute
HEADER = """| margin | samples of the prior | nll | spread | stated | stated / spread |
|---|---|---|---|---|---|"""


def estimates(model: Model, x: Tensor, samples: int, prior_samples: int, seeds: int) -> Iterator[tuple[float, float]]:
    """The mean of log p(x) over images and its stated variance, for each seed."""
    for seed in range(seeds):
        with rng.fixed_noise(x.device, seed, rng.SUITE), torch.no_grad():
            weights = importance_weights(model, x, samples, prior_samples=prior_samples)
            log_p, variance = log_likelihood(weights.log_w, weights.shared)
        yield float(log_p.double().mean()), float(variance.double().mean()) / len(x)


def row(margin: str, prior_samples: int, found: Sequence[tuple[float, float]]) -> str:
    """A row of the table."""
    means, variances = torch.tensor(found, dtype=torch.float64).unbind(1)
    spread, stated = float(means.std()), math.sqrt(float(variances.mean()))
    return (
        f"| {margin} | {prior_samples:,} | {-means.mean():.2f} | {spread:.4f} | {stated:.4f} | {stated / spread:.2f} |"
    )


def work() -> None:
    parser = tools.parser(__doc__ or "")
    parser.add_argument("--images", type=int, default=500, help="test images (default %(default)s)")
    parser.add_argument("--samples", type=int, default=100, help="samples of q(z|x) per image (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=30, help="estimates per row (default %(default)s)")
    parser.add_argument("--margins", type=float, nargs="+", default=[0, 1, 2, 3, 4], help="in nats above the rate")
    arguments = parser.parse_args()
    run = tools.open_run(arguments)
    x, labels = run.module.evaluated(run.data).first("test", arguments.images)
    model = run.model.given(labels)
    if not shares_samples(model, x):
        raise InputError(f"{arguments.run}: images cannot share samples of the prior in this model")
    with torch.no_grad():
        rate = median_rate(model.encode(x), model.prior_distribution())
    largest = max(arguments.margins)
    if rate + largest > math.log(MOST):
        raise InputError(
            f"a margin of {largest:g} at a rate of {rate:.1f} nats takes more than {MOST:,} samples of the prior: "
            f"take --margins of at most {math.log(MOST) - rate - 0.05:.1f}"
        )
    print(f"{len(x)} images, median rate {rate:.2f} nats, {arguments.samples} samples of q, {arguments.seeds} seeds\n")
    print(HEADER)
    for margin in ["none", *arguments.margins]:
        count = 0 if margin == "none" else round(math.exp(rate + margin))
        found = list(estimates(model, x, arguments.samples, count, arguments.seeds))
        print(row(str(margin), count, found), flush=True)


if __name__ == "__main__":
    tools.main(work)
