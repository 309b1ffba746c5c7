"""The command line: `sculptlab lab | app | run | doctor | fetch`."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sculptlab import __version__
from sculptlab.data import folders
from sculptlab.live import fronts
from sculptlab.profiles import PROFILES
from sculptlab.series import pages

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
LENT = Path("sculptlab-notebooks")
APP = fronts.FOLDER / "app.ipynb"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 fine, 1 failed, 2 wrong usage, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    parser = _parser()
    asked = parser.parse_args(words[:cut])
    asked.extra = words[cut + 1 :]
    if asked.extra and asked.command not in (lab, app):
        parser.error("only `sculptlab lab` and `sculptlab app` pass words after -- on")
    try:
        code = int(asked.command(asked))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `sculptlab doctor | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ValueError, OSError) as error:  # DataNotFound is an OSError
        print(f"sculptlab: {error}", file=sys.stderr)
        return FAILED
    except ImportError as error:
        print(f"sculptlab: {error}; `sculptlab doctor` says what is missing", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("sculptlab: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sculptlab", description="Shape an autoencoder's latent space: the notebooks.")
    parser.add_argument("--version", action="version", version=f"sculptlab {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    text = "open the notebooks in JupyterLab"
    one = commands.add_parser("lab", help=text, description=f"{text}; words after -- go to `jupyter lab`.")
    one.set_defaults(command=lab)

    text = "show the Sculptor alone, without code, in a browser"
    one = commands.add_parser(
        "app",
        help=text,
        description=f"{text}; words after -- go to `voila`: --port=8870, or "
        "--Voila.ip=0.0.0.0 for every computer of a network that you trust.",
    )
    one.set_defaults(command=app)

    text = "run pages without a browser: an executed copy, an HTML file, the claims with their values"
    one = commands.add_parser("run", help=text, description=text)
    one.add_argument("pages", nargs="*", metavar="PAGE", help='a number ("01"), a name or a path; default: every page')
    one.add_argument(
        "--profile",
        choices=PROFILES,
        help="fast: laptops (the default); full: longer training, more seeds, results recorded anew",
    )
    one.add_argument("--seed", type=_seed, metavar="N", help="the seed the pages start from (default 0)")
    one.add_argument("--out", type=Path, default=Path("executed"), metavar="DIR", help="where the files go (%(default)s)")
    one.set_defaults(command=run)

    text = "say what works on this machine, and the remedy where something does not"
    commands.add_parser("doctor", help=text, description=text).set_defaults(command=doctor)

    text = "make sure that a data set is there, downloading it once"
    one = commands.add_parser("fetch", help=text, description=text)
    one.add_argument("name", nargs="?", metavar="NAME", help="a data set; without it, the names are listed")
    text = "the half wanted (default: the one that `load(NAME)` reads, for tiny_imagenet its validation images, test)"
    one.add_argument("--split", choices=("train", "test"), help=text)
    one.set_defaults(command=fetch)
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number >= 0, got {text!r}")
    return int(text)


def lab(asked: argparse.Namespace) -> int:
    """Become a JupyterLab that opens the first page."""
    place = pages.notebooks_folder()
    if folders.clone() is None:
        place = LENT.resolve()
        for path in pages.copy_pages(place):
            print(f"kept your changed {path}; delete it to get the package's own page again")
    command = lab_command(place, asked.extra)
    # Else a user's own kernel spec called python3 could shadow this environment's.
    os.execve(command[0], command, os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"})


def lab_command(place: Path, extra: Sequence[str] = (), root: bool | None = None) -> list[str]:
    """The command that opens JupyterLab on `place` at the first page; as root it says so, or Jupyter would refuse."""
    as_root = root if root is not None else hasattr(os, "geteuid") and os.geteuid() == 0
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={place}"]
    command += [f"--LabApp.default_url=/lab/tree/{pages.START}"] if (place / pages.START).is_file() else []
    return command + (["--allow-root"] if as_root else []) + list(extra)


def app(asked: argparse.Namespace) -> int:
    """Become a Voilà server that shows the Sculptor; ImportError where there is none."""
    if find_spec("voila") is None:
        raise ImportError(f"the app needs Voilà: {sys.executable} -m pip install voila")
    command = app_command(asked.extra)
    os.execve(command[0], command, os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"})


def app_command(extra: Sequence[str] = ()) -> list[str]:
    """The command that serves the page with the Sculptor, to this machine's own browsers unless told otherwise."""
    here = [] if any(word.startswith("--Voila.ip=") for word in extra) else ["--Voila.ip=127.0.0.1"]
    return [sys.executable, "-m", "voila", str(APP), *here, "--strip_sources=True", *extra]


def run(asked: argparse.Namespace) -> int:
    """Run the pages one after the other; 1 if any failed or any claim does not hold."""
    try:
        paths = [pages.find(page) for page in asked.pages] or pages.every()
    except ValueError as error:
        print(f"sculptlab run: {error}", file=sys.stderr)
        return USAGE
    in_the_way = [place for place in (asked.out, *asked.out.parents) if place.exists() and not place.is_dir()]
    if in_the_way:
        print(f"sculptlab run: --out must be a folder, got {asked.out}: {in_the_way[0]} is a file", file=sys.stderr)
        return USAGE
    if not paths:
        raise FileNotFoundError(f"no page in {pages.notebooks_folder()}")
    reports = []
    for path in paths:
        reports.append(pages.execute(path, asked.out, asked.profile, asked.seed))
        print(reports[-1], flush=True)
    failed = [report.page for report in reports if not report.ok]
    claims = [claim for report in reports for claim in report.claims]
    print(
        f"{len(reports)} page(s) in {sum(report.seconds for report in reports):.1f} s,"
        f" {sum(claim.holds for claim in claims)} of {len(claims)} claims hold"
        + (f"; FAILED: {', '.join(failed)}" if failed else "")
    )
    return FAILED if failed else OK


def doctor(asked: argparse.Namespace) -> int:
    """Print every finding; 1 if one of them is a problem."""
    from sculptlab.doctor import examine

    findings = examine()
    print(*findings, sep="\n")
    problems = sum(finding.ok is False for finding in findings)
    print(f"\n{problems} problem(s); the arrows say what to do" if problems else "\neverything that is needed works")
    return FAILED if problems else OK


def fetch(asked: argparse.Namespace) -> int:
    """Make sure one data set is there, or list them all."""
    from sculptlab.data import downloads, sources

    if asked.name is None and asked.split is None:
        print("data sets:", *sources.NAMES, sep="\n  ")
        return OK
    try:
        downloads.split_of(asked.name, asked.split)
    except ValueError as error:
        print(f"sculptlab fetch: {error}", file=sys.stderr)
        return USAGE
    print(f"{asked.name}: {downloads.fetch(asked.name, asked.split)}")
    return OK


if __name__ == "__main__":
    sys.exit(main())
