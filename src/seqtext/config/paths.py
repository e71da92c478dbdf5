"""The folders of a machine: raw files, results and prepared data (the options ``paths.*``)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqtext.validation import validate_args


class Paths:
    """Hold the folders of a machine.

    Args:
        data_dir: the raw files of a data set are in its folder <name>, those of word vectors too
        output_dir: new runs and sweeps get a folder in it
        cache_dir: prepared data, which processes may share
    """

    @validate_args
    def __init__(self, data_dir: str, output_dir: str, cache_dir: str):
        self.data_dir, self.output_dir, self.cache_dir = data_dir, output_dir, cache_dir


def list_missing_paths(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """List the stored folders that this machine lacks, and that are not the current ones.

    A cache without prepared data counts as missing.
    """
    inside = {"data_dir": "", "cache_dir": "rows"}
    return [
        option
        for option, folder in inside.items()
        if stored.get(option) != current[option]
        and not Path(str(stored.get(option)), folder).expanduser().is_dir()
    ]
