"""One page, run strictly: in a kernel of this very interpreter, with the errors that a green run would hide."""

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
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output

INLINE = "module://matplotlib_inline.backend_inline"
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_TRACEBACK = "Traceback (most recent call last)"
_CUT = "a traceback whose end is missing"  # a thread's output may fall apart between two cells
_HEADS = ("Exception in thread ", "Exception ignored in")  # how another error begins, printed into this one's middle
_LOST_TASK = re.compile(r"exception was never retrieved")
_WIDGETS = "application/vnd.jupyter.widget-state+json"
_LOOKOUT = "__import__('sculptlab.series.lookout').series.lookout"


def kernel_environment(**values: str) -> dict[str, str]:
    """This process's environment with `values`, drawing figures into the page whatever backend the shell asks for."""
    return os.environ | {"MPLBACKEND": INLINE} | values


def native_specs() -> KernelSpecManager:
    """Kernel specs where "python3" is this interpreter: no folder is searched, so no user's spec can take the name."""
    return KernelSpecManager(kernel_dirs=[])


def swallowed(notebook: NotebookNode) -> list[str]:
    """The errors in an executed notebook that stopped no cell, each as its last line ("ValueError: late").

    They hide in three places: tracebacks on stderr (threads, tasks, callbacks), error outputs of a cell that went on
    (`showtraceback`), and whatever an Output widget or an `interact` caught. Cells tagged "raises-exception" may err.
    """
    found: dict[str, None] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and "raises-exception" not in cell.metadata.get("tags", []):
            found.update(dict.fromkeys(_errors(cell.get("outputs", []))))
    for model in notebook.metadata.get("widgets", {}).get(_WIDGETS, {}).get("state", {}).values():
        found.update(dict.fromkeys(_errors(model["state"].get("outputs") or ())))
    return [line for line in found if line != _CUT] or list(found)


def _errors(outputs: Any) -> Iterator[str]:
    for output in outputs:
        if output["output_type"] == "error":
            yield f"{output['ename']}: {_ANSI.sub('', output['evalue'])}"
        elif output["output_type"] == "stream" and output["name"] == "stderr":
            yield from _last_lines(_ANSI.sub("", output["text"]))


def _last_lines(text: str) -> Iterator[str]:
    """What each traceback in `text` ends with; the complaint itself where asyncio lost an error without one."""
    parts = text.split(_TRACEBACK)
    if len(parts) == 1 and _LOST_TASK.search(text):
        yield next(line.strip() for line in text.splitlines() if _LOST_TASK.search(line))
    for part in parts[1:]:
        lines = [line.rstrip() for line in part.splitlines()[1:] if line.strip()]
        last = next((line for line in lines if not line.startswith(" ")), _CUT)
        yield _CUT if last.startswith(_HEADS) else last


def patient(get_msg: Callable[..., Awaitable[Any]], every: float = 1.0) -> Callable[..., Awaitable[Any]]:
    """`get_msg` of a channel, looking again every second: it can sleep through a message that has come.

    An Output widget makes nbclient send on the shell socket while a reply is awaited there; jupyter_client sends past
    pyzmq's event loop, which then misses the signal that the reply is in (its socket tells of each arrival only once).
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
    """nbclient with this interpreter as the kernel, a lookout for lost errors, and a Ctrl-C that leaves no kernel.

    What the lookout saw is added to the last code cell as stderr, so that `swallowed` and a reader of the copy see it.
    """

    interrupted = False

    def create_kernel_manager(self) -> AsyncKernelManager:
        self.km = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=native_specs(), config=self.config)
        return self.km

    def execute(self, **kwargs: Any) -> NotebookNode:
        """Run every cell; `kwargs` go to the kernel's start (cwd, env)."""
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
        task = asyncio.current_task()

        def interrupt() -> None:
            self.interrupted = True
            self.shutdown_kernel = "immediate"
            if task is not None:
                task.cancel()

        with contextlib.suppress(RuntimeError, ValueError):  # signals reach the main thread alone
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, interrupt)
        kwargs.setdefault("env", kernel_environment())
        self.extra_arguments = [*self.extra_arguments, "--log-level=CRITICAL"]  # its own chatter, never a page's error
        await super().async_start_new_kernel(**kwargs)

    async def async_start_new_kernel_client(self) -> Any:
        client = await super().async_start_new_kernel_client()
        client.shell_channel.get_msg = patient(client.shell_channel.get_msg)
        await self._ask(f"{_LOOKOUT}.post()")
        return client

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, *args: Any, **kwargs: Any) -> NotebookNode:
        done = await super().async_execute_cell(cell, cell_index, *args, **kwargs)
        if cell_index == len(self.nb.cells) - 1:
            await self._collect()
        return done

    async def _collect(self) -> None:
        known = set(swallowed(self.nb))
        lost = [text for text in await self._ask(f"{_LOOKOUT}.report()") or () if not known.issuperset(_last_lines(text))]
        cells = [cell for cell in self.nb.cells if cell.cell_type == "code"]
        if lost and cells:
            cells[-1].outputs.append(new_output("stream", name="stderr", text="\n".join(lost)))

    async def _ask(self, expression: str) -> Any:
        """The value of a literal-valued `expression` in the kernel, leaving no trace in the page's names."""
        assert self.kc is not None
        message = self.kc.execute("", silent=True, store_history=False, user_expressions={"answer": expression})
        reply = await self.async_wait_for_reply(message)
        answer = (reply or {"content": {}})["content"].get("user_expressions", {}).get("answer", {})
        if answer.get("status") != "ok":
            raise RuntimeError(f"the page's kernel cannot import sculptlab.lookout: {answer.get('evalue', 'no answer')}")
        return ast.literal_eval(answer["data"]["text/plain"])
