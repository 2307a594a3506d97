"""The explorer of one run as plain files for any web server: no Python and no other host is needed to serve them.

index.html  style.css  *.js           the page, from the folder ``site`` beside this module
encoder.onnx  decoder.onnx            the model, which the page runs itself
model.json  images.bin                what else the page shows, see `vaelab.explore.site_data`
ort.js  ort.bin  ort-license.txt      onnxruntime-web, see `vaelab.explore.web_runtime`
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributions import kl_divergence

from vaelab.commands import typed
from vaelab.errors import InputError, RunFailed
from vaelab.explore import web_runtime
from vaelab.explore.site_data import write_data
from vaelab.models.contracts import Model
from vaelab.models.distributions import factors
from vaelab.runs.finished import FinishedRun, load
from vaelab.runs.onnx_export import TOLERANCE, Decoder, Encoder, example, given, largest_difference, run_onnx, trace

SITE = Path(__file__).resolve().parent / "site"
LARGEST = 15_000_000  # bytes of a whole page
CHECKED = 7  # images on which the files are compared with the model


class PageEncoder(Encoder):
    """Maps x ``(N, C, H, W)``, and labels ``(N,)`` for a conditional model, to mean and std ``(N, D)`` of q(z|x).

    A third output ``(N, D)`` is KL(q(z_d|x) ‖ p(z_d)), where posterior and prior are products over latents.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.p = factors(model.prior_distribution()) if model.has_kl_per_latent else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:  # type: ignore[override]
        q = given(self.model, labels).encode(x)
        moments = (q.mean, q.variance.sqrt())
        return moments if self.p is None else (*moments, kl_divergence(factors(q), self.p))


class PageDecoder(Decoder):
    """Maps z ``(N, D)`` and x ``(N, C, H, W)`` to the mean of p(x|z) ``(N, C, H, W)`` and -log p(x|z) ``(N,)``."""

    def forward(self, z: Tensor, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, ...]:  # type: ignore[override]
        px = given(self.model, labels).decode(z)
        return px.mean, -px.log_prob(x)


def write_site(
    run_directory: str | Path,
    folder: str | Path,
    beta: float | None = None,
    config_dir: str | Path | None = None,
    force: bool = False,
) -> int:
    """Write the explorer of the finished run in ``run_directory`` to ``folder``.

    **Arguments**
        beta: of a model for a range of beta: which one; None for 1.
        config_dir: where your own pieces are now; None for where they were when the run was trained.
        force: write into a folder that is not empty, over files of the same names.

    **Returns**
        The number of bytes of all files.

    **Raises**
        InputError: the run is not finished, its model has no encoder to export, ``folder`` is not empty, or the page
            would be larger than 15 MB.
        RunFailed: torch cannot export the model, or onnxruntime-web cannot be downloaded.
    """
    folder = Path(folder)
    check_folder(folder, force)
    run = load(run_directory, "cpu", config_dir)
    run = run if beta is None else run.at(beta)
    check_model(run)
    runtime = web_runtime.files()  # before the export, which takes longer
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder) as draft:
        write_model(run, Path(draft), beta)
        return _publish(Path(draft), runtime, folder)


def check_folder(folder: Path, force: bool) -> None:
    """Raise an InputError where ``folder`` is a file, or is not empty and ``force`` is False."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and the page needs a folder: take another name")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(f"{folder} is not empty and was not touched; take another folder, or --force")


def check_model(run: FinishedRun) -> None:
    """Raise an InputError where the page cannot show the model of ``run``."""
    posterior, open_it = run.model.posterior, f"{typed('explore')} {run.directory} shows it"
    if posterior is None:
        raise InputError(f"{type(run.model).__name__} has no encoder to export: its posterior is exact; {open_it}")
    if not posterior.has_exact_mean:
        raise InputError(
            f"the static page needs the posterior's mean, and that of {type(posterior).__name__} has no closed form; "
            f"{open_it}"
        )
    if run.shape[0] not in (1, 3):
        raise InputError(f"the page shows images with 1 or 3 channels, and this model's have {run.shape[0]}")


@torch.no_grad()
def write_model(run: FinishedRun, folder: Path, beta: float | None = None) -> None:
    """Write all files of the page but those of onnxruntime-web; ``beta`` as in `write_site`."""
    encoder, decoder = PageEncoder(run.model).eval(), PageDecoder(run.model).eval()
    write_data(run, encoder, folder, beta)  # first: images may be missing, and the export takes seconds
    few, several = (_inputs(run.model, count) for count in (3, CHECKED))
    for name, module in (("encoder", encoder), ("decoder", decoder)):
        _write_onnx(module, few[name], several[name], folder / f"{name}.onnx")
    for file in SITE.iterdir():
        shutil.copy(file, folder)


def _inputs(model: Model, count: int) -> dict[str, tuple[Tensor, ...]]:
    """Inputs of both modules, for ``count`` images; those of the decoder are black and white, as any likelihood may."""
    found = example(model, count)
    (x, *labels), (z, *_) = found["encoder"], found["decoder"]
    return {"encoder": (x, *labels), "decoder": (z, x.gt(0.5).to(x.dtype), *labels)}


def _write_onnx(module: nn.Module, few: tuple[Tensor, ...], several: tuple[Tensor, ...], file: Path) -> None:
    """Write ``module`` to ``file``, and compare the two on ``several`` inputs."""
    expected = module(*several)
    names: Mapping[str, tuple[list[str], list[str]]] = {
        "encoder": (["x", "labels"], ["mean", "std", "kl"][: len(expected)]),
        "decoder": (["z", "x", "labels"], ["image", "distortion"]),
    }
    _, program = trace(module, few, file.stem, *names[file.stem])
    program.save(file)
    apart = largest_difference(run_onnx(file, several), expected)
    if apart > TOLERANCE:
        raise RunFailed(f"the exported {file.stem} differs from the model by {apart:.1e}; nothing was kept")


def _publish(draft: Path, runtime: Mapping[str, bytes], folder: Path) -> int:
    """Move the files of ``draft`` and the ``runtime`` to ``folder``, if they are small enough; their bytes."""
    for name, content in runtime.items():
        (draft / name).write_bytes(content)
    files = sorted(draft.iterdir())
    size = sum(file.stat().st_size for file in files)
    if size > LARGEST:
        raise InputError(
            f"the page would take {size / 1e6:.1f} MB, and a page may take {LARGEST / 1e6:.0f} MB: "
            "train a model with fewer weights"
        )
    for file in files:
        os.replace(file, folder / file.name)
    return size
