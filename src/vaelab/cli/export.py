"""Export a finished run's encoder and decoder as ONNX files and torch.export programs, for use without vaelab.

    python scripts/export.py outputs/runs/two exported/

writes encoder.onnx and encoder.pt2, which map images x (N, C, H, W) in [0, 1] to mean and std (N, D) of q(z|x), and
decoder.onnx and decoder.pt2, which map latents z (N, D) to image (N, C, H, W), the mean of p(x|z). For a conditional
model both also take labels (N,). Those of a model for a range of beta are at --beta, by default 1. The outputs of each
file are compared with the model's before the file is kept.
"""

import argparse
import os
import tempfile
from pathlib import Path

import torch
from torch import nn

from vaelab.cli import tools
from vaelab.errors import InputError, RunFailed
from vaelab.runs.onnx_export import NAMES, TOLERANCE, Decoder, Encoder, difference, example, export

FORMATS = ("onnx", "pt2")


@torch.no_grad()
def work() -> None:
    arguments = parse()
    model = tools.open_run(arguments).model
    if model.posterior is None:
        raise InputError(f"{type(model).__name__} has no encoder to export: its posterior is exact")
    modules: dict[str, nn.Module] = {"decoder": Decoder(model).eval()}
    if model.posterior.has_exact_mean:
        modules["encoder"] = Encoder(model).eval()
    else:
        print(f"no encoder: the mean of {type(model.posterior).__name__} has no closed form")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as draft:
        for name, module in sorted(modules.items(), reverse=True):
            stem = Path(draft) / name
            export(module, example(model, 3)[name], stem)
            apart = difference(module, example(model, 7)[name], stem)
            if apart > TOLERANCE:
                raise RunFailed(f"the exported {name} differs from the model by {apart:.1e}; nothing was kept")
            print(f"{arguments.folder / name}.onnx and .pt2, which differ from the model by {apart:.0e} at most")
        for file in Path(draft).iterdir():
            os.replace(file, arguments.folder / file.name)


def parse() -> argparse.Namespace:
    parser = tools.parser(__doc__, device=False)
    parser.add_argument("folder", type=Path, help="where the four files go")
    parser.add_argument("--force", action="store_true", help="overwrite the files")
    arguments = parser.parse_args()
    for file in (arguments.folder / f"{name}.{suffix}" for name in NAMES for suffix in FORMATS):
        if file.exists() and not arguments.force:
            raise InputError(f"{file} exists already and was not touched; take another folder, or --force")
    tools.require("the export", "onnx", "onnxscript", "onnxruntime")
    return arguments


def main() -> None:
    tools.main(work)
