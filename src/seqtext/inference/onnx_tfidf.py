"""Export `TfIdf` as an ONNX graph, in which ONNX' TfIdfVectorizer counts terms in the ids.

skl2onnx 1.20 cannot build this graph: it converts a TfidfVectorizer to a graph of strings, split by
com.microsoft's Tokenizer, which only onnxruntime has, and it ignores a custom analyzer. Here the
inputs are ids and lengths, as for all exported models.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from seqtext.errors import UserError
from seqtext.layers.ordinal import build_step_signs
from seqtext.token_ids import PAD
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS

if TYPE_CHECKING:
    import onnx

    from seqtext.models.tfidf import TfIdf

GRAPH = """
<ir_version: 10, opset_import: ["" : 20]>
tfidf (int64[batch, words] ids, int64[batch] lengths) => (float[batch, {classes}] probabilities)
{{
    count = Shape <start = 1, end = 2> (ids)
    steps = Squeeze (count)
    positions = Range (first, steps, one)
    ends = Unsqueeze (lengths, axis)
    is_word = Less (positions, ends)
    words_only = Where (is_word, ids, padding)
    counts = TfIdfVectorizer (words_only)
    {weighted}
    values = Mul (weights_in_text, idf)
    length = ReduceL2 (values, axis)
    positive = Max (length, smallest)
    unit = Div (values, positive)
    sums = MatMul (unit, weights)
    outputs = Add (sums, bias)
    {to_logits}
    scaled = Div (logits, temperature)
    probabilities = Softmax <axis = 1> (scaled)
}}
"""
AS_COUNTED = "weights_in_text = Identity (counts)"
SUBLINEAR = """
    known = Min (counts, unit_count)
    at_least_one = Max (counts, unit_count)
    logarithms = Log (at_least_one)
    weights_in_text = Add (known, logarithms)
"""
NOMINAL = "logits = Identity (outputs)"
ORDINAL = """
    not_above = Softplus (outputs)
    opposite = Neg (outputs)
    above = Softplus (opposite)
    reached = MatMul (above, is_earlier)
    stopped = MatMul (not_above, is_same)
    logits = Add (reached, stopped)
"""


def build_graph(model: "TfIdf", temperature: float = 1.0) -> "onnx.ModelProto":
    """Build a graph, ids [batch, words], lengths [batch] → probabilities [batch, C].

    The id of a word is its index in `model.words` plus the number of special tokens. Each text is
    a dense row with one number per term: with many terms, use batches of a few dozen texts.

    Args:
        temperature: divisor of the logits

    Raises:
        UserError: if the model has character n-grams.
    """
    from onnx import numpy_helper, parser

    features = model.features
    if features.has_ngrams:
        raise UserError(
            "model=tfidf with character n-grams cannot be exported to ONNX, because a graph reads "
            "ids of words, not their spelling: train with model.analyzer=words."
        )
    text = GRAPH.format(
        classes=model.classes,
        weighted=SUBLINEAR if features.sublinear_tf else AS_COUNTED,
        to_logits=ORDINAL if model.is_ordinal else NOMINAL,
    )
    made = parser.parse_model(text)
    arrays = _build_constants() | _build_weights(model)
    arrays["temperature"] = np.array(temperature, np.float32)
    made.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in arrays.items())
    counting = next(node for node in made.graph.node if node.op_type == "TfIdfVectorizer")
    counting.attribute.extend(_build_term_attributes(model))
    return made


def _build_constants() -> dict[str, np.ndarray]:
    numbers = {"first": 0, "one": 1, "axis": [1], "padding": PAD}
    arrays = {name: np.array(number, np.int64) for name, number in numbers.items()}
    smallest = np.array(np.finfo(np.float32).tiny)  # avoids division by zero
    return arrays | {"smallest": smallest, "unit_count": np.array(1, np.float32)}


def _build_weights(model: "TfIdf") -> dict[str, np.ndarray]:
    """Return idf, weights and bias; for two classes, the logit of class 0 is 0."""
    weights, bias = model.weights, model.bias
    if model.classes == 2:
        weights, bias = np.stack([0 * weights[0], weights[0]]), np.array([0, bias[0]], bias.dtype)
    arrays = {"idf": model.features.idf, "weights": np.ascontiguousarray(weights.T), "bias": bias}
    if model.is_ordinal:
        arrays["is_earlier"], arrays["is_same"] = (
            -each for each in build_step_signs(model.classes)
        )
    return arrays


def _build_term_attributes(model: "TfIdf") -> list[Any]:
    """Build the operator's attributes: ids of the words of each term, one column per term."""
    from onnx.helper import make_attribute

    terms = model.features.terms
    pools = [np.arange(len(terms.words))[:, None], *terms.list_ngram_words()]
    ends = np.cumsum([pool.size for pool in pools])
    attributes = {
        "mode": "TF",
        "min_gram_length": 1,
        "max_gram_length": len(pools),
        "max_skip_count": 0,
        "ngram_counts": [0, *ends[:-1].tolist()],
        "ngram_indexes": list(range(len(terms))),
        "pool_int64s": (np.concatenate([p.ravel() for p in pools]) + len(SPECIAL_TOKENS)).tolist(),
    }
    return [make_attribute(name, value) for name, value in attributes.items()]
