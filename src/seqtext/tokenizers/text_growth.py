"""How many times longer the steps of a tokenizer.json can make a text."""

import base64
from collections.abc import Mapping
from math import prod
from typing import Any

from seqtext.tokenizers.hugging_face import WHITE_SPACE

# Bytes of UTF-8 that one byte may become.
GROWTH = {
    "BertNormalizer": 4.0,
    "ByteLevel": 4.0,
    "Lowercase": 1.5,
    "NFC": 3.0,
    "NFD": 3.0,
    "NFKC": 11.0,
    "NFKD": 11.0,
}


def compute_growth(step: Mapping[str, Any] | None) -> float:
    """Return an upper bound of the length of a step's output, relative to its input, in bytes.

    Args:
        step: a normalizer or pre-tokenizer, as a tokenizer.json describes it
    """
    if step is None:
        return 1.0
    kind = step["type"]
    if kind == "Sequence":
        return prod(map(compute_growth, step.get("normalizers") or step.get("pretokenizers") or []))
    if kind == "Replace":
        content = len(step["content"].encode())
        literal = len(step["pattern"].get("String", "").encode())
        if step["pattern"].get("Regex") == WHITE_SPACE:  # at least one byte
            literal = 1
        # An empty match is possible at each place.
        return max(1.0, content / literal if literal else 1.0 + content)
    if kind in ("Prepend", "Metaspace"):
        text = step["prepend"] if kind == "Prepend" else step["replacement"]
        return 1.0 + len(text.encode())
    if kind == "Precompiled":
        return max(1.0, _find_longest_replacement(step["precompiled_charsmap"]))
    return GROWTH.get(kind, 1.0)


def _find_longest_replacement(encoded: str) -> int:
    """Return the number of bytes of the longest replacement in a map of characters.

    It is the size of a search tree, this tree and replacements that zero bytes separate.
    """
    data = base64.b64decode(encoded)
    size = int.from_bytes(data[:4], "little")
    return max(map(len, data[4 + size :].split(b"\0")))
