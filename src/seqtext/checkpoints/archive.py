"""Read torch.save files safely, verifying checksums: only plain values and tensors.

`torch.load` ignores the archive's checksums, decompresses members of any size, and trusts the
tensor sizes that a file declares. Here a damaged byte is detected or has no effect, no code in the
file is executed, and memory use is bounded by a small multiple of the file's size.
"""

import os
import zipfile
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch import Tensor

from seqtext.checkpoints.unpickling import DamagedError, PlainUnpickler, check_plain

CHUNK_BYTES = 1 << 22  # bytes read and added to a checksum at once
ENCRYPTED = 0x1  # bit of a ZIP member's flags


def read_archive(path: Path) -> Any:
    """Read a file written by `torch.save`.

    Returns:
        Dicts, lists, tuples, texts, numbers, booleans, None, and tensors on the CPU.

    Raises:
        OSError: if the file cannot be read.
        DamagedError: if it is damaged or contains any other type.
    """
    with path.open("rb") as stream:
        try:
            records = TorchArchive(stream)
            data = bytes(records.read("data.pkl").numpy())
            value = PlainUnpickler(data, records.storage).load()
            check_plain(value, len(data))
            return value
        except OSError:
            raise
        except Exception as error:  # zipfile and torch raise many types for damaged files
            raise error if isinstance(error, DamagedError) else DamagedError(str(error)) from error


class TorchArchive:
    """Reads the members of a checkpoint's archive, each once, and verifies their checksums.

    Args:
        stream: the opened file

    Raises:
        DamagedError: if the archive is not as torch writes it: a member is compressed, encrypted or
            duplicated, or the members together are larger than the file.
    """

    def __init__(self, stream: IO[bytes]):
        self._archive = zipfile.ZipFile(stream)
        members = self._archive.infolist()
        self._members = {member.filename: member for member in members}
        size = os.fstat(stream.fileno()).st_size
        if not members or len(self._members) != len(members):
            raise DamagedError("The archive has a duplicate member, or no members.")
        if any(not _is_stored(member) for member in members):
            raise DamagedError("A member of the archive is compressed or encrypted.")
        if any(not 0 <= member.header_offset < size for member in members):
            raise DamagedError("A member of the archive is not in the file.")
        if sum(member.file_size for member in members) > size:
            raise DamagedError("The members of the archive are larger than the file.")
        self._folder = members[0].filename.partition("/")[0]
        self._storages: dict[str, Tensor] = {}
        if self.has("byteorder") and bytes(self.read("byteorder").numpy()) != b"little":
            raise DamagedError("Its tensors are not in little-endian byte order.")

    def has(self, name: str) -> bool:
        """Return whether the archive has this member."""
        return f"{self._folder}/{name}" in self._members

    def read(self, name: str) -> Tensor:
        """Return the bytes of a member, [size] uint8."""
        member = self._members[f"{self._folder}/{name}"]
        content = torch.empty(member.file_size, dtype=torch.uint8)
        view = memoryview(cast(Any, content.numpy()))
        with self._archive.open(member) as source:
            for start in range(0, len(view), CHUNK_BYTES):
                part = view[start : start + CHUNK_BYTES]
                if cast(zipfile.ZipExtFile, source).readinto(part) != len(part):
                    raise DamagedError(f"The member {name} ends too early.")
        return content

    def storage(self, key: str) -> Tensor:
        """Return a tensor's storage, [size] uint8; equal keys share one storage."""
        if key not in self._storages:
            self._storages[key] = self.read(f"data/{key}")
        return self._storages[key]


def _is_stored(member: zipfile.ZipInfo) -> bool:
    return (
        member.compress_type == zipfile.ZIP_STORED
        and member.compress_size == member.file_size
        and not member.flag_bits & ENCRYPTED
    )
