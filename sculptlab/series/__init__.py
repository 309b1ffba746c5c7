"""Everything that only the pages need: studies, figures, exercise checks, claims, recorded results, profiles, the page runner.

Nothing outside this folder imports it, except the command line and `sl.series`.
"""

from importlib import import_module
from typing import Any

_MODULES = (
    "browser",
    "checks",
    "claims",
    "execution",
    "figures",
    "pages",
    "profiles",
    "questions",
    "recording",
    "reference_codes",
    "results",
    "rivals",
    "studies",
    "verdicts",
)
_NAMES = {"Browser": "browser", "claim": "claims", "keep_score": "scores", "quiz": "questions", "show_prediction": "questions"}
__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"sculptlab.series.{_NAMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"sculptlab.series.{name}")
    raise AttributeError(f"module 'sculptlab.series' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")


def __dir__() -> list[str]:
    return sorted(__all__)
