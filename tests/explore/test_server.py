"""The server and its command: where it listens, what it answers, and what it says to wrong input."""

import socket

import pytest

from vaelab.cli import explore
from vaelab.explore import server


def test_it_listens_on_this_machine_alone_unless_told_otherwise():
    with server.listen("127.0.0.1", 0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert server.address(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}/"
    with server.listen("0.0.0.0", 0) as listening:
        assert server.address(listening).startswith("http://127.0.0.1:")
    assert explore.HOST == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("theory.md", 200),
        ("plots/samples.png", 200),
        ("nothing.md", 404),
        ("conf.py", 404),
        ("../README.md", 404),
        ("../pyproject.toml", 404),
        ("", 404),
    ],
)
def test_the_documentation_is_served_and_nothing_beside_it(path, status):
    assert server.document(path).status_code == status


@pytest.fixture
def answers(tmp_path):
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        (tmp_path / "bare").mkdir()
        yield {
            f"bare --port {port}": ("cannot serve at 127.0.0.1", f"--port {port + 1}"),
            "bare --port 70000": ("from 0 (any free one) to 65535, got 70000",),
            "bare --port 0 --host nowhere.invalid": ("is no address of this machine", "leave it out"),
            "bare --port 0": ("bare holds no run", "outputs/runs/two"),
            "missing --port 0": ("missing: there is no such directory",),
            "bare --beta 2": ("--beta is for --static",),
            "bare --force": ("--force is for --static",),
            "bare bare --static page": ("the page of one run, and 2 were named",),
            "bare --static bare/page": ("bare has no results.json",),
            "bare --port 0 --device tpu": ("--device must be", "cpu"),
        }


def test_wrong_commands_get_one_line(script, answers):
    for line, texts in answers.items():
        status, out, err = script("explore", *line.split())
        assert (status, out) == (1, ""), line
        assert len(err.splitlines()) == 1, err
        assert err.startswith("error: "), err
        assert all(text in err for text in texts), err
