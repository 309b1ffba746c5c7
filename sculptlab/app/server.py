"""The server of `sculptlab app`: Voilà with a limited number of kernels, each of which ends when its page is closed.

What a visitor can reach is written in GUIDE.md.
"""

import copy
import ipaddress
import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from jupyter_client.session import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError, RequestHandler
from traitlets import Integer, Set
from traitlets.config import Config
from voila.app import Voila
from voila.voila_identity_provider import VoilaIdentityProvider

ROOM = Path(__file__).parent
PAGE = ROOM / "page.ipynb"


class VisitorKernels(AsyncMappingKernelManager):
    """At most `visitors` kernels at a time; a kernel that no page is connected to ends after `unconnected_seconds`."""

    visitors = Integer(8, min=1, help="kernels at a time").tag(config=True)
    unconnected_seconds = Integer(60, min=1, help="until a kernel without a page ends").tag(config=True)
    starting = Set(help="names of kernels that have no process yet")

    async def start_kernel(self, **options: Any) -> str:
        """Start a kernel for a visitor, or answer 503."""
        if len({*self.list_kernel_ids(), *self.starting}) >= self.visitors:
            raise HTTPError(503, f"Every place on this machine is taken ({self.visitors}).")
        kernel_id = self.new_kernel_id()
        self.starting.add(kernel_id)
        try:
            return await super().start_kernel(kernel_id=kernel_id, **options)
        finally:
            self.starting.discard(kernel_id)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel without a page early; that of a page that is not used, after `cull_idle_timeout`."""
        kernel = self.get_kernel(kernel_id)
        unused = utcnow() - kernel.last_activity > timedelta(seconds=self.unconnected_seconds)
        if unused and kernel.execution_state == "idle" and not self.kernel_model(kernel_id)["connections"]:
            await self.shutdown_kernel(kernel_id)
        else:
            await super().cull_kernel_if_idle(kernel_id)


def admit(handler: RequestHandler, notebook: Any, cwd: str) -> None:
    """Refuse requests that other pages make, and give a visitor's page what it needs to end its kernel."""
    if handler.request.headers.get("Sec-Fetch-Dest", "document") != "document":  # an image tag, a frame, a script
        raise HTTPError(403, "This page opens only in a tab of its own.")
    assert handler.xsrf_token  # reading it sets the cookie that Voilà's page sends back when it is closed


SETTINGS = Config(
    Voila={
        "port_retries": 0,
        "identity_provider_class": VoilaIdentityProvider,  # the default one lets visitors set a password
        "config_file_paths": [],  # settings files that were written for other pages
    },
    VoilaConfiguration={
        "multi_kernel_manager_class": VisitorKernels,
        "prelaunch_hook": admit,
        "file_allowlist": [],
        "allow_template_override": "NO",
        "allow_theme_override": "NO",
    },
    VisitorKernels={"cull_idle_timeout": 1800, "cull_interval": 10, "cull_connected": True},
)


class SculptorApp(Voila):
    """Voilà with the Sculptor's page: local, or with a token."""

    def initialize(self, argv: Sequence[str] | None = None) -> None:
        """Read the options, and refuse a port that cannot be had."""
        super().initialize(argv)
        if not is_loopback(self.ip) and self.token is None:
            self.auto_token = True
        try:
            socket.create_server((self.ip, self.port)).close()
        except OSError as error:
            reason = str(error.strerror).partition(" (while")[0]
            raise OSError(f"cannot serve at {self.ip}, port {self.port} ({reason}): choose another --port or --ip") from error

    def init_settings(self) -> dict[str, Any]:
        """Refuse foreign names of this machine (DNS rebinding); where it is not local, its names are not known."""
        return super().init_settings() | {"allow_remote_access": not is_loopback(self.ip), "local_hostnames": ["localhost"]}

    def launch_browser(self) -> None:
        """Open a browser on this machine, if the page is for it."""
        if is_loopback(self.ip):
            super().launch_browser()

    def setup_template_dirs(self) -> None:
        """Look for the page of status 503 here first."""
        super().setup_template_dirs()
        self.template_paths.insert(0, str(ROOM))


def is_loopback(ip: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return ip == "localhost"


def serve(options: Sequence[str] = (), **kernels: int) -> None:
    """Serve until Ctrl-C. `options` are words for Voilà; `kernels`, traits of `VisitorKernels`."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # else a kernel named python3 in the user's home would replace this environment's
    settings = copy.deepcopy(SETTINGS)
    settings.VisitorKernels.update(kernels)
    SculptorApp.launch_instance([str(PAGE), *options], config=settings)
