"""Check the options of an encoder's class, which may come from an untrusted checkpoint."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from seqtext.errors import UserError, format_reason

FAMILIES = (  # `model_type` of encoders that take word vectors and a mask
    *("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra"),
    *("ernie", "modernbert", "mpnet", "roberta", "xlm-roberta"),
)
DROPPED = re.compile(  # of config.json: what is not architecture
    r"_.*|.*(implementation|kernel|compile|quantization|dtype|auto_map|label|output_|return_).*|"
    r"architectures|transformers_version|use_cache|torchscript|name_or_path|finetuning_task|"
    r"problem_type|task_specific_params|chunk_size_feed_forward"
)
COUNT = re.compile(r"num_|n_|.*layers|.*_groups")  # sizes that a network needs tensors for
EPSILON = re.compile(r".*(_eps|epsilon)")  # is added before a division
ROTATION_BASE = re.compile(r".*theta")  # of rotary positions
WORD = re.compile(r"[\w./-]{0,64}")
MAX_NUMBER = 1 << 24
MIN_EPSILON, MAX_EPSILON = 1e-20, 0.1
MAX_ADDED_TOKENS = 1000  # of an encoder, which its tokenizer's vocabulary lacks
MAX_ITEMS = 1000


def check_config(config: Mapping[str, Any], vocabulary_size: int, tensors: int | None) -> None:
    """Check the options of an encoder's class, and its `model_type`.

    Args:
        vocabulary_size: V
        tensors: number of tensors that the network may have; None: any

    Raises:
        UserError: for the first option that is not allowed.
    """
    family = config.get("model_type")
    if family not in FAMILIES:
        raise UserError(
            f"Its model_type is {format_reason(str(family))[:60]}: it must be one of "
            f"{', '.join(FAMILIES)}."
        )
    for name, value in config.items():
        if not isinstance(name, str) or not WORD.fullmatch(name) or DROPPED.fullmatch(name):
            raise UserError(f"The encoder's config may not have {str(name)[:60]!r}.")
        if not all(_is_allowed(*item) for item in _iter_values(name, value)):
            raise UserError(f"The encoder's config.{name} is not possible.")
        if tensors is not None and COUNT.match(name) and type(value) is int and value > tensors:
            raise UserError(f"The encoder's config.{name}={value} is more than its tensors allow.")
    padding = config.get("pad_token_id", 0)
    if type(padding) is not int or not -1 <= padding < vocabulary_size + MAX_ADDED_TOKENS:
        raise UserError(f"The encoder's config.pad_token_id={padding} is not in its vocabulary.")


def _iter_values(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the plain values in lists and dicts of two levels, with the names of options."""
    if isinstance(value, list) and len(value) <= MAX_ITEMS:
        yield from ((name, item) for item in value)
    elif isinstance(value, dict) and len(value) <= MAX_ITEMS:
        for key, below in value.items():
            yield "", key
            yield from below.items() if isinstance(below, dict) else [(key, below)]
    else:
        yield name, value


def _is_allowed(name: Any, value: Any) -> bool:
    if EPSILON.fullmatch(str(name)):
        return isinstance(value, int | float) and MIN_EPSILON <= value <= MAX_EPSILON
    if ROTATION_BASE.fullmatch(str(name)):
        return isinstance(value, int | float) and 1 <= value <= MAX_NUMBER
    if isinstance(value, str):
        return WORD.fullmatch(value) is not None
    return isinstance(value, int | float | None) and abs(value or 0) <= MAX_NUMBER
