"""Predict without seqtext: everything is read from the three files that `export=` writes.

Texts are split by tokenizer.json and the package tokenizers. A tokenizer of one's own class has no
such file and is not supported.
"""

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


def cleaned(text: str, operations: list[dict[str, str]]) -> str:
    for step in operations:
        if step["operation"] == "replace":
            text = re.sub(step["pattern"], step["by"], text)
        elif step["operation"] == "lower":
            text = "".join(character.lower()[0] for character in text)
        elif step["operation"] == "trim":
            text = text.strip(step["characters"])
        else:
            raise NotImplementedError(step)
    return text


def ids_of(text: str, reading: dict, tokenizer: Tokenizer) -> list[int]:
    ids = tokenizer.encode(cleaned(text, reading["cleaning"]), add_special_tokens=False).ids
    if reading["token_ids"] is not None:
        ids = [reading["token_ids"][number] for number in ids]
    if reading["max_length"] and reading["truncation_side"] == "right":
        ids = ids[: reading["max_length"]]
    elif reading["max_length"]:
        ids = ids[-reading["max_length"] :]
    return ids or reading["empty_text"]


class Exported:
    def __init__(self, folder: Path):
        self.reading = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
        if self.reading["tokenizer"] is None:
            raise NotImplementedError(self.reading["how"])
        self.tokenizer = Tokenizer.from_file(str(folder / self.reading["tokenizer"]))
        self.session = onnxruntime.InferenceSession(folder / self.reading["graph"])

    def probabilities(self, texts: list[str], padding: int = 0) -> np.ndarray:
        """[N] texts → [N, C]; texts are padded to the longest, plus `padding`."""
        rows = [ids_of(text, self.reading, self.tokenizer) for text in texts]
        lengths = np.array([len(row) for row in rows], np.int64)
        ids = np.full((len(rows), lengths.max() + padding), self.reading["padding"], np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
        return self.session.run(["probabilities"], {"ids": ids, "lengths": lengths})[0]
