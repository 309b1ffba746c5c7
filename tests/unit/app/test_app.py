"""`sculptlab app`: its page, the settings in a link, and what it says where something is missing."""

import socket
import subprocess
import sys

import nbformat
import pytest

from sculptlab import cli
from sculptlab.app import links
from sculptlab.app.server import PAGE, is_loopback
from sculptlab.doctor import PIP


def test_the_page_says_what_it_is_and_shows_a_sculptor():
    page = nbformat.read(PAGE, as_version=4)
    nbformat.validate(page)
    text, code = page.cells
    assert (text.cell_type, code.cell_type, page.metadata.title) == ("markdown", "code", "Sculptor")
    assert text.source.startswith("# The Sculptor\n\n")
    assert code.source.endswith('linked_sculptor(os.environ.get("QUERY_STRING", ""))')
    assert code.outputs == []


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("", "sculptor?"),
        ("prior=ring&noise=0.2", "sculptor?prior=ring&noise=0.2"),
        ("sculptor?prior=ring&noise=0.2", "sculptor?prior=ring&noise=0.2"),
        ("token=abc&objective=kl&beta=2", "sculptor?objective=kl&beta=2"),
    ],
)
def test_a_link_carries_settings(query, settings, capsys):
    sculptor = links.linked_sculptor(query)
    assert sculptor.settings.removesuffix(".0") == settings
    assert capsys.readouterr().out == ""
    sculptor.close()


HOSTILE = [
    "prior=yours", "data=yours", "data=cifar10", "data=dsprites", "data=/etc/passwd", "data=", "prior=<script>alert(1)</script>",
    "seed=1e99", "seed=-1", "batch=10000000", "arms=5", "prior=spirals&arms=1000000", "weight=nan", "rate=inf", "compare=x",
    "prior=painted&painted=" + "A" * 60_000, "prior=painted&painted=%00%ff", "sliders=1", "__class__=1", "fbclid=1",
    "prior=ring&" * 3 + "x=y", "%1b[2J=1", "seed=" + "9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE, ids=lambda query: query[:40])
def test_a_link_that_cannot_be_used_gives_the_default_settings_and_one_message(query, capsys):
    sculptor = links.linked_sculptor(query)
    assert sculptor.settings == "sculptor?"
    said = capsys.readouterr().out
    assert said.startswith("The settings in this link cannot be used: ")
    assert said.endswith("\nThe Sculptor has its default settings instead.\n")
    assert len(said) < 450
    assert said.replace("\n", "").isprintable()
    sculptor.close()


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_addresses_of_this_machine_alone(ip):
    assert is_loopback(ip)


@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "", "192.168.1.5", "localhost.example.org", "machine"])
def test_addresses_that_others_reach(ip):
    assert not is_loopback(ip)


def test_without_voila_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["app"]) == cli.FAILED
    assert f"{PIP} install voila 'tornado>=6.5'" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "name"), [(["--port", "70000"], "--port"), (["--visitors", "0"], "--visitors")])
def test_numbers_out_of_range_are_named(words, name, capsys):
    assert cli.main(["app", *words]) == cli.USAGE
    assert f"{name} must lie between 1 and" in capsys.readouterr().err


def test_a_port_that_is_in_use_is_named_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "sculptlab.cli", "app", "--no-browser", "--port", str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == cli.FAILED
    assert f"sculptlab: cannot serve at 127.0.0.1, port {port}" in ended.stderr
    assert "choose another --port" in ended.stderr
    assert "Traceback" not in ended.stderr
