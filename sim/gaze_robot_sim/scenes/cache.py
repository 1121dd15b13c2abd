"""A bounded memory of what is costly to make again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
import threading
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Anything that knows how much memory it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes."""


Item = TypeVar('Item', bound=Sized)


class Recent(Generic[Item]):
    """The items used last, as many as fit; the newest is kept whatever its size. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._items: OrderedDict[Hashable, Item] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._items

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        with self._lock:
            return sum(item.nbytes for item in self._items.values())

    def get(self, key: Hashable) -> Item | None:
        """What is kept under a key, which counts as a use; None when nothing is."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: Hashable, item: Item) -> Item:
        """Keep an item; returns what is kept, the older one where two threads made the same."""
        with self._lock:
            item = self._items.setdefault(key, item)
            self._items.move_to_end(key)
            held = sum(each.nbytes for each in self._items.values())
            while held > self._max_bytes and len(self._items) > 1:
                held -= self._items.popitem(last=False)[1].nbytes
            return item

    def get_or_make(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """What is kept under a key, made now if need be; other threads are not held up by that."""
        item = self.get(key)
        return self.put(key, make()) if item is None else item

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()
