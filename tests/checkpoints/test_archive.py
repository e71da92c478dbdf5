"""Checkpoint files: damage is detected or has no effect, and memory use is bounded."""

import io
import pickle
import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch

from seqtext.checkpoints.archive import read_archive
from seqtext.checkpoints.unpickling import DamagedError, PlainUnpickler, check_plain

VALUE = {
    "texts": ["a", "\udce9", "ä" * 300],
    "numbers": [0, 255, 256, 65536, -1, 2**40, 1.5, float("inf"), True, False, None],
    "tuple": (1, (2, 3, 4, 5), ()),
    5: {},
    "float": torch.arange(6.0).view(2, 3),
    "turned": torch.arange(12.0).view(3, 4).T,
    "part": torch.arange(10)[3:7],
    "half": torch.ones(3, dtype=torch.bfloat16),
    "bool": torch.tensor([True, False]),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "scalar": torch.tensor(3.0),
    "empty": torch.zeros(0, 8),
    "state": torch.nn.BatchNorm1d(2).state_dict(),
}


def equal(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and one == other


@pytest.fixture
def saved(tmp_path) -> Path:
    torch.save(VALUE, tmp_path / "value.pt")
    return tmp_path / "value.pt"


def rewritten(source: Path, change, compression=zipfile.ZIP_STORED) -> Path:
    """Rewrite the archive after `change` has edited the dict of its members."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(source.with_name("changed.pt"), "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return source.with_name("changed.pt")


def test_reads_what_torch_wrote(saved):
    assert equal(read_archive(saved), VALUE)
    assert equal(read_archive(saved), torch.load(saved, weights_only=True))


@pytest.mark.parametrize(
    "count", [200, pytest.param(3000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_a_flipped_bit_is_noticed_or_means_nothing(saved, count):
    content, rng = saved.read_bytes(), random.Random(0)
    noticed = 0
    for _ in range(count):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        saved.write_bytes(damaged)
        try:
            assert equal(read_archive(saved), VALUE)
        except DamagedError:
            noticed += 1
    assert count * 0.3 < noticed < count


def test_every_bit_of_a_tensor_counts(saved):
    content = saved.read_bytes()
    start = content.index(VALUE["float"].numpy().tobytes())
    for position in range(start, start + 24):
        saved.write_bytes(content[:position] + b"\x7f" + content[position + 1 :])
        with pytest.raises(DamagedError):
            read_archive(saved)


def test_what_is_compressed_is_not_unpacked(saved):
    def grow(members):
        members["value/data/0"] = bytes(1 << 26)

    bomb = rewritten(saved, grow, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(DamagedError, match="compressed"):
        read_archive(bomb)
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_come_once_and_are_as_large_as_they_say(saved):
    changed = rewritten(saved, lambda members: None)
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("value/data/0", b"other")
    with pytest.raises(DamagedError, match="duplicate"):
        read_archive(changed)
    short = rewritten(saved, lambda members: members.update({"value/data/0": b"abcd"}))
    with pytest.raises(DamagedError, match="storage has the wrong size"):
        read_archive(short)  # torch would read beyond the end
    missing = rewritten(saved, lambda members: members.pop("value/data/0"))
    with pytest.raises(DamagedError):
        read_archive(missing)
    big = rewritten(saved, lambda members: members.update({"value/byteorder": b"big"}))
    with pytest.raises(DamagedError, match="little"):
        read_archive(big)


def unpickled(data: bytes):
    value = PlainUnpickler(data, lambda key: torch.zeros(8, dtype=torch.uint8)).load()
    check_plain(value, len(data))
    return value


def nested(times: int, doubled: bool) -> bytes:
    value = []
    for _ in range(times):
        value = [value, value] if doubled else [value]
    return pickle.dumps(value, 2)


WRONG = {
    "too deep": nested(100, doubled=False),
    "too many": nested(40, doubled=True),
    "many empty": b"\x80\x02(" + b"]" * 200_000 + b"l.",
    "many of one text": pickle.dumps([text := "a" * 10_000, *[text] * 2000], 2),
    "function": b"\x80\x02cos\nmkdir\nX\x04\x00\x00\x00mark\x85R.",
    "bytearray": b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "class": b"\x80\x02ctorch\nFloatStorage\n.",
    "set": pickle.dumps({1, 2}, 2),
    "complex": pickle.dumps(1j, 2),
    "key": pickle.dumps({(1, 2): 3}, 2),
    "ends early": pickle.dumps([1, 2, "abc"], 2)[:-4],
    "no end": b"\x80\x02]",
    "long text": b"\x80\x02X\xff\xff\xff\x7fabc.",
    "two values": b"\x80\x02NN.",
    "none": b"\x80\x02.",
    "no memo": b"\x80\x02h\x05.",
    "other protocol": pickle.dumps([1], 4),
    "no list": b"\x80\x02NNa.",
    "itself": b"\x80\x02]q\x00h\x00a.",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_pickle_of_anything_else(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DamagedError):
        unpickled(WRONG[name])
    assert not list(tmp_path.iterdir())


KEY, CPU = b"X\x01\0\0\x000", b"X\x03\0\0\0cpu"
STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\n" + KEY + CPU + b"K%btQ"


def tensor(offset=b"K\0", size=b"K\x02\x85", stride=b"K\x01\x85", count=2) -> bytes:
    storage = STORAGE.replace(b"%b", bytes([count]))
    end = b"\x89ccollections\nOrderedDict\n)RtR."
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + size + stride + end


def test_a_tensor_stays_within_its_storage():
    assert unpickled(tensor()).tolist() == [0, 0]
    for wrong in (
        tensor(offset=b"K\x01"),
        tensor(offset=b"J\xff\xff\xff\xff"),
        tensor(size=b"K\x03\x85"),
        tensor(stride=b"K\x02\x85"),
        tensor(stride=b"K\x00\x85", size=b"J\xff\xff\xff\x7f\x85"),
        tensor(size=b"\x88\x85"),
        tensor(size=b"G\x40\x00\x00\x00\x00\x00\x00\x00\x85"),
        tensor(size=b"K\x01K\x01\x86"),
        tensor(size=b"]", stride=b"]"),
        tensor(count=3),
    ):
        with pytest.raises(DamagedError):
            unpickled(wrong)


def test_noise_is_no_pickle():
    rng = random.Random(1)
    stream = io.BytesIO()
    pickle.dump({"a": [1, 2.5, ("b", None)], "c": {"d": True}}, stream, 2)
    content = stream.getvalue()
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            unpickled(bytes(damaged))
        except DamagedError:
            continue
