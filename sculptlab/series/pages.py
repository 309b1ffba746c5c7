"""The pages of the series: where they are, and how one is run without a browser."""

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sculptlab.data import folders
from sculptlab.files import write_file
from sculptlab.names import as_path
from sculptlab.series.claims import Claim, claims_of
from sculptlab.series.handouts import answers, write_figures
from sculptlab.series.profiles import PROFILES, page_seed

START = "00_start_here.ipynb"
SOLUTION = re.compile(r"<details><summary>Solution</summary>.*?</details>\n?", re.DOTALL)
BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)\n\n")
WITH_ALT_TEXTS = """{% extends 'lab/index.html.j2' %}
{% block data_png scoped %}
{%- set alt = output | get_metadata('alt', 'image/png') -%}
{{ super() | replace('<img ', '<img alt="' ~ alt | escape_html ~ '" ', 1) if alt else super() }}
{% endblock %}"""  # nbconvert's template, with the alternative text of a figure (`Picture.in_words`)
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Report:
    """The result of one run of a page: `seconds` with the kernel's start; `cells` has a label and the seconds of each cell."""

    page: str
    notebook: Path
    html: Path
    seconds: float
    cells: tuple[tuple[str, float], ...]
    claims: tuple[Claim, ...]
    error: str | None = None
    swallowed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if no cell failed, no error was swallowed and every claim holds."""
        return self.error is None and not self.swallowed and all(claim.holds for claim in self.claims)

    def __str__(self) -> str:
        slowest = sorted((cell for cell in self.cells if cell[1] >= 0.1), key=lambda cell: -cell[1])[:3]
        lines = [f"{self.page}  {'ok' if self.ok else 'FAILED'}  {self.seconds:.1f} s"]
        lines += [f"  {claim}" for claim in self.claims]
        lines += [f"  error: {self.error}"] if self.error else []
        lines += [f"  an error that stopped no cell: {line}" for line in self.swallowed]
        lines += [f"  slowest: {seconds:5.1f} s  {label}" for label, seconds in slowest]
        return "\n".join([*lines, f"  files: {self.notebook}", f"         {self.html}"])


def notebooks_folder() -> Path:
    """The folder of the pages: in the clone where the package runs from one, else inside the installed package."""
    clone = folders.clone()
    found = clone / "notebooks" if clone else _PACKAGE / "share" / "notebooks"
    if not found.is_dir():
        raise FileNotFoundError(f"no notebooks at {found}; reinstall sculptlab, or run it from a clone")
    return found


def every() -> list[Path]:
    """All pages in their order."""
    return sorted(notebooks_folder().glob("[0-9][0-9]_*.ipynb"))


def find(page: str) -> Path:
    """The page with this number ("01" or "1"), name ("01_kl_failure", with or without .ipynb) or path.

    Raises ValueError listing the pages where it is none of these.
    """
    for path in every():
        if page in (path.name, path.stem) or (page.isdecimal() and int(page) == int(path.name[:2])):
            return path
    if page.endswith(".ipynb") and (path := as_path("page", page)).is_file():
        read_page(path)  # before any page runs
        return path.resolve()
    listing = ", ".join(path.stem for path in every()) or f"none in {notebooks_folder()}"
    raise ValueError(f"page must be a number, a name or a path of an .ipynb file, got {page!r}; the pages: {listing}")


def copy_pages(target: Path) -> list[Path]:
    """Copy the pages and their files to `target`; returns the copies that were left alone because they differ."""
    pages, kept = notebooks_folder(), []
    files = [path for path in pages.rglob("*") if path.is_file() and not path.name.startswith(".")]
    for source in sorted(path for path in files if path.suffix not in {".py", ".pyc"}):  # the tests' conftest.py stays
        copy = target / source.relative_to(pages)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            write_file(copy, source.read_bytes())
        elif copy.read_bytes() != source.read_bytes():
            kept.append(copy)
    return kept


def student_edition(target: Path, seed: int | None = None) -> list[Path]:
    """Write the pages to `target` without solutions, and without the badge that opens those with; existing ones are replaced.

    With a `seed` from 0 to 9999 each page starts from it, so that students with other seeds see other numbers.
    """
    if target.resolve() == notebooks_folder().resolve():
        raise ValueError(f"out must not be the folder of the pages themselves, got {target}")
    copy_pages(target)
    written = []
    for path in every():
        notebook = read_page(path)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = BADGE.sub("", SOLUTION.sub("", cell.source))
        if seed is not None:
            line = f'import os\n\nos.environ["SCULPTLAB_SEED"] = "{page_seed("seed", seed)}"  # the seed of this copy\n\n'
            first = next(cell for cell in notebook.cells if cell.cell_type == "code" and "%pip" not in cell.source)
            first.source = line + first.source
        write_file(target / path.name, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        written.append(target / path.name)
    return written


def read_page(path: Path) -> Any:
    """The notebook at `path`; a ValueError that names it if it is none."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError:
        raise
    except Exception as error:  # nbformat raises many types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ValueError(f"page must be a Jupyter notebook, got {str(path)!r} ({reason})") from error
    return notebook


def execute(path: Path, out: Path, profile: str | None = None, seed: int | None = None, progress: bool = True) -> Report:
    """Run the page at `path` in a fresh kernel and write `out`/NAME.ipynb and `out`/NAME.html, also where a cell fails.

    `profile` ("fast" or "full") and `seed` reach the kernel alone; None leaves what the environment says.
    Raises ValueError for a bad argument. After a Ctrl-C, ends the kernel, writes the copy and raises KeyboardInterrupt.
    """
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    from sculptlab.series.execution import StrictClient, kernel_environment, swallowed

    if profile is not None and profile not in PROFILES:
        raise ValueError(f"profile must be one of {PROFILES}, got {profile!r}")
    if out.resolve() == path.resolve().parent:
        raise ValueError(f"out must not be the folder of the page itself, got {out}: the copy would replace the page")
    values = {"SCULPTLAB_PROFILE": profile, "SCULPTLAB_SEED": None if seed is None else page_seed("seed", seed)}
    environment = kernel_environment(**{name: str(value) for name, value in values.items() if value is not None})
    notebook = read_page(path)
    out.mkdir(parents=True, exist_ok=True)
    folder = path.parent if os.access(path.parent, os.W_OK) else out
    clock, error, begun = _Clock(notebook, path.stem, progress), None, time.perf_counter()
    client = StrictClient(notebook, timeout=None, on_cell_execute=clock.begin, on_cell_executed=clock.end)
    try:
        with clock.bar:
            client.execute(cwd=str(folder), env=environment)
    except CellExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}, in the cell {clock.label!r}"
    except DeadKernelError:
        error = f"the kernel died in the cell {clock.label!r}; out of memory?"
    finally:
        seconds = time.perf_counter() - begun
        files = _write(notebook, out / path.name)
    hidden = tuple(line for line in swallowed(notebook) if not (error or "").startswith(line))  # the failed cell's own is known
    return Report(path.stem, *files, seconds, tuple(clock.times), claims_of(notebook), error, hidden)


def execute_all(paths: list[Path], out: Path, profile: str | None = None, seed: int | None = None) -> bool:
    """Execute the pages one after the other and print their reports; returns whether no page failed and every claim holds."""
    files = [place for place in (out, *out.parents) if place.exists() and not place.is_dir()]
    if files:
        raise ValueError(f"--out must be a folder, got {out}: {files[0]} is a file")
    if not paths:
        raise FileNotFoundError(f"no page in {notebooks_folder()}")
    reports = []
    for path in paths:
        reports.append(execute(path, out, profile, seed))
        print(reports[-1], flush=True)
    failed = [report.page for report in reports if not report.ok]
    claims = [claim for report in reports for claim in report.claims]
    seconds, holding = sum(report.seconds for report in reports), sum(claim.holds for claim in claims)
    end = f"; FAILED: {', '.join(failed)}" if failed else ""
    print(f"{len(reports)} page(s) in {seconds:.1f} s, {holding} of {len(claims)} claims hold{end}")
    return not failed


class _Clock:
    """The progress bar of one run, and the seconds of each cell."""

    def __init__(self, notebook: Any, name: str, progress: bool) -> None:
        self.cells, self.times = notebook.cells, list[tuple[str, float]]()
        self.label, self.begun = "", 0.0
        code = [cell for cell in self.cells if cell.cell_type == "code" and cell.source.strip()]
        bar_format = "{desc}: {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} cells [{elapsed}]{postfix}"
        self.bar = tqdm(total=len(code), desc=name, disable=not progress, bar_format=bar_format)

    def begin(self, cell: Any, cell_index: int) -> None:
        """Called by nbclient before a cell."""
        self.label, self.begun = _label(self.cells, cell_index), time.perf_counter()
        self.bar.set_postfix_str(self.label)

    def end(self, **_: Any) -> None:
        """Called by nbclient after a cell."""
        self.times.append((self.label, time.perf_counter() - self.begun))
        self.bar.update()


def _label(cells: Any, index: int) -> str:
    """The cell in a few words: the heading right above it, else its first line that is no import."""
    above = cells[index - 1].source.strip().splitlines() if index and cells[index - 1].cell_type == "markdown" else []
    headings = [line.lstrip("# ") for line in above if line.startswith("#")]
    code = [line.strip() for line in cells[index].source.splitlines() if line.strip()]
    statements = [line for line in code if not line.startswith(("import ", "from ", "#"))]
    return (headings[-1:] or statements or code)[0][:60]


def _write(notebook: Any, target: Path) -> tuple[Path, Path]:
    """Write the executed copy and its HTML page; returns their paths."""
    import nbformat
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    # without a kernel a widget does not answer: the HTML page shows the figure that comes with it instead
    kinds = [kind for kind in HTMLExporter().default_config.NbConvertBase.display_data_priority if "widget" not in kind]
    config, templates = Config({"NbConvertBase": {"display_data_priority": kinds}}), DictLoader({"page.html.j2": WITH_ALT_TEXTS})
    exporter = HTMLExporter(config=config, extra_loaders=[templates], template_file="page.html.j2")
    html = exporter.from_notebook_node(notebook, {"metadata": {"name": target.stem}})[0]
    for path, text in ((target, nbformat.writes(notebook)), (target.with_suffix(".html"), html)):
        write_file(path, text)
    write_figures(notebook, target.parent / "figures", target.stem)
    write_file(target.with_name(f"{target.stem}_answers.md"), answers(notebook))
    return target, target.with_suffix(".html")
