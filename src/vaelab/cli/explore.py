"""A page in the browser to play with finished runs or a sweep: python scripts/explore.py outputs/runs/X

    python scripts/explore.py outputs/runs/one outputs/runs/two
    python scripts/explore.py outputs/sweeps/latent

Draw an image and see what the model makes of it, move its latents, look at the map of latents, compare runs, and walk
through a sweep. Only this machine can open the page, unless --host says otherwise.
"""

import argparse
from pathlib import Path

from vaelab import hardware
from vaelab.cli import tools
from vaelab.cli.messages import say

HOST, PORT = "127.0.0.1", 8137  # a port that no common service has


def parse() -> argparse.Namespace:
    parser = tools.plain_parser(__doc__)
    parser.add_argument("directories", type=Path, nargs="+", help="finished runs, such as outputs/runs/two, or sweeps")
    tools.add_folder(parser)
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto (default)")
    parser.add_argument("--host", default=HOST, help=f"the address to serve at; default: {HOST}, this machine alone")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0 takes any free one")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    return parser.parse_args()


def work() -> None:
    arguments = parse()
    tools.require("the explorer", "nicegui", instead=", or in a checkout pip install -e '.[explore]'")
    from vaelab.explore.opened import Opened
    from vaelab.explore.server import listen, serve

    with listen(arguments.host, arguments.port) as listening:
        device = hardware.find_device(arguments.device, "--device ")
        folders = tools.folders(arguments)
        opened = Opened(arguments.directories, device, folders[0] if folders else None)
        serve(opened, listening, arguments.host, arguments.open, say)


def main() -> None:
    tools.main(work)
