"""Strict execution of a page: in a kernel of this interpreter, with the errors that stop no cell brought to light."""

import ast
import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Awaitable, Callable, Iterator
from queue import Empty
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager, KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_INCOMPLETE = "a traceback whose end is missing"
_UNRETRIEVED = re.compile(r"exception was never retrieved")
_KERNEL_ERRORS = "__import__('sculptlab.series.kernel_errors').series.kernel_errors"


def kernel_environment(**values: str) -> dict[str, str]:
    """This process's environment with `values`, and with figures drawn into the page whatever backend the shell asks for."""
    return os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"} | values


def native_specs() -> KernelSpecManager:
    """Kernel specs in which "python3" is this interpreter: no folder is searched, so a user's spec cannot replace it."""
    return KernelSpecManager(kernel_dirs=[])


def ask_kernel(expression: str) -> str:
    """What a fresh kernel of this interpreter answers to a Python expression, as text."""
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=native_specs())
    manager.start_kernel(env=kernel_environment(), extra_arguments=["--log-level=CRITICAL"])
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        reply = client.execute("", reply=True, timeout=60, silent=True, user_expressions={"answer": expression})
        return str(reply["content"]["user_expressions"]["answer"]["data"]["text/plain"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def swallowed(notebook: NotebookNode) -> list[str]:
    """The errors in an executed notebook that stopped no cell, each as its last line ("ValueError: late").

    There are three kinds: tracebacks on stderr (threads, tasks, callbacks), error outputs of a cell that went on
    (`showtraceback`), and what an Output widget or an `interact` caught. Cells tagged "raises-exception" may raise.
    """
    cells = [cell for cell in notebook.cells if "raises-exception" not in cell.metadata.get("tags", [])]
    widgets = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {}).values()
    places = [*(cell.get("outputs", []) for cell in cells), *(widget["state"].get("outputs") or () for widget in widgets)]
    found = list(dict.fromkeys(line for outputs in places for line in _errors(outputs)))
    return [line for line in found if line != _INCOMPLETE] or found


def _errors(outputs: Any) -> Iterator[str]:
    for output in outputs:
        if output["output_type"] == "error":
            yield f"{output['ename']}: {_ANSI.sub('', output['evalue'])}"
        elif output["output_type"] == "stream" and output["name"] == "stderr":
            yield from _last_lines(_ANSI.sub("", output["text"]))


def _last_lines(text: str) -> Iterator[str]:
    """The last line of each traceback in `text`; asyncio's own message where it reports an error without a traceback.

    A traceback is incomplete where a thread's output was divided between two cells, or another error was printed into it.
    """
    before, *tracebacks = text.split("Traceback (most recent call last)")
    if not tracebacks and _UNRETRIEVED.search(before):
        yield next(line.strip() for line in before.splitlines() if _UNRETRIEVED.search(line))
    for traceback in tracebacks:
        lines = [line.rstrip() for line in traceback.splitlines()[1:] if line.strip()]
        last = next((line for line in lines if not line.startswith(" ")), _INCOMPLETE)
        yield _INCOMPLETE if last.startswith(("Exception in thread ", "Exception ignored in")) else last


def polling(get_msg: Callable[..., Awaitable[Any]], every: float = 1.0) -> Callable[..., Awaitable[Any]]:
    """`get_msg` of a channel, called again every second: a single long call can miss a message that has arrived.

    An Output widget makes nbclient send on the shell socket while a reply is awaited there. jupyter_client sends past
    pyzmq's event loop, which then misses the signal that the reply has arrived; the socket signals each arrival only once.
    """

    async def get(timeout: float | None = None) -> Any:
        waited = 0.0
        while True:
            step = every if timeout is None else min(every, max(timeout - waited, 0))
            try:
                return await get_msg(timeout=step)
            except Empty:
                waited += step
                if timeout is not None and waited >= timeout:
                    raise

    return get


class StrictClient(NotebookClient):
    """nbclient with this interpreter as the kernel, which brings errors of the background to light and always ends its kernel.

    What `kernel_errors` noted is added to the last code cell as stderr, where `swallowed` and a reader of the copy find it.
    """

    interrupted = False

    def create_kernel_manager(self) -> AsyncKernelManager:
        """A manager whose kernel is this interpreter."""
        self.km = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=native_specs(), config=self.config)
        return self.km

    def execute(self, **kwargs: Any) -> NotebookNode:
        """Run every cell; `kwargs` go to the kernel's start (cwd, env). KeyboardInterrupt after Ctrl-C or SIGTERM."""
        try:
            return super().execute(**kwargs)
        except (DeadKernelError, asyncio.CancelledError):
            if not self.interrupted:
                raise
            raise KeyboardInterrupt from None
        finally:
            self.set_widgets_metadata()  # a page that stopped half-way keeps its widgets too
            if self.km is not None and self.km.has_kernel:  # interrupted while the kernel was starting
                self._cleanup_kernel()

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel, and let Ctrl-C and SIGTERM cancel the run."""
        task = asyncio.current_task()

        def interrupt() -> None:
            self.interrupted = True
            self.shutdown_kernel = "immediate"
            if task is not None:
                task.cancel()

        with contextlib.suppress(RuntimeError, ValueError):  # signal handlers are possible in the main thread alone
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, interrupt)
        kwargs.setdefault("env", kernel_environment())
        self.extra_arguments = [*self.extra_arguments, "--log-level=CRITICAL"]  # the kernel's own log is no error of the page
        await super().async_start_new_kernel(**kwargs)

    async def async_start_new_kernel_client(self) -> Any:
        """Connect to the kernel, and watch its errors from the start."""
        client = await super().async_start_new_kernel_client()
        client.shell_channel.get_msg = polling(client.shell_channel.get_msg)
        await self._ask(f"{_KERNEL_ERRORS}.watch()")
        return client

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, *args: Any, **kwargs: Any) -> NotebookNode:
        """Run one cell; after the last one, add the errors of the background."""
        done = await super().async_execute_cell(cell, cell_index, *args, **kwargs)
        if cell_index == len(self.nb.cells) - 1:
            known, noted = set(swallowed(self.nb)), await self._ask(f"{_KERNEL_ERRORS}.report()") or ()
            hidden = [text for text in noted if not known.issuperset(_last_lines(text))]
            code = [cell for cell in self.nb.cells if cell.cell_type == "code"]
            if hidden and code:
                code[-1].outputs.append(new_output("stream", name="stderr", text="\n".join(hidden)))
        return done

    async def _ask(self, expression: str) -> Any:
        """The value of an expression in the kernel, a literal; the page's own names stay as they are."""
        assert self.kc is not None
        message = self.kc.execute("", silent=True, store_history=False, user_expressions={"answer": expression})
        reply = await self.async_wait_for_reply(message)
        answer = (reply or {"content": {}})["content"].get("user_expressions", {}).get("answer", {})
        if answer.get("status") != "ok":
            raise RuntimeError(f"the page's kernel cannot import sculptlab.series: {answer.get('evalue', 'no answer')}")
        return ast.literal_eval(answer["data"]["text/plain"])
