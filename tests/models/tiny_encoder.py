"""A tiny BERT with random weights, written file by file as transformers would."""

import functools
import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
CONFIG = {
    "model_type": "bert",
    "hidden_size": 6,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 10,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "pad_token_id": 0,
}


def write_encoder(folder: Path, words: list[str], seed: int = 0, width: int = 6) -> Path:
    """Write config.json, model.safetensors and tokenizer.json of an encoder that knows words."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = CONFIG | {"vocab_size": len(vocabulary), "hidden_size": width}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(make_weights(config, seed), str(folder / "model.safetensors"))
    return folder


def make_weights(config: dict, seed: int) -> dict[str, torch.Tensor]:
    """Return random weights with the names of transformers' BertModel."""
    generator = torch.Generator().manual_seed(seed)
    width, inner = config["hidden_size"], config["intermediate_size"]
    weights = {}

    def add(name: str, *shape: int) -> None:
        weights[name] = torch.randn(*shape, generator=generator) * 0.3

    def add_linear(name: str, inputs: int, outputs: int) -> None:
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    def add_norm(name: str) -> None:
        add(f"{name}.weight", width)
        weights[f"{name}.weight"] += 1
        add(f"{name}.bias", width)

    add("embeddings.word_embeddings.weight", config["vocab_size"], width)
    add("embeddings.position_embeddings.weight", config["max_position_embeddings"], width)
    add("embeddings.token_type_embeddings.weight", 2, width)
    add_norm("embeddings.LayerNorm")
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            add_linear(f"{layer}.attention.self.{part}", width, width)
        add_linear(f"{layer}.attention.output.dense", width, width)
        add_norm(f"{layer}.attention.output.LayerNorm")
        add_linear(f"{layer}.intermediate.dense", width, inner)
        add_linear(f"{layer}.output.dense", inner, width)
        add_norm(f"{layer}.output.LayerNorm")
    return weights


@functools.cache
def get_common_encoder() -> str:
    """Return the folder of an encoder of 50 tokens, for the tests of all models."""
    folder = tempfile.TemporaryDirectory(prefix="encoder")
    get_common_encoder.folder = folder  # kept until the process ends
    return str(write_encoder(Path(folder.name), [f"word{n}" for n in range(46)]))
