"""Options of predict.py, and which of them can be combined."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from seqtext.command_line import option, positional
from seqtext.errors import OptionError, UserError

FILE_OPTIONS = (
    "output", "text", "label", "separator", "encoding", "header", "quoting", "escapechar",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Use a trained model on texts, a file or standard input; every option is <word>=<value>.

    Raises:
        UserError: if options cannot be combined.
    """

    NOTES: ClassVar[str] = (
        "Without texts and input=, standard input is read, one text per line. An empty text is "
        'treated as one unknown word. If the input has a column "label", the new one is '
        '"predicted_label". An empty line is a row only in a CSV file with one column. Of two '
        "columns x, the second is named x.1 in JSON Lines and Parquet. The decision threshold is "
        "that of the run. Of several runs, which may be different models with tokenizers of their "
        "own, the probabilities and thresholds are averaged (a run that is named twice counts "
        "twice); they must have the same classes."
    )
    EXAMPLES: ClassVar[str] = """
python predict.py run=outputs/imdb-grid "a wonderful little film" "another text"
python predict.py run=outputs/tweets-best input=data/tweets/test.csv output=labels.csv
python predict.py run=outputs/imdb-best input=more.parquet label=sentiment   (score it)
python predict.py 'run=[outputs/gru-0,outputs/gru-1,outputs/tfidf]' "a text"   (their mean)
python predict.py run=outputs/tweets-best input=more.csv output=sets.csv coverage=0.9
python predict.py run=outputs/imdb-grid explain=true "a text"                (words in colours)
python predict.py run=outputs/imdb-grid input=more.csv explain=true output=page.html
python predict.py run=outputs/imdb-grid export=film                          (an ONNX graph)
tail -f log | python predict.py run=outputs/spam-best
"""

    texts: tuple[str, ...] = positional(
        "texts to classify: prints class, probability and text, one line each"
    )
    run: str = option(
        "a run folder, a sweep's folder (its best run, by validation score) or a .ckpt file; "
        "nothing else of the run is needed; run=[a,b,c]: the mean of their probabilities",
        missing="name a run, as in run=outputs/…",
    )
    input: Path | None = option(
        "CSV, TSV, JSON (lines or an array) or Parquet, also as .gz, .bz2, .xz or .zip, of any size"
    )
    output: Path | None = option(
        "file for the same rows and columns plus label and probability_<class>; its suffix gives "
        "the format, one of those of input=; it is written atomically"
    )
    text: str | None = option(
        "column of the text, or several: text=title,review; default: those of the model's training "
        "data, else the column named text"
    )
    label: str | None = option(
        "name of the column of the true class: prints all metrics; with output=, scores.json and "
        "figures are written to the folder <output>-scores; rows without a label are not scored"
    )
    separator: str | None = option(
        "separator of a CSV file: one character, or tab, comma, semicolon, pipe, space; default: a "
        "comma, in .tsv files a tab"
    )
    quoting: str = option(
        "none: quotes in a CSV file are part of the texts; minimal: they enclose columns; default: "
        "minimal, but in tab-separated files only if all quotes look like a CSV writer's",
        "auto",
    )
    escapechar: str | None = option(
        "escape character of a CSV file, as in escapechar=backslash: it precedes quotes in texts"
    )
    encoding: str = option("encoding of a text file; default: utf-8", "utf-8")
    header: bool = option(
        "false: the first row of a CSV file is a data row, and columns are named by their "
        "numbers: text=0; the output has a header",
        True,
    )
    export: Path | None = option(
        "folder for model.onnx and preprocessing.json: the model for other programs, and how to "
        "preprocess texts for it; needs pip install -e '.[export]'"
    )
    coverage: float | None = option(
        "add the set of classes that contains the true one with at least this probability, as in "
        "coverage=0.9: a column in_set_<class> for each class, and in the terminal a list; split "
        "conformal prediction from the validation part of the run"
    )
    explain: bool = option(
        "true: which words increased (blue) or decreased (orange) the class score, by integrated "
        "gradients, relative to unknown words; for a model with attention, the attention weights; "
        "output=page.html: an HTML page of up to 1,000 texts",
        False,
    )

    plugins: tuple[str, ...] = option(
        "packages whose classes the run may use, if trained with classes of one's own, as in "
        "plugins=my_project: they are imported, so name only packages that you trust",
        (),
    )

    @property
    def runs(self) -> list[str]:
        """Return the runs that ``run=`` names: one, or those of a list.

        Raises:
            UserError: if the list is empty or malformed.
        """
        if not self.run.startswith("[") or Path(self.run).exists():
            return [self.run]
        return _parse_list(self.run)

    def __post_init__(self):
        given = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        if self.export and (
            others := [name for name in given if name not in ("run", "export", "plugins")]
        ):
            other = self.texts[0] if others[0] == "texts" else f"{others[0]}="
            raise UserError(f"export= can only be combined with run= and plugins=: drop {other}.")
        count = len(self.runs)
        for name in ("export", "explain", "coverage"):
            if getattr(self, name) and count > 1:
                raise UserError(f"{name}= takes one model: name one run, not {count}.")
        if self.coverage is not None and not 0 < self.coverage < 1:
            raise OptionError("coverage", self.coverage, "a number between 0 and 1")
        if self.coverage is not None and self.explain:
            raise UserError("coverage= and explain=true cannot be combined: drop one.")
        if self.texts and self.input:
            raise UserError("Texts and input= cannot be combined: drop one.")
        if self.explain and self.label:
            raise UserError("label= and explain=true cannot be combined: drop one.")
        if self.explain and self.output and self.output.suffix.lower() not in (".html", ".htm"):
            raise UserError(f"output={self.output} must end in .html with explain=true.")
        if not self.input:
            for name in FILE_OPTIONS:
                if name in given and not (self.explain and name == "output"):
                    raise UserError(f"{name}= needs a file: give input= too.")


def _parse_list(text: str) -> list[str]:
    """Parse a list in Hydra's grammar.

    Raises:
        UserError: if it is empty, malformed, or has other values than texts and whole numbers.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser  # slow to import
    from hydra.errors import HydraException

    try:
        found = OverridesParser.create().parse_override(f"run={text}").value()
    except HydraException:
        found = None
    if (
        not isinstance(found, list)
        or not found
        or not all(type(each) in (str, int) for each in found)
    ):
        raise UserError(
            f"run={text} must be a list of runs, as in run=[outputs/a,outputs/b]; names with "
            f"special characters need quotes: \"run=['~/a (1)',outputs/b]\"."
        )
    return list(map(str, found))
