"""Drawing without global state: a matplotlib figure of fixed looks, and its PNG bytes.

Guarantees: the same drawing gives the same bytes in every run of one matplotlib, whatever a matplotlibrc of the user
says; text is never read as mathematics; a character that the font lacks is drawn as a box, without a warning.
Cannot see: other versions of matplotlib, which may place a pixel differently.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

BOX = "□"
INK = "#1d2126"
SOFT = "#5b6470"
RULE = "#dfe2e6"
BLUE = "#22497f"
ORANGE = "#c2661b"
RED = "#a3202a"
_FONT = "DejaVu Sans"  # comes with matplotlib, so it is there on every machine
_LOOKS: dict[Any, Any] = {
    "font.family": [_FONT],
    "font.size": 10.0,
    "text.color": INK,
    "text.usetex": False,
    "text.parse_math": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.titlesize": 12.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "path.simplify": False,
}


@contextmanager
def looks() -> Iterator[None]:
    """Our fixed settings instead of the user's, restored afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOKS)
        yield


def canvas(width: float, height: float) -> Canvas:
    """An empty figure of this many inches, not known to pyplot."""
    made = Canvas(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(made)
    return made


def png(drawn: Canvas) -> bytes:
    """The figure as PNG, without the text that names the program."""
    stream = io.BytesIO()
    drawn.savefig(stream, format="png", dpi=150, metadata={"Software": None})
    return stream.getvalue()


def drawable(text: str) -> str:
    """``text`` on one line, in characters that the font has; a box for each other."""
    kept = (character if character.isprintable() and ord(character) in _glyphs() else BOX for character in text)
    return "".join(kept)


def lacks_glyphs(text: str) -> bool:
    """Whether :func:`drawable` has to replace something."""
    return drawable(text) != text


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(_FONT)).get_charmap())
