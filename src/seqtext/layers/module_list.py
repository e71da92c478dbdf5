"""A typed nn.ModuleList."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from torch import nn

Item = TypeVar("Item", bound=nn.Module)


class ModuleList(nn.ModuleList, Generic[Item]):
    """nn.ModuleList with the type of its items for type checkers."""

    if TYPE_CHECKING:

        def __init__(self, modules: Iterable[Item] = ()): ...
        def __iter__(self) -> Iterator[Item]: ...
        def __getitem__(self, idx: int) -> Item: ...  # type: ignore[override]  # no slices
