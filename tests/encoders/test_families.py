"""Encoders of all families are those of transformers: features, gradients, learning rates."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from seqtext.embeddings.encoder import EncoderEmbedding
from seqtext.encoders.architecture import describe_encoder, load_word_vectors
from seqtext.encoders.config_values import FAMILIES
from seqtext.encoders.files import locate_encoder
from seqtext.errors import OptionError
from seqtext.models.pretrained import Pretrained
from seqtext.tokenizers.encoder import EncoderTokenizer

TOKENS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", *(f"w{n}" for n in range(20))]
TEXTS = ["w1 w2 w3", "w4", "w5 unknown w6 w7 w8 w9 w10 w1", "", " ".join(["w2 w3 w4"] * 20)]
SIZES = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 30,
    "pad_token_id": 1,
}
RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
OWN_SIZES = {
    "albert": {"embedding_size": 6},
    "deberta": RELATIVE | {"position_biased_input": False},
    "deberta-v2": RELATIVE | {"position_buckets": 8, "share_att_key": True},
    "distilbert": {"dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12},
    "electra": {"embedding_size": 6},
    "modernbert": {"local_attention": 8, "cls_token_id": 0, "sep_token_id": 2},
}

WITHOUT_QUERIES = "deberta", "modernbert"  # one layer makes queries, keys and values


@pytest.fixture(params=FAMILIES)
def encoder(request, tmp_path):
    """Write an encoder with random weights; return transformers' own, and the folder."""
    from transformers import AutoConfig, AutoModel

    sizes = SIZES | OWN_SIZES.get(request.param, {})
    if request.param == "distilbert":
        sizes = {name: size for name, size in sizes.items() if name not in ("hidden_size",)}
    torch.manual_seed(0)
    config = AutoConfig.for_model(request.param, vocab_size=len(TOKENS), **sizes)
    network = AutoModel.from_config(config).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(tmp_path)
    build_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return network, tmp_path


def build_tokenizer() -> Tokenizer:
    numbers = {token: number for number, token in enumerate(TOKENS)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    return tokenizer


def build_models(folder) -> list[Pretrained]:
    """Return a frozen and a fine-tuned one."""
    found = []
    files = locate_encoder(str(folder))
    dim = EncoderEmbedding.complete_options({"path": str(folder)}, "")["dim"]
    for frozen in (True, False):
        embedding = EncoderEmbedding(len(TOKENS), dim, str(folder), freeze=frozen)
        if not frozen:
            vectors = load_word_vectors(files, describe_encoder(files)["config"])
            embedding.fill(vectors.numpy(), np.ones(0, bool))
        found.append(Pretrained(embedding, path=str(folder), frozen=frozen).eval())
    return found


def test_features_are_those_of_transformers(encoder):
    network, folder = encoder
    tokenizer = EncoderTokenizer(str(folder))
    tokenizer.fit(None, np.arange(0))
    texts = [text or "[UNK]" for text in TEXTS]  # an empty text is one unknown token
    theirs = build_tokenizer()
    theirs.enable_padding(pad_id=1, pad_token="[PAD]")
    theirs.enable_truncation(tokenizer.max_length + 2)
    encodings = theirs.encode_batch(texts)
    mask = torch.tensor([encoding.attention_mask for encoding in encodings])
    with torch.no_grad():
        states = network(torch.tensor([e.ids for e in encodings]), attention_mask=mask)[0]
    expected = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    ids, lengths = tokenizer.encode(pa.array(TEXTS))
    parts = torch.from_numpy(ids).long().split(lengths.tolist())
    padded = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    for model in build_models(folder):
        features = model.encode(padded, torch.from_numpy(lengths))
        torch.testing.assert_close(features.detach(), expected, atol=1e-5, rtol=0)
    features.sum().backward()
    trained = [*model.encoder.parameters(), *model.embedding.parameters()]
    assert all(parameter.grad is not None for parameter in trained)
    factors = model.get_lr_factors()
    assert {id(parameter) for parameter in trained} == {*factors}
    assert max(factors.values()) == model.encoder_lr_factor
    assert factors[id(model.embedding.weight)] == min(factors.values()) < max(factors.values())


def test_low_rank_adaptation(encoder):
    """It changes nothing at first, and trains only the products and the head."""
    network, folder = encoder
    _, model = build_models(folder)
    if network.config.model_type in WITHOUT_QUERIES:
        with pytest.raises(OptionError, match="lora_rank=3"):
            Pretrained(model.embedding, path=str(folder), frozen=False, lora_rank=3)
        return
    adapted = Pretrained(model.embedding, path=str(folder), frozen=False, lora_rank=3).eval()
    ids, lengths = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1])
    features = adapted.encode(ids, lengths)
    torch.testing.assert_close(features, model.encode(ids, lengths))
    trained = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    kinds = {name.rpartition(".")[0].rpartition(".")[2] for name in trained}
    assert kinds == {"down", "up", "output"}
    layers = 1 if network.config.model_type == "albert" else 2  # which share their weights
    assert len(trained) == 2 + 2 * 2 * layers
