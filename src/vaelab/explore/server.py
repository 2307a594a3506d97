"""The server of the page: one port of this machine, which serves nothing but the page."""

import socket
import warnings
import webbrowser
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI, Request
from nicegui import ui
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, PlainTextResponse, Response

from vaelab.errors import InputError, describe_os_error
from vaelab.explore.opened import Opened
from vaelab.explore.page import Page
from vaelab.explore.texts import Texts, language_of
from vaelab.files import IS_CHECKOUT, PROJECT

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DOCS = PROJECT / "docs"
PATIENCE = 120  # seconds that a page may wait for the computations of others, before it is shown
GRACE = 1  # seconds that open pages have when the server ends


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at ``host`` and ``port``; port 0 is any free one.

    **Raises**
        InputError: the port is in use, or there is no such address on this machine.
    """
    if not 0 <= port <= 65_535:
        raise InputError(f"--port must be from 0 (any free one) to 65535, got {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except socket.gaierror as error:
        listening.close()
        raise InputError(f"--host {host} is no address of this machine: leave it out for 127.0.0.1") from error
    except OSError as error:
        listening.close()
        reason = describe_os_error(error).partition(": ")[2]
        raise InputError(
            f"cannot serve at {host}:{port} ({reason}): take another port, such as --port {port + 1}, or end the "
            "program that uses it"
        ) from error
    listening.listen()
    return listening


def address(listening: socket.socket) -> str:
    """The page's address, as a browser on this machine takes it."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def application(opened: Opened, host: str) -> FastAPI:
    """The page for ``opened`` as a web application; on this machine alone it answers to no other name."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if host in LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK[:2], "[::1]"])
    app.get("/docs/{path:path}")(document)

    @ui.page("/", response_timeout=PATIENCE)
    async def page(request: Request, lang: str = "") -> None:
        text = Texts(language_of(request.headers.get("accept-language", ""), lang))
        await Page(opened, text, IS_CHECKOUT).build()

    ui.run_with(app, title="vaelab", dark=None, show_welcome_message=False)
    return app


def document(path: str) -> Response:
    """A page of the documentation in a checkout, as text, or one of its images."""
    file = (DOCS / path).resolve()
    if not IS_CHECKOUT or not file.is_relative_to(DOCS.resolve()) or not file.is_file():
        return PlainTextResponse("there is no such page", 404)
    if file.suffix == ".md":
        return PlainTextResponse(file.read_text(encoding="utf-8"))
    return FileResponse(file) if file.suffix == ".png" else PlainTextResponse("there is no such page", 404)


def serve(
    opened: Opened, listening: socket.socket, host: str, opens_browser: bool = False, say: Callable[[str], None] = print
) -> None:
    """Serve the page until Ctrl-C."""
    app = application(opened, host)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE, lifespan="on")
    say(f"{address(listening)} shows {', '.join(opened.names)}; Ctrl-C ends it")
    if opens_browser:
        webbrowser.open(address(listening))
    # NiceGUI calls isinstance on all objects of the process, and a deprecated object of torch then issues a warning.
    warnings.filterwarnings("ignore", ".*reduce_op", FutureWarning)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
