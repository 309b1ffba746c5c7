"""Every page here is a test: run whole, in a kernel of this interpreter, red for the errors nbmake would hide."""

import os

from nbmake import nb_result, nb_run, pytest_items

from sculptlab.series.execution import StrictClient, swallowed

os.environ.setdefault("SCULPTLAB_PROFILE", "fast")  # the kernels inherit the environment
nb_run.NotebookClient = StrictClient


class StrictRun(nb_run.NotebookRun):
    """nbmake's run of one page, which also fails on swallowed errors."""

    def execute(self) -> nb_result.NotebookResult:
        result = super().execute()
        hidden = swallowed(result.nb)
        if hidden and result.error is None:
            summary = "an error that stopped no cell: " + "; ".join(hidden)
            result.error = nb_result.NotebookError(summary, "\n".join([str(self.filename), *hidden]), -1)
        return result


pytest_items.NotebookRun = StrictRun
