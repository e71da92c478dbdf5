"""Unpickle only plain values and tensors.

A minimal pickle virtual machine, with only the opcodes that `torch.save` uses for such values. It
knows no classes except those in `GLOBALS`, and calls no function.
"""

import math
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

TENSOR = object()  # placeholder for the function that builds tensors
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
GLOBALS = {
    b"collections\nOrderedDict": OrderedDict,
    b"torch._utils\n_rebuild_tensor_v2": TENSOR,
    **{f"torch\n{name}".encode(): dtype for name, dtype in DTYPES.items()},
}
MAX_DIMENSIONS = 16
MAX_DIMENSION_SIZE = 2**40  # size of a dimension
MAX_DEPTH = 50  # nesting levels of values
TEXT_RATIO = 64  # how often, on average, a text may be repeated in the values
# minimum average pickle bytes per container, which takes 64 bytes in memory
BYTES_PER_CONTAINER = 8
MAX_SMALL_CONTAINERS = 100_000  # number of containers that may be smaller


class DamagedError(ValueError):
    """A file is damaged, or contains something other than plain values and tensors."""


class PlainUnpickler:
    """Reads one pickled value.

    Args:
        data: the pickle
        read_storage: returns a tensor's storage, [size] uint8, by its key
    """

    def __init__(self, data: bytes, read_storage: Callable[[str], Tensor]):
        self._data, self._read_storage = data, read_storage
        self._position = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []  # stack positions of MARK opcodes
        self._memo: dict[int, Any] = {}
        self._containers = (
            MAX_SMALL_CONTAINERS + len(data) // BYTES_PER_CONTAINER
        )  # number still allowed

    def load(self) -> Any:
        """Return the value.

        Raises:
            DamagedError: if it has an opcode that plain values do not need.
        """
        data, handlers = self._data, HANDLERS
        try:
            while (code := data[self._position]) != STOP:
                self._position += 1
                handlers[code](self)
            (value,) = self._stack
        except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
            raise DamagedError(f"byte {self._position} of its pickle: {error!r}") from error
        return value

    def _take(self, count: int) -> bytes:
        start, self._position = self._position, self._position + count
        if self._position > len(self._data):
            raise DamagedError("its pickle ends too early.")
        return self._data[start : self._position]

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise DamagedError("a value is missing.")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        mark = self._marks.pop()
        values = self._stack[mark:]
        del self._stack[mark:]
        return values

    def _protocol(self) -> None:
        if self._number(1) != 2:
            raise DamagedError("it uses another pickle protocol.")

    def _push_container(self, value: list | dict) -> None:
        self._containers -= 1
        if not self._containers:
            raise DamagedError("it holds too many empty values.")
        self._stack.append(value)

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _long(self) -> None:
        self._push(int.from_bytes(self._take(self._number(1)), "little", signed=True))

    def _integer(self) -> None:
        self._push(int.from_bytes(self._take(4), "little", signed=True))

    def _float(self) -> None:
        self._push(struct.unpack(">d", self._take(8))[0])

    def _text(self) -> None:
        self._push(str(self._take(self._number(4)), "utf-8", "surrogatepass"))

    def _tuple(self, count: int | None = None) -> None:
        values = self._pop_to_mark() if count is None else [self._pop() for _ in range(count)][::-1]
        self._push(tuple(values))

    def _append(self, values: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise DamagedError("a value is appended to something other than a list.")
        self._stack[-1].extend(values)

    def _set(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise DamagedError("a value is stored in something other than a dict.")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in (str, int):
                raise DamagedError("a key is neither a text nor a whole number.")
            target[key] = value

    def _global(self) -> None:
        end = self._data.index(b"\n", self._data.index(b"\n", self._position) + 1)
        name = self._take(end - self._position)
        self._take(1)
        if name not in GLOBALS:
            raise DamagedError(f"it names {name.decode(errors='replace').replace(chr(10), '.')}.")
        self._push(GLOBALS[name])

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if function is OrderedDict and arguments == ():
            self._push(OrderedDict())
        elif function is TENSOR and type(arguments) is tuple and len(arguments) in (6, 7):
            self._push(build_tensor(*arguments[:4]))
        else:
            raise DamagedError("it calls a function.")

    def _build(self) -> None:
        self._pop()  # metadata of a state_dict's modules, not needed here
        if not isinstance(self._stack[-1], OrderedDict):
            raise DamagedError("it sets the state of an object.")

    def _storage(self) -> None:
        kind, dtype, key, _, count = self._pop()
        if kind != "storage" or not isinstance(dtype, torch.dtype) or type(key) is not str:
            raise DamagedError("a tensor has no storage.")
        content = self._read_storage(key)
        if type(count) is not int or len(content) != count * dtype.itemsize:
            raise DamagedError("a tensor's storage has the wrong size.")
        self._push(content.ne(0) if dtype == torch.bool else content.view(dtype))


def build_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """Return a tensor as a view of a one-dimensional storage.

    Raises:
        DamagedError: if it is larger than the storage or exceeds its bounds.
    """
    if not isinstance(storage, Tensor) or type(size) is not tuple or type(stride) is not tuple:
        raise DamagedError("a tensor has invalid arguments.")
    numbers = (offset, *size, *stride)
    if any(type(n) is not int or not 0 <= n <= MAX_DIMENSION_SIZE for n in numbers):
        raise DamagedError("a tensor's size is invalid.")
    if len(size) != len(stride) or len(size) > MAX_DIMENSIONS:
        raise DamagedError("a tensor's size is invalid.")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count > len(storage) or (count and last >= len(storage)):
        raise DamagedError("a tensor is larger than its storage.")
    return storage.as_strided(size, stride, offset) if count else storage.new_empty(size)


def check_plain(value: Any, budget: int) -> None:
    """Refuse a value that is not plain, or that expands far beyond the size of its pickle.

    A few bytes can describe very many values if lists contain the same list many times.

    Args:
        budget: size of the pickle, which bounds the number of values

    Raises:
        DamagedError: if the value is not plain or too large.
    """
    texts = (budget + 1024) * TEXT_RATIO
    level, depth = [value], 0
    while level:
        budget -= len(level)
        texts -= sum(len(v) for v in level if type(v) is str)
        if budget < 0 or texts < 0 or depth > MAX_DEPTH:
            raise DamagedError("its values are nested too deeply.")
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
                texts -= sum(len(key) for key in each if type(key) is str)
            elif isinstance(each, list | tuple):
                below += each
            elif not isinstance(each, PLAIN):
                raise DamagedError(f"it holds a {type(each).__name__}.")
            if len(below) > budget:
                raise DamagedError("its values are nested too deeply.")
        level, depth = below, depth + 1


PLAIN = (str, int, float, type(None), Tensor)  # a bool is an int
STOP = ord(".")
HANDLERS: dict[int, Callable[[PlainUnpickler], None]] = {
    0x80: PlainUnpickler._protocol,
    ord("("): PlainUnpickler._mark,
    ord("}"): lambda self: self._push_container({}),
    ord("]"): lambda self: self._push_container([]),
    ord(")"): lambda self: self._push(()),
    ord("N"): lambda self: self._push(None),
    0x88: lambda self: self._push(True),
    0x89: lambda self: self._push(False),
    ord("K"): lambda self: self._push(self._number(1)),
    ord("M"): lambda self: self._push(self._number(2)),
    ord("J"): PlainUnpickler._integer,
    0x8A: PlainUnpickler._long,
    ord("G"): PlainUnpickler._float,
    ord("X"): PlainUnpickler._text,
    ord("t"): PlainUnpickler._tuple,
    0x85: lambda self: self._tuple(1),
    0x86: lambda self: self._tuple(2),
    0x87: lambda self: self._tuple(3),
    ord("a"): lambda self: self._append([self._pop()]),
    ord("e"): lambda self: self._append(self._pop_to_mark()),
    ord("s"): lambda self: self._set([self._pop(), self._pop()][::-1]),
    ord("u"): lambda self: self._set(self._pop_to_mark()),
    ord("q"): lambda self: self._memo.__setitem__(self._number(1), self._stack[-1]),
    ord("r"): lambda self: self._memo.__setitem__(self._number(4), self._stack[-1]),
    ord("h"): lambda self: self._push(self._memo[self._number(1)]),
    ord("j"): lambda self: self._push(self._memo[self._number(4)]),
    ord("c"): PlainUnpickler._global,
    ord("R"): PlainUnpickler._reduce,
    ord("b"): PlainUnpickler._build,
    ord("Q"): PlainUnpickler._storage,
}
