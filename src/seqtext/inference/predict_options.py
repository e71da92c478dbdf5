"""The options of predict.py, and which of them go together."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from seqtext.command_line import option, positional
from seqtext.errors import UserError

FILE_OPTIONS = (
    "output", "text", "label", "separator", "encoding", "header", "quoting", "escapechar",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Use a trained model on texts, a file or standard input; every option is <word>=<value>.

    Raises:
        UserError: if options do not go together.
    """

    NOTES: ClassVar[str] = (
        "Without texts and input=, standard input is read, one text a line. An empty text counts "
        'as one unknown word. A column "label" of the input stays: the new one is '
        '"predicted_label" then. An empty line is a row of a CSV file with one column, and none of '
        "others. Of two columns x the second is x.1 in JSON Lines and Parquet. The threshold is "
        "the run's."
    )
    EXAMPLES: ClassVar[str] = """
python predict.py run=outputs/imdb-grid "a wonderful little film" "another text"
python predict.py run=outputs/tweets-best input=data/tweets/test.csv output=labels.csv
python predict.py run=outputs/imdb-best input=more.parquet label=sentiment   (score it)
python predict.py run=outputs/imdb-grid explain=true "a text"                (words in colours)
python predict.py run=outputs/imdb-grid input=more.csv explain=true output=page.html
python predict.py run=outputs/imdb-grid export=film                          (an ONNX graph)
tail -f log | python predict.py run=outputs/spam-best
"""

    texts: tuple[str, ...] = positional(
        "texts to classify: prints class, probability and text, a line each"
    )
    run: str = option(
        "a run folder, a sweep's folder (its best run, by validation score) or a .ckpt file; "
        "nothing else of the run is needed",
        missing="name a run, as in run=outputs/…",
    )
    input: Path | None = option(
        "CSV, TSV, JSON (lines or an array) or Parquet, also as .gz, .bz2, .xz or .zip, of any size"
    )
    output: Path | None = option(
        "the same rows and columns, and label and probability_<class>; one of these formats, as "
        "its name ends; it is there whole or not at all"
    )
    text: str | None = option(
        "column of the text, or several: text=title,review; default: those that the model was "
        "trained on, else the column named text"
    )
    label: str | None = option(
        "column of the true class, by name: prints every metric; with output=, scores.json and "
        "figures go into the folder <output>-scores; rows without a label are not scored"
    )
    separator: str | None = option(
        "of a CSV file: one character, or tab, comma, semicolon, pipe, space; default: a comma, in "
        ".tsv files a tab"
    )
    quoting: str = option(
        "none: quotes of a CSV file are a part of the texts; minimal: they enclose columns; "
        "default: minimal, but in tab-separated files only where a CSV writer wrote them all",
        "auto",
    )
    escapechar: str | None = option(
        "of a CSV file, as in escapechar=backslash: it stands before a quote in a text"
    )
    encoding: str = option("of a text file; default: utf-8", "utf-8")
    header: bool = option(
        "false: a CSV file's first row is one like the others, and columns are named by their "
        "numbers: text=0; the output has a header",
        True,
    )
    export: Path | None = option(
        "a folder to write model.onnx and preprocessing.json to: the model for programs without "
        "this one, and how they make its inputs of a text; needs pip install -e '.[export]'"
    )
    explain: bool = option(
        "true: which words spoke for the class (blue) and against it (orange), by integrated "
        "gradients: they add up to its logit without that of unknown words; of a model with "
        "attention, where that lies; output=page.html: a page, of up to 1,000 texts",
        False,
    )

    def __post_init__(self):
        given = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        if self.export and (others := [name for name in given if name not in ("run", "export")]):
            other = self.texts[0] if others[0] == "texts" else f"{others[0]}="
            raise UserError(f"export= goes with run= alone: drop {other}.")
        if self.texts and self.input:
            raise UserError("Texts and input= cannot go together: drop one.")
        if self.explain and self.label:
            raise UserError("label= and explain=true cannot go together: drop one.")
        if self.explain and self.output and self.output.suffix.lower() not in (".html", ".htm"):
            raise UserError(f"output={self.output} must end in .html with explain=true.")
        if not self.input:
            for name in FILE_OPTIONS:
                if name in given and not (self.explain and name == "output"):
                    raise UserError(f"{name}= needs a file: give input= too.")
