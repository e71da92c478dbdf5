"""The command-line grammar and help pages of predict.py and report.py."""

import re
import shlex
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from seqtext.command_line import format_help, option, parse_args, positional
from seqtext.errors import UserError
from seqtext.inference.predict_options import PredictOptions
from seqtext.reporting.command import ReportOptions


@dataclass(frozen=True, kw_only=True)
class Options:
    """Copy files; every option is <word>=<value>."""

    EXAMPLES: ClassVar[str] = "copy a b target=c"
    NOTES: ClassVar[str] = "Nothing is overwritten."

    files: tuple[Path, ...] = positional("files to copy")
    target: Path = option("where to", missing="name a folder")
    owner: str | None = option("of the copies")
    is_quiet: bool = option("true: print nothing", default=False)


parse = partial(parse_args, Options)


@pytest.mark.parametrize(
    "arguments",
    [
        ["a", "target=t", "b=c d", "is_quiet=true"],
        ["--target=t", "--is_quiet", "a", "b=c d"],
        ["--target", "t", "--is-quiet=True", "a", "--", "b=c d"],
        ["is_quiet=true", "a", "target=t", "--", "b=c d"],
    ],
)
def test_each_way_to_write_it(arguments):
    if "--" not in arguments:
        arguments = [a for a in arguments if a != "b=c d"] + ["--", "b=c d"]
    assert parse(arguments) == Options(
        files=(Path("a"), Path("b=c d")), target=Path("t"), is_quiet=True
    )


def test_values_stay_as_they_are():
    options = parse(["target=~/a=b", "owner= a, b\n[c]", "1 + 1 = 2", "-", "-1", "--two words"])
    assert options.target == Path.home() / "a=b"
    assert options.owner == " a, b\n[c]"
    assert list(map(str, options.files)) == ["1 + 1 = 2", "-", "-1", "--two words"]
    assert options.is_quiet is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "target= is missing: name a folder; --help shows more."),
        (["tarjet=t"], "no option tarjet= .*: did you mean target=?"),
        (["--tarjet", "t"], "no option tarjet= .*: did you mean target=?"),
        (["zzz=1"], "known are target=, owner=, is_quiet=."),
        (["files=1"], "no option files="),
        (["target=a", "--target", "b"], "target= is given twice: drop one."),
        (["target="], "target= is empty: give it a value, or leave it out."),
        (["--target"], "target= is empty"),
        (["target=a", "is_quiet=yes"], "is_quiet=yes must be true or false."),
    ],
)
def test_mistakes_are_one_sentence(arguments, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")) as caught:
        parse(arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [Options, PredictOptions, ReportOptions])
def test_help_pages(options):
    page = format_help(options)
    assert page.startswith(options.__doc__.partition("\n")[0])
    for each in fields(options):
        assert re.search(rf"^    {each.name}=? ", page, re.MULTILINE), each.name
    assert max(map(len, page.splitlines())) <= 100


def test_examples_of_help_pages_are_read():
    for options, script in ((PredictOptions, "predict.py"), (ReportOptions, "report.py")):
        lines = re.findall(rf"{script} (.*?)(?:   *\(.*)?$", options.EXAMPLES, re.MULTILINE)
        assert len(lines) >= 3
        for line in lines:
            parse_args(options, shlex.split(line))
