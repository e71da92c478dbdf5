"""The command line of predict.py: words of the form key=value, and texts."""

import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING

from seqtext.display import make_printable, print_line
from seqtext.errors import UserError
from seqtext.imports import importing

if TYPE_CHECKING:
    from seqtext.inference.predictor import Predictor

HELP = """Use a trained model.

  python predict.py run=FOLDER "a text" "another"     class, probability and text, a line each
  python predict.py run=FOLDER input=FILE output=FILE  a file in, a file out
  python predict.py run=FOLDER input=FILE label=COLUMN score a file whose labels are known
  ... | python predict.py run=FOLDER                   standard input, a text a line
  python predict.py run=FOLDER export=FOLDER           an ONNX graph, to use elsewhere
  python predict.py run=FOLDER explain=true "a text"   which words decided, in colours

options:
  run=       a run folder, a sweep's folder (its best run, by validation score) or a .ckpt file;
             nothing else of the run is needed
  input=     CSV, TSV, JSON (lines or an array) or Parquet, also as .gz, .bz2, .xz or .zip, of any
             size
  output=    the same rows and columns, and label and probability_<class>; one of these formats,
             as its name ends; it is there whole or not at all
  text=      column of the text, or several: text=title,review; default: those that the model was
             trained on, else the column named text
  label=     column of the true class, by name: prints every metric; with output=, scores.json and
             figures go into the folder <output>-scores; rows without a label are not scored
  separator= of a CSV file: one character, or tab, comma, semicolon, pipe, space; default: a comma,
             in .tsv files a tab
  quoting=   none: quotes of a CSV file are a part of the texts; minimal: they enclose columns;
             default: minimal, but in tab-separated files only where a CSV writer wrote them all
  escapechar=  of a CSV file, as in escapechar=backslash: it stands before a quote in a text
  encoding=  of a text file; default: utf-8
  header=    false: a CSV file's first row is one like the others, and columns are named by their
             numbers: text=0; the output has a header
  export=    a folder to write model.onnx and reading.json to: the model for programs without this
             one, and how they make its inputs of a text; needs pip install -e '.[export]'
  explain=   true: which words spoke for the class (blue) and against it (orange), by integrated
             gradients: they add up to its logit without that of unknown words; of a model with
             attention, where that lies; output=page.html: a page, of up to 1,000 texts
  --         what follows are texts, also where they look like options

An empty text counts as one unknown word. A column "label" of the input stays: the new one is
"predicted_label" then. An empty line is a row of a CSV file with one column, and none of others. Of
two columns x the second is x.1 in JSON Lines and Parquet. The threshold is the run's.

examples:
  python predict.py run=outputs/imdb-grid "a wonderful little film"
  python predict.py run=outputs/tweets-best input=data/tweets/test.csv output=labels.csv
  python predict.py run=outputs/imdb-best input=more.parquet label=sentiment
  python predict.py run=outputs/imdb-grid input=more.csv explain=true output=page.html
  tail -f log | python predict.py run=outputs/spam-best
"""


@dataclass(frozen=True)
class Command:
    """What stands on the command line; see `HELP`."""

    run: str
    texts: tuple[str, ...] = ()
    input: str | None = None
    output: str | None = None
    text: str | None = None
    label: str | None = None
    separator: str | None = None
    encoding: str = "utf-8"
    header: bool = True
    quoting: str = "auto"
    escapechar: str | None = None
    export: str | None = None
    explain: bool = False


WORDS = [field.name for field in fields(Command) if field.name != "texts"]
ALONE = ("run", "export")
OF_FILES = ("output", "text", "label", "separator", "encoding", "header", "quoting", "escapechar")


def parsed(arguments: Sequence[str]) -> Command:
    """The command line, understood.

    Raises:
        UserError: if a word is unknown, comes twice, is missing or does not go with the others.
    """
    words: dict[str, str] = {}
    texts: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            texts += waiting
        elif found := re.match(r"(-*[A-Za-z_][\w.-]*)=(.*)", argument, re.DOTALL):
            _take(words, found[1], found[2])
        else:
            texts.append(argument)
    if "run" not in words:
        raise UserError("run= is missing: name a run, as in run=outputs/…; --help shows more.")
    if "export" in words and (others := [*(f"{w}=" for w in words if w not in ALONE), *texts]):
        raise UserError(f"export= goes with run= alone: drop {others[0]}.")
    if texts and "input" in words:
        raise UserError("Texts and input= cannot go together: drop one.")
    explain = _explain(words)
    of_files = [word for word in OF_FILES if not (explain and word == "output")]
    if without := [word for word in words if word in of_files and "input" not in words]:
        raise UserError(f"{without[0]}= needs a file: give input= too.")
    header = words.pop("header", "true")
    if header not in ("true", "false"):
        raise UserError(f"header={header} must be true or false.")
    return Command(texts=tuple(texts), header=header == "true", explain=explain, **words)


def _explain(words: dict[str, str]) -> bool:
    """Take ``explain=`` from the words."""
    value = words.pop("explain", "false").lower()
    if value not in ("true", "false"):
        raise UserError(f"explain={value} must be true or false.")
    if value == "false":
        return False
    if "label" in words:
        raise UserError("label= and explain=true cannot go together: drop one.")
    if not words.get("output", ".html").lower().endswith((".html", ".htm")):
        raise UserError(f"output={words['output']} must end in .html with explain=true.")
    return True


def _take(words: dict[str, str], word: str, value: str) -> None:
    if word not in WORDS:
        near = difflib.get_close_matches(word, WORDS, n=1)
        hint = f"did you mean {near[0]}=?" if near else f"known are {'=, '.join(WORDS)}=."
        raise UserError(f"There is no option {word}= (-- goes before texts with one): {hint}")
    if word in words:
        raise UserError(f"{word}= is given twice: drop one.")
    if not value:
        raise UserError(f"{word}= is empty: give it a value, or leave it out.")
    words[word] = value


def main(arguments: Sequence[str]) -> None:
    """Do what the command line says.

    Raises:
        UserError: if it cannot be.
    """
    if {"--help", "-h"} & {*arguments}:
        print(HELP, end="")
        return
    command = parsed(arguments)
    if sys.stdin is None and not (command.texts or command.input or command.export):
        raise UserError("Standard input is closed: give texts, or a file with input=.")
    with importing():
        from seqtext.inference.predict_file import predict_file
        from seqtext.inference.predictor import Predictor
        from seqtext.main import quieten_lightning
    quieten_lightning()
    if command.export:
        export(command.run, command.export)
        return
    predictor = Predictor.from_run(command.run)
    if command.explain:
        from seqtext.inference.attribution_command import explain_texts

        explain_texts(predictor, command)
    elif command.input:
        predict_file(predictor, command)
    elif command.texts:
        say(predictor, command.texts)
        predictor.warn_of_unknown_texts()
    else:
        for line in lines(sys.stdin.buffer):
            say(predictor, [line])
        predictor.warn_of_unknown_texts()


def export(run: str, folder: str) -> None:
    """Write the folder, and say what is in it."""
    from seqtext.inference import export as to_folder
    from seqtext.inference.loading import find_checkpoint, load_model

    for path in to_folder.export(load_model(find_checkpoint(run)), folder):
        print_line(f"{path}: {path.stat().st_size / 1e6:,.2f} MB")


def lines(stream) -> Iterator[str]:
    """Standard input, line by line as they come.

    Raises:
        UserError: if it cannot be read, or a line is not UTF-8.
    """
    for number, line in enumerate(iter(partial(_read_line, stream), b""), 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UserError(f"Standard input, line {number}, is not UTF-8 text.") from error


def _read_line(stream) -> bytes:
    try:
        return stream.readline()
    except OSError as error:  # it may be a folder
        raise UserError(f"Standard input cannot be read: {error.strerror}.") from error


def say(predictor: "Predictor", texts: Sequence[str]) -> None:
    """Class, its probability and the text, a line each, separated by tabs; not held back."""
    import pyarrow as pa

    readable = [text.encode(errors="replace").decode() for text in texts]  # of a shell, any bytes
    logits = predictor.logits(pa.array(readable, pa.string()))
    shares, classes = predictor.probabilities(logits), predictor.decisions(logits)
    for text, of_text, number in zip(readable, shares, classes, strict=True):
        name = make_printable(predictor.class_names[number])  # a tab is a column's end
        print_line(f"{name}\t{of_text[number]:.4f}\t{' '.join(text.split())}")
