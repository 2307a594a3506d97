"""The installed command: ``vaelab train ...`` is ``python train.py ...``, and ``vaelab encode ...`` is a script."""

import difflib
import sys
from importlib import import_module

from vaelab import collector
from vaelab.cli.messages import fail, say
from vaelab.commands import COMMANDS, NAME

HELP = ("-h", "--help", "help")


def main() -> None:
    """Run the command that the first argument names."""
    words = sys.argv[1:]
    if not words or words[0] in HELP:
        return say(help_text())
    if words[0] == "--version":
        import vaelab

        return say(f"{NAME} {vaelab.__version__}")
    if words[0] not in COMMANDS:
        sys.argv[0] = NAME
        fail(unknown(words[0]))
    sys.argv = [f"{NAME} {words[0]}", *words[1:]]
    collector.begin_command()
    with collector.importing():
        command = import_module(f"vaelab.cli.{words[0]}")
    command.main()


def help_text() -> str:
    """The commands with their meanings."""
    width = max(map(len, COMMANDS))
    lines = [f"  {NAME} {command:<{width}}  {meaning}" for command, meaning in COMMANDS.items()]
    return "\n".join(["Variational auto-encoders.", "", *lines, "", f"{NAME} <command> --help explains a command."])


def unknown(word: str) -> str:
    """The line for a command that does not exist.

    >>> unknown("tran")
    "there is no command 'tran'; did you mean vaelab train?"
    """
    if "=" in word or word == "-m":
        command = "sweep" if word == "-m" else "train"
        return f"there is no command {word!r}; options follow a command, as in {NAME} {command} latent=2"
    close = difflib.get_close_matches(word, COMMANDS, n=1, cutoff=0.5)
    if close:
        return f"there is no command {word!r}; did you mean {NAME} {close[0]}?"
    return f"there is no command {word!r}; the commands are {', '.join(COMMANDS)}"
