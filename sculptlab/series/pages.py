"""The pages of the series: where they are, what they claim, and how one is run without a browser."""

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sculptlab.data import folders
from sculptlab.profiles import PROFILES

START = "00_start_here.ipynb"
SAID = """{% extends 'lab/index.html.j2' %}
{% block data_png scoped %}
{%- set alt = output | get_metadata('alt', 'image/png') -%}
{{ super() | replace('<img ', '<img alt="' ~ alt | escape_html ~ '" ', 1) if alt else super() }}
{% endblock %}"""  # a picture that says what it shows (`Picture.in_words`) is passed on with its words
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Verdict:
    """What a page showed for one of its claims: the mean over n seeds, as a text too, their spread, and the bound."""

    statement: str
    holds: bool
    mean: float
    spread: float
    n: int
    bound: str
    shown: str

    def __str__(self) -> str:
        word = "holds" if self.holds else "FAILS"
        return f"{word}  {self.shown} ± {self.spread:.2g} (n = {self.n}, claimed {self.bound})  {self.statement}"


@dataclass(frozen=True)
class Report:
    """What one run of a page gave: `seconds` in all, kernel start included; `cells` pairs labels with seconds."""

    page: str
    notebook: Path
    html: Path
    seconds: float
    cells: tuple[tuple[str, float], ...]
    claims: tuple[Verdict, ...]
    error: str | None = None
    swallowed: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """True if no cell failed, no error was swallowed and every claim holds."""
        return self.error is None and not self.swallowed and all(claim.holds for claim in self.claims)

    def __str__(self) -> str:
        slowest = sorted((cell for cell in self.cells if cell[1] >= 0.1), key=lambda cell: -cell[1])[:3]
        return "\n".join(
            [
                f"{self.page}  {'ok' if self.ok else 'FAILED'}  {self.seconds:.1f} s",
                *(f"  {claim}" for claim in self.claims),
                *([f"  error: {self.error}"] if self.error else []),
                *(f"  an error that stopped no cell: {line}" for line in self.swallowed),
                *(f"  slowest: {seconds:5.1f} s  {label}" for label, seconds in slowest),
                f"  files: {self.notebook}",
                f"         {self.html}",
            ]
        )


def folder() -> Path:
    """The notebooks: the clone's own where the package runs from one, else those inside the installed package."""
    clone = folders.clone()
    found = clone / "notebooks" if clone else _PACKAGE / "share" / "notebooks"
    if not found.is_dir():
        raise FileNotFoundError(f"no notebooks at {found}; reinstall sculptlab, or run it from a clone")
    return found


def every() -> list[Path]:
    """All pages in their order."""
    return sorted(folder().glob("[0-9][0-9]_*.ipynb"))


def find(page: str) -> Path:
    """The page meant by a number ("01" or "1"), a name ("01_kl_failure", with or without .ipynb) or a path.

    Raises ValueError listing the pages where it is none of these.
    """
    for path in every():
        if page in (path.name, path.stem) or (page.isdecimal() and int(page) == int(path.name[:2])):
            return path
    if page.endswith(".ipynb") and Path(page).is_file():
        return Path(page).resolve()
    listing = ", ".join(path.stem for path in every()) or f"none in {folder()}"
    raise ValueError(f"page must be a number, a name or a path of an .ipynb file, got {page!r}; the pages: {listing}")


def lend(target: Path) -> list[Path]:
    """Copy the pages to `target` for reading and changing; returns the files left alone because they were changed."""
    target.mkdir(parents=True, exist_ok=True)
    kept = []
    pages = [path for path in folder().rglob("*") if path.is_file() and not path.name.startswith(".")]
    for source in sorted(path for path in pages if path.suffix not in {".py", ".pyc"}):  # the tests' wiring stays home
        copy = target / source.relative_to(folder())
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            shutil.copyfile(source, copy)
        elif copy.read_bytes() != source.read_bytes():
            kept.append(copy)
    return kept


def execute(path: Path, out: Path, profile: str | None = None, seed: int | None = None, progress: bool = True) -> Report:
    """Run the page at `path` in a fresh kernel and write `out`/NAME.ipynb and `out`/NAME.html, also where a cell fails.

    `profile` ("fast" or "full") and `seed` reach the kernel alone; None leaves what the environment says.
    Raises ValueError for a bad argument; KeyboardInterrupt after a Ctrl-C, the kernel stopped, the copy written.
    """
    import nbformat

    values = _settings(profile, seed)
    if out.resolve() == path.resolve().parent:
        raise ValueError(f"out must not be the folder of the page itself, got {out}: the copy would replace the page")
    notebook = nbformat.read(path, as_version=4)
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(notebook, path, progress)
    begun = time.perf_counter()
    try:
        error = run.drive(path.parent if os.access(path.parent, os.W_OK) else out, values)
    finally:
        seconds = time.perf_counter() - begun
        files = _write(notebook, out / path.name)
    return Report(path.stem, *files, seconds, tuple(run.times), verdicts(notebook), error, run.swallowed(error))


def verdicts(notebook: Any) -> tuple[Verdict, ...]:
    """The claims among the outputs of an executed notebook, in their order; one shown twice counts once."""
    from sculptlab.series.claims import MIME

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [Verdict(**output["data"][MIME]) for output in outputs if MIME in output.get("data", {})]
    return tuple(dict.fromkeys(shown))


def _settings(profile: str | None, seed: int | None) -> dict[str, str]:
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"profile must be one of {PROFILES}, got {profile!r}")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise ValueError(f"seed must be a whole number >= 0, got {seed!r}")
    given = {"SCULPTLAB_PROFILE": profile, "SCULPTLAB_SEED": seed}
    return {name: str(value) for name, value in given.items() if value is not None}


class _Run:
    """The progress bar and the clock of one run."""

    def __init__(self, notebook: Any, path: Path, progress: bool) -> None:
        self.notebook, self.times = notebook, list[tuple[str, float]]()
        code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
        bar_format = "{desc}: {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} cells [{elapsed}]{postfix}"
        self.bar = tqdm(total=len(code), desc=path.stem, disable=not progress, bar_format=bar_format)

    def drive(self, cwd: Path, values: dict[str, str]) -> str | None:
        """Run the notebook in place; the error that stopped it, in one line, or None."""
        from nbclient.exceptions import CellExecutionError, DeadKernelError

        from sculptlab.series.execution import StrictClient, kernel_environment

        client = StrictClient(self.notebook, timeout=None, on_cell_execute=self.begin, on_cell_executed=self.end)
        try:
            with self.bar:
                client.execute(cwd=str(cwd), env=kernel_environment(**values))
        except CellExecutionError as error:
            return f"{error.ename}: {error.evalue}, in the cell {self.label!r}"
        except DeadKernelError:
            return f"the kernel died in the cell {self.label!r}; out of memory?"
        return None

    def begin(self, cell: Any, cell_index: int) -> None:
        self.label, self.begun = _label(self.notebook.cells, cell_index), time.perf_counter()
        self.bar.set_postfix_str(self.label)

    def end(self, **_: Any) -> None:
        self.times.append((self.label, time.perf_counter() - self.begun))
        self.bar.update()

    def swallowed(self, error: str | None) -> tuple[str, ...]:
        from sculptlab.series.execution import swallowed

        # A failed cell's own error stands among its outputs; it is no hidden one.
        return tuple(line for line in swallowed(self.notebook) if not (error or "").startswith(line))


def _label(cells: Any, index: int) -> str:
    """The cell in a few words: its heading where one stands right above, else its first line that is no import."""
    above = cells[index - 1].source.strip().splitlines() if index and cells[index - 1].cell_type == "markdown" else []
    headings = [line.lstrip("# ") for line in above if line.startswith("#")]
    code = [line.strip() for line in cells[index].source.splitlines() if line.strip()]
    telling = [line for line in code if not line.startswith(("import ", "from ", "#"))]
    return (headings[-1:] or telling or code)[0][:60]


def _write(notebook: Any, target: Path) -> tuple[Path, Path]:
    """Put the executed copy and its HTML page in place whole; returns their paths."""
    import nbformat
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    html = target.with_suffix(".html")
    _place(target, nbformat.writes(notebook))
    # No kernel will answer in an HTML file: the picture that a widget brings along is better than a dead slider.
    kinds = [kind for kind in HTMLExporter().default_config.NbConvertBase.display_data_priority if "widget" not in kind]
    exporter = HTMLExporter(
        config=Config({"NbConvertBase": {"display_data_priority": kinds}}),
        extra_loaders=[DictLoader({"said.html.j2": SAID})],
        template_file="said.html.j2",
    )
    _place(html, exporter.from_notebook_node(notebook, {"metadata": {"name": target.stem}})[0])
    return target, html


def _place(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
