"""A page in the browser to explore finished runs or a sweep: python scripts/explore.py outputs/runs/X

    python scripts/explore.py outputs/runs/one outputs/runs/two
    python scripts/explore.py outputs/sweeps/latent
    python scripts/explore.py outputs/runs/one --static one-page/

Draw an image and see its reconstruction and posterior, change latents, look at the map of latents, compare runs, and
open the configurations of a sweep. Only this machine can open the page, unless --host says otherwise.
With --static the page of one run is written as plain files for any web server.
"""

import argparse
from pathlib import Path

from vaelab import hardware
from vaelab.cli import tools
from vaelab.cli.messages import say
from vaelab.errors import InputError

HOST, PORT = "127.0.0.1", 8137  # a port that no common service uses


def parse() -> argparse.Namespace:
    parser = tools.plain_parser(__doc__)
    parser.add_argument("directories", type=Path, nargs="+", help="finished runs, such as outputs/runs/two, or sweeps")
    tools.add_folder(parser)
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto (default)")
    parser.add_argument("--host", default=HOST, help=f"the address to serve at; default: {HOST}, this machine alone")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0 takes any free one")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--static", type=Path, metavar="FOLDER", help="write the page of one run as files instead")
    parser.add_argument(
        "--beta", type=float, help="with --static, of a model for a range of beta: which one (default: 1)"
    )
    parser.add_argument("--force", action="store_true", help="with --static, write into a folder that is not empty")
    return parser.parse_args()


def work() -> None:
    arguments = parse()
    if arguments.static is not None:
        return write_static(arguments)
    if arguments.beta is not None or arguments.force:
        given = "--force" if arguments.force else "--beta"
        raise InputError(
            f"{given} is for --static: leave it out; the page has a slider of beta where the model has one"
        )
    tools.require("the explorer", "nicegui", instead=", or in a checkout pip install -e '.[explore]'")
    from vaelab.explore.opened import Opened
    from vaelab.explore.server import listen, serve

    with listen(arguments.host, arguments.port) as listening:
        device = hardware.find_device(arguments.device, "--device ")
        folders = tools.folders(arguments)
        opened = Opened(arguments.directories, device, folders[0] if folders else None)
        serve(opened, listening, arguments.host, arguments.open, say)


def write_static(arguments: argparse.Namespace) -> None:
    """Write the page of the run as files.

    **Raises**
        InputError: several directories were named.
    """
    if len(arguments.directories) != 1:
        raise InputError(f"--static writes the page of one run, and {len(arguments.directories)} were named: name one")
    tools.require("--static", "onnx", "onnxscript", "onnxruntime")
    from vaelab.explore.static_site import write_site

    folders = tools.folders(arguments)
    size = write_site(
        arguments.directories[0], arguments.static, arguments.beta, folders[0] if folders else None, arguments.force
    )
    say(f"{arguments.static}: {size / 1e6:.1f} MB; to look at it: python -m http.server -d {arguments.static}")


def main() -> None:
    tools.main(work)
