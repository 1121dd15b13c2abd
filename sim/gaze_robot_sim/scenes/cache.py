"""A bounded memory of what is costly to make again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
import threading
from typing import Generic, Protocol, TypeVar
from weakref import WeakValueDictionary


class Sized(Protocol):
    """Anything that knows how much memory it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes."""


Item = TypeVar('Item', bound=Sized)


class Recent(Generic[Item]):
    """The items used last, as many as fit; the newest is kept whatever its size. Thread-safe.

    What no longer fits is still found as long as somebody else holds it, so nothing is twice in
    memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, Item] = OrderedDict()
        self._alive: WeakValueDictionary[Hashable, Item] = WeakValueDictionary()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    @property
    def nbytes(self) -> int:
        """Bytes kept."""
        with self._lock:
            return sum(item.nbytes for item in self._kept.values())

    def get(self, key: Hashable) -> Item | None:
        """The item of a key, which counts as a use; None when it is gone."""
        with self._lock:
            item = self._alive.get(key)
            return None if item is None else self._keep(key, item)

    def put(self, key: Hashable, item: Item) -> Item:
        """Keep an item; returns what is kept: the older one where two threads made the same."""
        with self._lock:
            return self._keep(key, self._alive.setdefault(key, item))

    def get_or_make(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """The item of a key, made now if need be; other threads are not held up by that."""
        item = self.get(key)
        return self.put(key, make()) if item is None else item

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._alive.clear()

    def _keep(self, key: Hashable, item: Item) -> Item:
        if next(reversed(self._kept), None) == key:
            return item
        self._kept[key] = item
        self._kept.move_to_end(key)
        # Counted anew: items grow while they are used.
        held = self.nbytes
        while held > self._max_bytes and len(self._kept) > 1:
            held -= self._kept.popitem(last=False)[1].nbytes
        return item
