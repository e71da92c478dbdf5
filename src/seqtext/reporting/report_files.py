"""Write the files of a report: Markdown, CSV, LaTeX and HTML."""

from pathlib import Path

import pandas as pd

from seqtext.files import write_text
from seqtext.reporting.html_page import render_report
from seqtext.reporting.latex import format_latex_table
from seqtext.reporting.report import Report, format_markdown, pairs_to_dataframe
from seqtext.reporting.results_table import to_dataframe


def write_report(output: Path, report: Report) -> list[Path]:
    """Write report.md, .csv, .tex, .html and differences.csv into a folder; return the paths."""
    sections = report.sections
    numbers = pd.concat([to_dataframe(s.dataset, s.groups, s.published) for s in sections])
    tables = [format_latex_table(s.table, f"{s.dataset}: {s.describe()}") for s in sections]
    files = {
        "report.md": format_markdown(report),
        "report.csv": numbers.to_csv(index=False),
        "differences.csv": pd.concat([pairs_to_dataframe(s) for s in sections]).to_csv(index=False),
        "report.tex": "\n\n".join(tables) + "\n",
        "report.html": render_report(report),
    }
    output.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(output / name, text.encode(errors="replace").decode())
    return [output / name for name in files]
