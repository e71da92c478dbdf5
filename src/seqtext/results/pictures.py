"""Figures as the content of files."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(figure: Figure, dpi: int = 120) -> bytes:
    """A PNG file; a notebook shows it as ``Image(png(figure))``."""
    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, dpi=dpi)
    return content.getvalue()
