"""The exceptions that end a command with one line. Every other exception is a bug and keeps its traceback."""


class VaelabError(Exception):
    """Ends the command; its message is the one line that the command line prints."""


class InputError(VaelabError, ValueError):
    """The user's input is wrong: the message says what was wrong, what was expected and what to type instead."""


class UnknownOption(InputError):
    """A piece does not take an option; the command line prints who set it instead of this message.

    **Arguments**
        option: as it is typed, such as ``beta.warmup``.
        target: the class that does not take it.
        meant: a similar option that the class takes; None: there is none.
    """

    def __init__(self, message: str, option: str, target: str, meant: str | None = None) -> None:
        super().__init__(message)
        self.option = option
        self.target = target
        self.meant = meant


class MissingPiece(InputError):
    """A class or function that a configuration names cannot be imported; the message says from where."""


class RunFailed(VaelabError):
    """A run could not be finished though its input was right: its loss diverged, or the disk is full."""


class Interrupted(VaelabError):
    """The user or the system ended the run; a sweep starts no other job."""


def one_line(error: BaseException) -> str:
    """The message of ``error`` without its line breaks."""
    return " ".join(str(error).split())


def summarize(error: BaseException) -> str:
    """``error`` in one line: its message, and for a bug its type too."""
    if isinstance(error, OSError):
        return describe_os_error(error)
    message = one_line(error)
    if isinstance(error, VaelabError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def describe_os_error(error: OSError) -> str:
    """Which file the system could not use, and why, in one line."""
    return f"cannot use {error.filename or 'a file'}: {error.strerror or error}"
