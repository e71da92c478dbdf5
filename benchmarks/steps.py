"""Compare training steps: minGRU and others with GRU, Transformer with torch's, on a CPU.

    python benchmarks/steps.py --threads 2

A step is the loss of a batch, its gradients and Adam's update, of the whole model with its default
dropout. Each round times both sides alternately; the output has their least times, and the median
and the interquartile range of the rounds' ratios. nn.TransformerEncoder has the same size, no
position vectors, and no dropout of attention, with which it is slower by more than half; of texts
with padding it gets the mask. The last lines say where a step of minGRU spends its time.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.random import RandomEmbedding
from seqtext.layers.pooling import mean_over_time, padding_mask
from seqtext.models.linear_rnn import QRNN, MinGRU, MinLSTM
from seqtext.models.rnn import GRU
from seqtext.models.s4d import S4D
from seqtext.models.transformer import Transformer

VOCABULARY, DIM, LAYERS, HEADS = 20_000, 50, 4, 4
Step = Callable[[], None]


class TorchTransformer(nn.Module):
    """nn.TransformerEncoder with the embedding, sizes and pooling of model=transformer."""

    def __init__(self, units: int, dropout: float):
        super().__init__()
        self.embedding = RandomEmbedding(VOCABULARY, dim=units)
        layer = nn.TransformerEncoderLayer(
            *(units, HEADS, 4 * units, dropout, F.gelu), batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(units)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, norm, enable_nested_tensor=False)
        for block in self.encoder.layers:
            block.self_attn.dropout = 0.0
        self.output = nn.Linear(units, 1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        mask = padding_mask(lengths, ids.shape[1])
        hidden = self.encoder(
            self.embedding(ids), src_key_padding_mask=mask if mask.any() else None
        )
        return self.output(mean_over_time(hidden, lengths)).squeeze(1)


def random_batch(batch: int, words: int, shortest: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids, lengths from `shortest` × words to words, and labels."""
    generator = torch.Generator().manual_seed(0)
    lengths = (words * torch.linspace(shortest, 1, batch)).long()
    ids = torch.randint(2, VOCABULARY, (batch, words), generator=generator)
    ids = ids.masked_fill(padding_mask(lengths, words), 0)
    return ids, lengths, torch.arange(batch) % 2


def build_step(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Step:
    """Return a function that trains for one step."""
    ids, lengths, labels = batch
    optimizer = torch.optim.Adam(model.train().parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(ids, lengths), labels.float()).backward()
        optimizer.step()

    return step


def milliseconds(step: Step) -> float:
    started = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - started)


def compare(name: str, ours: Step, other: Step, rounds: int) -> str:
    """Format a row: both least times, and the ratio other / ours."""
    for step in (ours, other):  # warm up
        step()
    times = [(milliseconds(ours), milliseconds(other)) for _ in range(rounds)]
    low, middle, high = statistics.quantiles([b / a for a, b in times], n=4)
    least = [min(column) for column in zip(*times, strict=True)]
    ratio = f"{least[1] / least[0]:.2f} | {middle:.2f} ({low:.2f} to {high:.2f})"
    return f"| {name} | {least[0]:.0f} | {least[1]:.0f} | {ratio} |"


def list_parts(units: int, batch: tuple[Tensor, Tensor, Tensor], rounds: int) -> dict[str, float]:
    """Return the least milliseconds of the parts of minGRU's step, forward and backward."""
    ids, lengths, _ = batch
    model = MinGRU(RandomEmbedding(VOCABULARY, dim=DIM), units=units).train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    vectors = model.embed(ids).detach().requires_grad_()
    states = model.layers[0](vectors, lengths).detach().requires_grad_()
    gradients = torch.randn_like(vectors), torch.randn_like(states), torch.randn(len(ids), units)
    parts = {
        "embedding": lambda: model.embed(ids).backward(gradients[0]),
        "product and scan": lambda: model.layers[0](vectors, lengths).backward(gradients[1]),
        "pooling": lambda: model.pool(states, lengths).backward(gradients[2]),
        "Adam": optimizer.step,
    }
    build_step(model, batch)()
    return {name: min(milliseconds(part) for _ in range(rounds)) for name, part in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{given.threads} threads, torch {torch.__version__}, float32, batch {given.batch},")
    print(f"{given.words} words; ms of a step: the least; ratio of the least, and median\n")
    print("| model | ours | the other | ratio | median of rounds |\n|---|---|---|---|---|")
    full = random_batch(given.batch, given.words, 1)

    def recurrent(kind: type[nn.Module], units: int, dim: int = DIM) -> Step:
        return build_step(kind(RandomEmbedding(VOCABULARY, dim=dim), units=units), full)

    for units, dim in ((128, 50), (100, 50), (128, 128)):
        for kind in (MinGRU, MinLSTM, QRNN):
            name = f"{kind.name} {units}, vectors of {dim}: GRU / it"
            pair = recurrent(kind, units, dim), recurrent(GRU, units, dim)
            print(compare(name, *pair, given.rounds), flush=True)
    pair = recurrent(S4D, 128, 128), recurrent(GRU, 128, 128)
    print(compare("s4d 128, 2 layers: GRU, 1 layer / it", *pair, given.rounds), flush=True)

    encoder = partial(Transformer, layers=LAYERS, heads=HEADS, feedforward_units=512)
    for dropout in (0.0, 0.1):
        for shortest in (1.0, 0.5):
            batch = random_batch(given.batch // 2, given.words, shortest)
            ours = encoder(RandomEmbedding(VOCABULARY, dim=128), dropout=dropout)
            pair = build_step(ours, batch), build_step(TorchTransformer(128, dropout), batch)
            padding = f"{1 - batch[1].float().mean() / given.words:.0%} padding"
            name = f"transformer, dropout {dropout}, {padding}: torch's / it"
            print(compare(name, *pair, max(given.rounds // 3, 3)), flush=True)
    parts = list_parts(128, full, given.rounds)
    print("\nminGRU 128, ms: " + ", ".join(f"{name} {ms:.1f}" for name, ms in parts.items()))


if __name__ == "__main__":
    main()
