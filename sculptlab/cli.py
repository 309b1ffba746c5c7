"""The command line: `sculptlab lab | app | run | train | sweep | site | student-edition | scores | doctor | fetch`."""

import argparse
import glob
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from sculptlab import __version__, doctor
from sculptlab.data import downloads, folders, sources
from sculptlab.names import as_path
from sculptlab.series import pages
from sculptlab.series.profiles import PROFILES

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130  # exit codes


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Its exit code is 0 for success, 1 for failure, 2 for wrong usage, 130 after Ctrl-C."""
    if reconfigure := getattr(sys.stdout, "reconfigure", None):  # as stderr does: what the encoding lacks is escaped
        reconfigure(errors="backslashreplace")
    parser = _parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.exit(USAGE, parser.format_help())  # to stderr: no command was named
    arguments = parser.parse_args(argv)
    try:
        os.getcwd()
    except OSError as error:
        print(f"sculptlab: the working folder cannot be read ({error}): change to another one", file=sys.stderr)
        return FAILED
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of `sculptlab doctor | head` has stopped reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ValueError as error:
        print(f"sculptlab {arguments.command}: {error}", file=sys.stderr)
        return USAGE
    except (OSError, ImportError) as error:
        hint = "; `sculptlab doctor` says what is missing" if isinstance(error, ImportError) else ""
        print(f"sculptlab: {error}{hint}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("sculptlab: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sculptlab", description="Shape an autoencoder's latent space: the notebooks.")
    parser.add_argument("--version", action="version", version=f"sculptlab {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(run=run)
        return one

    lab = add("lab", _lab, "open the notebooks in JupyterLab")
    lab.add_argument("extra", nargs="*", metavar="WORD", help="words for `jupyter lab`; after --, also its options")
    app = add("app", _app, "show the Sculptor alone, without code, in a browser")
    address = "where to listen: 0.0.0.0 for a network that you trust, with a token in the link (default: this machine alone)"
    app.add_argument("--ip", metavar="ADDRESS", default="127.0.0.1", help=address)
    app.add_argument("--port", type=int, metavar="N", default=8866, help="the port (default %(default)s)")
    places = "visitors at a time, each with a kernel of 0.9 GB (default %(default)s)"
    app.add_argument("--visitors", type=int, metavar="N", default=8, help=places)
    app.add_argument("--no-browser", action="store_true", help="do not open a browser")
    app.add_argument("extra", nargs="*", metavar="WORD", help="options of Voilà, after --")
    run = add("run", _run, "run pages without a browser: an executed copy, an HTML file, the claims with their values")
    run.add_argument("pages", nargs="*", metavar="PAGE", help='a number ("01"), a name or a path; default: every page')
    profile = "fast: laptops (the default); full: longer training, more seeds, results recorded anew"
    run.add_argument("--profile", choices=PROFILES, help=profile)
    run.add_argument("--seed", type=int, metavar="N", help="the seed the pages start from from 0 to 9999 (default 0)")
    run.add_argument("--out", type=Path, default=Path("executed"), metavar="DIR", help="where the files go (%(default)s)")
    train = add("train", _train, "train a model as a TOML or Python file says; with torchrun, in several processes")
    train.add_argument("config", type=Path, metavar="CONFIG", help="`python -m pydoc sculptlab.training.config` says what it has")
    sweep = add("sweep", _sweep, "run a study in several processes; what is finished is kept, the same command goes on with it")
    sweep.add_argument("study", nargs="?", metavar="STUDY", help="the name of its result; without it, the names are listed")
    shared = "where finished cells are kept; processes of other hosts may share it (default: sweeps/STUDY)"
    sweep.add_argument("--folder", type=Path, metavar="DIR", help=shared)
    sweep.add_argument("--jobs", type=int, metavar="N", default=1, help="processes on this machine (default %(default)s)")
    sweep.add_argument("--record", action="store_true", help="when all is done, write the result to data/results")
    site = add("site", _site, "write all pages as a web site that needs no server; only pages that changed are run again")
    site.add_argument("out", type=Path, metavar="OUT", help="the folder of the site: a new one, or an earlier site")
    site.add_argument("--executed", type=Path, metavar="DIR", help="show the executed pages of this folder, and run nothing")
    student = add("student-edition", _student_edition, "write the pages without the solutions of their exercises")
    student.add_argument("out", type=Path, metavar="DIR", help="where the pages go")
    student.add_argument(
        "--seed", type=int, metavar="N", help="the seed that these pages start from (0 to 9999), for other numbers"
    )
    score = add("scores", _scores, "show what each student has passed, from the files that sl.series.keep_score wrote")
    score.add_argument("files", nargs="+", metavar="FILE", help="the collected files")
    add("doctor", _doctor, "say what works on this machine, and the remedy where something does not")
    fetch = add("fetch", _fetch, "make sure that a data set is on this machine, downloading it once")
    fetch.add_argument("name", nargs="?", metavar="NAME", help="a data set; without it, the names are listed")
    split = "the split to get (default: the one that `load(NAME)` reads; for tiny_imagenet its validation images, test)"
    fetch.add_argument("--split", choices=("train", "test"), help=split)
    return parser


def _lab(arguments: argparse.Namespace) -> int:
    """Replace this process by JupyterLab, opened at the first page."""
    place = pages.notebooks_folder()
    if folders.clone() is None:  # an installed package is not a place to edit notebooks: work on a copy
        place = Path("sculptlab-notebooks").resolve()
        for path in pages.copy_pages(place):
            print(f"kept your changed {path}; delete it to get the package's own page again")
    _become(lab_command(place, arguments.extra))


def lab_command(place: Path, extra: Sequence[str] = ()) -> list[str]:
    """The command that opens JupyterLab on the folder `place`; Jupyter starts as root only if told to."""
    start = [f"--LabApp.default_url=/lab/tree/{pages.START}"] if (place / pages.START).is_file() else []
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={place}", *start, *root, *extra]


def _app(arguments: argparse.Namespace) -> int:
    """Serve the Sculptor's page with Voilà until Ctrl-C."""
    if find_spec("voila") is None:
        raise ImportError(f"the app needs Voilà: {doctor.PIP} install voila 'tornado>=6.5'")
    for name, least, most in (("port", 1, 65535), ("visitors", 1, 1000)):
        if not least <= getattr(arguments, name) <= most:
            raise ValueError(f"--{name} must lie between {least} and {most}, got {getattr(arguments, name)}")
    from sculptlab.app.server import serve

    address = [f"--Voila.ip={arguments.ip}", f"--port={arguments.port}"]
    serve([*address, *(["--no-browser"] if arguments.no_browser else []), *arguments.extra], visitors=arguments.visitors)
    return OK


def _become(command: list[str]) -> NoReturn:
    # Without JUPYTER_PREFER_ENV_PATH, a kernel named python3 in the user's home would replace this environment's.
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"}
    if os.name == "nt":  # execve does not quote arguments there, and the shell goes on at once
        sys.exit(subprocess.call(command, env=environment))
    os.execve(command[0], command, environment)


def _run(arguments: argparse.Namespace) -> int:
    """Run the pages one after the other; it fails if a page fails or a claim does not hold."""
    paths = [pages.find(page) for page in arguments.pages] or pages.every()
    return OK if pages.execute_all(paths, as_path("--out", arguments.out), arguments.profile, arguments.seed) else FAILED


def _train(arguments: argparse.Namespace) -> int:
    """Train as the file says; it fails if the loss explodes, or if another process ends or stalls."""
    from sculptlab.training.config import train_from
    from sculptlab.training.distributed import RankError
    from sculptlab.training.interrupts import terminable
    from sculptlab.training.state import DivergenceError

    try:
        with terminable():
            run = train_from(arguments.config)
    except TypeError as error:
        raise ValueError(str(error)) from error
    except (RankError, DivergenceError) as error:
        print(f"sculptlab train: {error}", file=sys.stderr)
        return FAILED
    return INTERRUPTED if run.stopped == "interrupted" else OK


def _sweep(arguments: argparse.Namespace) -> int:
    """Compute the cells of a study that are not done yet, or list the studies."""
    from sculptlab.series import recording

    if arguments.study is None:
        print("studies:", *recording.studies(), sep="\n  ")
        return OK
    if not 1 <= arguments.jobs <= 1000:
        raise ValueError(f"--jobs must lie between 1 and 1000, got {arguments.jobs}")
    folder = Path("sweeps", arguments.study) if arguments.folder is None else as_path("--folder", arguments.folder)
    found = recording.sweep(arguments.study, folder, arguments.jobs, arguments.record)
    print(f"all cells are done: {folder}" + ("; --record writes the result" if found is None else f"; {found}"))
    return OK


def _site(arguments: argparse.Namespace) -> int:
    """Write the site; it fails if a page fails, a claim does not hold, or something cannot be shown."""
    if find_spec("math_core") is None:
        raise ImportError(f"the site needs math-core for its formulas: {doctor.PIP} install math-core")
    from sculptlab.series.site.building import build_site, checked_out
    from sculptlab.series.site.running import run_changed

    out = checked_out(as_path("OUT", arguments.out))  # before the pages run for minutes
    executed = Path("executed") if arguments.executed is None else as_path("--executed", arguments.executed)
    reports = run_changed(pages.every(), executed) if arguments.executed is None else []
    problems = build_site(executed, out)
    print(*problems, f"site: {out / 'index.html'}", sep="\n")
    return FAILED if problems or not all(report.ok for report in reports) else OK


def _student_edition(arguments: argparse.Namespace) -> int:
    """Write the pages without solutions."""
    for path in pages.student_edition(as_path("out", arguments.out), arguments.seed):
        print(path)
    return OK


def _scores(arguments: argparse.Namespace) -> int:
    """Print a table of the tries that each student needed; a minus stands before those of an exercise that is not passed yet."""
    from sculptlab.series.scores import table

    shown = table(
        [path for name in arguments.files for path in sorted(glob.glob(name)) or [name]]
    )  # no shell of Windows expands *
    print(shown.to_string(na_rep="", float_format="{:.0f}".format))
    print("\nnumbers of tries; negative: not passed yet; empty: not tried")
    return OK


def _doctor(_: argparse.Namespace) -> int:
    """Print all findings; it fails if one of them is a problem."""
    findings = [doctor.run_check(*check) for check in doctor.CHECKS]
    print(*findings, sep="\n")
    problems = sum(finding.ok is False for finding in findings)
    print(f"\n{problems} problem(s); the arrows say what to do" if problems else "\neverything that is needed works")
    return FAILED if problems else OK


def _fetch(arguments: argparse.Namespace) -> int:
    """Make sure that one data set is on this machine, or list the names of all."""
    if arguments.name is None and arguments.split is None:
        print("data sets:", *sources.NAMES, sep="\n  ")
    else:
        print(f"{arguments.name}: {downloads.fetch(arguments.name, arguments.split)}")
    return OK


if __name__ == "__main__":
    sys.exit(main())
