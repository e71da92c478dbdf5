"""Write figures as PNG files."""

import io
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seqtext.files import replace_file

log = logging.getLogger(__name__)


def write_figures(
    drawings: Mapping[str, Callable[[], Figure]], folder: Path, dpi: int = 150
) -> dict[str, bytes]:
    """Draw figures and write them as PNG files; return the content by file name.

    A figure that cannot be drawn is skipped with a warning.

    Args:
        drawings: functions that return a figure, by file name
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {}
    for name, draw in drawings.items():
        with log_failure_as_warning(f"The figure {name}"):
            contents[name] = to_png(draw(), dpi)
            with replace_file(folder / f"{name}.png") as temporary:
                temporary.write_bytes(contents[name])
    return contents


@contextmanager
def log_failure_as_warning(what: str) -> Iterator[None]:
    """Log any error as a warning: a failed figure must not end a run without scores."""
    try:
        yield
    except Exception as error:
        log.warning("%s cannot be shown: %s: %s", what, type(error).__name__, error)


def to_png(figure: Figure, dpi: int = 120) -> bytes:
    """Encode a figure as PNG; in a notebook, ``Image(to_png(figure))`` shows it."""
    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, dpi=dpi)
    return content.getvalue()
