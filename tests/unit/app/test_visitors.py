"""What a visitor of `sculptlab app` can reach, asked of a real server by HTTP; its page has an empty cell, to be quick."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import nbformat
import pytest
import websocket

PATIENCE = 120  # seconds, for what a busy machine is slow to do
PLACES = 1
START = """
import pathlib, sys
from sculptlab.app import server
server.PAGE = pathlib.Path(sys.argv[1])
server.serve(sys.argv[2:], visitors={places}, unconnected_seconds={unconnected}, cull_interval=1)
"""


class Server:
    """A running server, and requests to it."""

    def __init__(self, port, log):
        self.port, self.log = port, log

    def ask(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace"), dict(answer.getheaders())

    def visit(self, **headers):
        """The kernel of a new page and its cookies."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        cookies = "; ".join(line.split(";")[0] for name, line in answer.getheaders() if name == "Set-Cookie")
        return re.search(r'"kernelId": "([\w-]+)"', text)[1], cookies

    def end(self, kernel, cookies):
        """Say that a page was closed, as Voilà's page does."""
        token = re.search(r"_xsrf=([^;]*)", cookies)[1]
        body = urllib.parse.urlencode({"_xsrf": token})
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        return self.ask(f"/voila/api/shutdown/{kernel}", "POST", body, **headers)[0]

    def lives(self, kernel, cookies):
        return self.ask(f"/api/kernels/{kernel}", Cookie=cookies)[0] == 200

    def wait_until_ended(self, kernels):
        until = time.monotonic() + PATIENCE
        while any(self.lives(*kernel) for kernel in kernels):
            assert time.monotonic() < until, "a kernel was not ended"
            time.sleep(0.2)


@contextmanager
def served(tmp_path, places=PLACES, unconnected=2, words=()):
    page = tmp_path / "page.ipynb"
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, page)
    (tmp_path / "picture.png").write_bytes(b"secret")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    start = START.format(places=places, unconnected=unconnected)
    words = [sys.executable, "-c", start, str(page), "--no-browser", f"--port={port}", *(words or ["--Voila.ip=127.0.0.1"])]
    log = tmp_path / "log"
    with log.open("w") as output:
        server = subprocess.Popen(words, stdout=output, stderr=output, env=os.environ | {"TMPDIR": str(tmp_path)})
    try:
        until = time.monotonic() + PATIENCE
        while "is running at" not in log.read_text():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield Server(port, log)
    finally:
        server.terminate()
        server.wait(PATIENCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("app")) as found:
        yield found


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """A server whose kernels do not end by themselves, with one visitor: the server, the kernel, its cookies."""
    with served(tmp_path_factory.mktemp("lasting"), places=3, unconnected=3600) as found:
        yield found, *found.visit()


def test_requests_without_a_browser_leave_no_kernel(server):
    for _ in range(2):  # more than there are places
        server.wait_until_ended([server.visit() for _ in range(PLACES)])


def test_more_visitors_at_a_time_than_places_get_a_friendly_page(server):
    with ThreadPoolExecutor(2 * PLACES) as threads:
        answers = list(threads.map(lambda _: server.ask("/"), range(2 * PLACES)))
    assert sorted(status for status, *_ in answers) == [200] * PLACES + [503] * PLACES
    (text, *_) = [text for status, text, _ in answers if status == 503]
    assert f"Every place on this machine is taken ({PLACES})." in text
    assert "<h1>No place is free at the moment</h1>" in text
    server.wait_until_ended([(re.search(r'"kernelId": "([\w-]+)"', text)[1], "") for status, text, _ in answers if status == 200])
    server.wait_until_ended([server.visit()])  # the places are free again


def test_a_closed_page_ends_its_kernel_at_once(lasting):
    server, *_ = lasting
    for _ in range(2):
        kernel, cookies = server.visit()
        assert server.lives(kernel, cookies)
        assert server.end(kernel, cookies) == 204
        assert not server.lives(kernel, cookies)


def test_another_page_cannot_end_a_kernel_or_start_one(lasting):
    server, kernel, cookies = lasting
    for headers in ({}, {"Cookie": cookies}, {"Cookie": cookies, "Origin": "http://evil.example"}):
        assert server.ask(f"/voila/api/shutdown/{kernel}", "POST", "", **headers)[0] in (403, 404)
        assert server.ask(f"/api/kernels/{kernel}", "DELETE", **headers)[0] in (403, 404)
        assert server.ask("/api/kernels", "POST", "{}", **headers)[0] in (403, 404, 405)
    assert server.lives(kernel, cookies)
    before = server.log.read_text().count("Kernel started")
    for kind in ("image", "iframe", "script", "empty"):
        assert server.ask("/", Sec_Fetch_Dest=kind)[0] == 403
    assert server.log.read_text().count("Kernel started") == before


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.1.5", "", "localhost.", "[::2]"]
)
def test_a_foreign_name_of_the_machine_is_refused(lasting, host):
    server, kernel, cookies = lasting
    assert server.ask("/", Host=host)[0] in (400, 403)
    assert server.ask(f"/api/kernels/{kernel}", Host=host, Cookie=cookies)[0] in (400, 403)
    with pytest.raises(websocket.WebSocketException):
        connect(server, kernel, cookies, host=host or "x")


PATHS = [
    "/api", "/api/contents", "/api/contents/page.ipynb", "/api/kernels", "/api/kernelspecs", "/api/sessions", "/api/terminals",
    "/api/me", "/api/config/notebook", "/api/shutdown", "/voila/api/contents", "/voila/api/contents/", "/voila/tree",
    "/voila/render/page.ipynb", "/voila/query/x-x-x-x-x", "/voila/execution/x-x-x-x-x", "/voila/files/page.ipynb",
    "/voila/files/picture.png", "/voila/files/log", "/picture.png", "/page.ipynb", "/files/picture.png", "/lab", "/tree",
    "/nbconvert/html/page.ipynb", "/metrics",
    *(
        f"{room}{up}{target}"
        for room in ("/", "/voila/files/", "/voila/static/", "/voila/templates/", "/voila/templates/lab/static/",
                     "/voila/labextensions/", "/voila/api/themes/", "/static/")
        for up, target in (("/", "etc/passwd"), ("../" * 12, "etc/passwd"), ("..%2f" * 12, "etc/passwd"),
                           ("%2e%2e/" * 12, "etc/passwd"), ("..%5c" * 12, "etc%5cpasswd"), ("", "%00"))
    ),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_file_of_the_machine_and_no_rest_interface_can_be_reached(lasting, path):
    server, _, cookies = lasting
    for _ in range(5):
        status, text, headers = server.ask(path, Cookie=cookies)
        if status not in (301, 302):
            break
        path = headers["Location"]
    assert status >= 400, text[:200]
    assert not re.search("secret|root:|cells", text)


def connect(server, kernel, cookies, host=None):
    return websocket.create_connection(
        f"ws://127.0.0.1:{server.port}/api/kernels/{kernel}/channels?session_id=test", timeout=PATIENCE, cookie=cookies, host=host
    )


def send(socket, kind, content=None, channel="shell"):
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": kind, "username": "", "session": "test", "date": "", "version": "5.3"}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content or {}, "channel": channel, "buffers": []}
    socket.send(json.dumps(message))
    return number


def test_messages_of_a_visitor_run_no_code(lasting, tmp_path):
    server, kernel, cookies = lasting
    made = tmp_path / "made"
    code = {
        "code": f"open({str(made)!r}, 'w')",
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
    }
    socket = connect(server, kernel, cookies)
    refused = {send(socket, "execute_request", code, channel) for channel in ("shell", "control", "stdin", "iopub")}
    for kind in ("inspect_request", "complete_request", "history_request", "is_complete_request", "debug_request",
                 "input_reply", "create_subshell_request", "interrupt_request"):  # fmt: skip
        refused.add(send(socket, kind, code, "control"))
        refused.add(send(socket, kind, code))
    served = send(socket, "kernel_info_request")
    while True:
        message = json.loads(socket.recv())
        parent = message["parent_header"].get("msg_id")
        assert parent not in refused
        if parent == served and message["msg_type"] == "kernel_info_reply":
            break
    socket.close()
    assert not made.exists()


def test_the_kernel_of_another_visitor_needs_its_secret_name(lasting):
    server, kernel, cookies = lasting
    other, others = server.visit()
    assert uuid.UUID(kernel).version == uuid.UUID(other).version == 4
    assert kernel not in server.ask("/api/kernels", Cookie=others)[1]
    with pytest.raises(websocket.WebSocketException):
        connect(server, str(uuid.uuid4()), others)
    assert server.end(other, others) == 204
    assert server.lives(kernel, cookies)


def test_for_other_machines_it_asks_for_the_token_that_it_prints_and_its_end_ends_the_kernels(tmp_path):
    with served(tmp_path, unconnected=3600, words=["--Voila.ip=0.0.0.0"]) as server:
        token = re.search(r"http://\S+/\?token=(\w{20,})", server.log.read_text())[1]
        for headers in ({}, {"Host": "192.168.1.5"}):
            status, _, answered = server.ask("/?prior=ring", **headers)
            assert (status, answered["Location"].split("?")[0]) == (302, "/login")
            assert "new_password" not in server.ask("/login", **headers)[1]
        assert server.ask("/?token=wrong")[0] == 302
        assert "Kernel started" not in server.log.read_text()
        status, text, _ = server.ask(f"/?token={token}", Host="192.168.1.5")
        kernel = re.search(r'"kernelId": "([\w-]+)"', text)[1]
        assert status == 200
        assert server.ask(f"/api/kernels/{kernel}")[0] == 403
        with pytest.raises(websocket.WebSocketException):
            connect(server, kernel, "")
        (connection,) = tmp_path.rglob(f"kernel-{kernel}.json")
        ports = json.loads(connection.read_text())
        socket.create_connection((ports["ip"], ports["shell_port"])).close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((ports["ip"], ports["shell_port"]))
    assert not connection.exists()
