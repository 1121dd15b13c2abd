"""Bags as files: write, read, mend. No ROS; messages are bytes as the middleware sends them."""

from collections.abc import Callable, Iterator, Sequence
import contextlib
from dataclasses import dataclass
import os
from pathlib import Path
import sqlite3
from types import TracebackType
from typing import Any

from gaze_robot.errors import BagError
from gaze_robot.optional import require

STORAGES = ('mcap', 'sqlite3')
COMMIT_S = 1.0
"""A sqlite3 bag is made durable this often, in seconds of recording."""

MCAP_MAGIC = b'\x89MCAP0\r\n'
MCAP_TAIL = (b'\x0f' + (4).to_bytes(8, 'little') + bytes(4)             # DataEnd, no checksum
             + b'\x02' + (20).to_bytes(8, 'little') + bytes(20)         # Footer, no summary
             + MCAP_MAGIC)
"""What ends an MCAP file that has no index (https://mcap.dev/spec)."""


@dataclass(frozen=True)
class Topic:
    """One topic of a bag."""

    name: str
    kind: str
    """Of its messages, such as 'sensor_msgs/msg/Image'."""

    reliable: bool = True
    latched: bool = False
    """Whether late subscribers get the last messages (transient local)."""

    depth: int = 10


@dataclass(frozen=True)
class Entry:
    """One message."""

    topic: Topic
    stamp_ns: int
    """When it was received, nanoseconds."""

    data: bytes
    """CDR, with its four bytes of header."""


class BagWriter:
    """Writes one bag and keeps it readable, whatever ends it; a context manager."""

    def __init__(self, path: Path, storage: str = 'mcap', reserve_mib: float = 256.0) -> None:
        """Make a new bag.

        Args:
            path: folder, which must not exist yet.
            storage: one of `STORAGES`.
            reserve_mib: recording stops when less than this is left on the disk.

        Raises:
            BagError: the folder exists or cannot be made, or another storage is asked for.
        """
        if storage not in STORAGES:
            raise BagError(f'storage is {" or ".join(STORAGES)}, got {storage!r}')
        self.path, self._reserve = Path(path), int(reserve_mib * 2 ** 20)
        self._storage, self.counts = storage, dict[str, int]()
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        rosbag2 = require('rosbags.rosbag2')
        types = require('rosbags.typesys')
        self._types: Any = types.get_typestore(types.Stores.ROS2_JAZZY)
        plugin = rosbag2.StoragePlugin[storage.upper()]
        try:
            self._writer: Any = rosbag2.Writer(self.path, version=9, storage_plugin=plugin)
            self._writer.open()
        except (OSError, rosbag2.WriterError) as error:
            raise BagError(f'cannot make the bag {path}: {error}; give --out another name'
                           ) from error
        self._connections: dict[Topic, Any] = {}
        self._committed_ns = 0

    def knows(self, kind: str) -> bool:
        """Whether messages of this type can be written: their definition is known."""
        return kind in self._types.fielddefs

    def write(self, topic: Topic, stamp_ns: int, data: bytes) -> None:
        """Append one message.

        Raises:
            BagError: the disk is full; close the writer and what was written stays.
        """
        try:
            room = os.statvfs(self.path)
            if room.f_bavail * room.f_frsize < self._reserve + len(data):
                raise OSError('the disk is full')
            self._write(topic, stamp_ns, data)
        except (OSError, sqlite3.OperationalError) as error:
            raise BagError(f'{self.path}: {error}; the {sum(self.counts.values())} messages '
                           'until then are kept. Free space, or record to another disk'
                           ) from error
        self.counts[topic.name] = self.counts.get(topic.name, 0) + 1
        self.first_ns = stamp_ns if self.first_ns is None else self.first_ns
        self.last_ns = stamp_ns

    def _write(self, topic: Topic, stamp_ns: int, data: bytes) -> None:
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._connections[topic] = self._writer.add_connection(
                topic.name, topic.kind, typestore=self._types,
                offered_qos_profiles=[_qos_of(topic)])
        self._writer.write(connection, stamp_ns, data)
        if self._storage == 'sqlite3' and stamp_ns - self._committed_ns > COMMIT_S * 1e9:
            self._writer.storage.conn.commit()
            self._committed_ns = stamp_ns

    def close(self) -> None:
        """Write the index; where there is no room for it, leave a bag that can be read without."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except (OSError, sqlite3.OperationalError):
            with contextlib.suppress(OSError, sqlite3.Error):
                writer.abort()
            mend(self.path)

    def __enter__(self) -> 'BagWriter':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def mend(path: Path) -> bool:
    """Make a recording that was cut off (kill, power, full disk) end where it was last whole.

    Args:
        path: the bag's folder or its file.

    Returns:
        Whether something had to be done.

    Raises:
        BagError: the file cannot be written.
    """
    file = _file_of(path)
    if file.suffix == '.db3':
        return _mend_sqlite3(file)
    try:
        with file.open('r+b') as mcap:
            if mcap.read(len(MCAP_MAGIC)) != MCAP_MAGIC:
                return False
            size = file.stat().st_size
            mcap.seek(max(0, size - len(MCAP_MAGIC)))
            if size >= len(MCAP_MAGIC) + len(MCAP_TAIL) and mcap.read() == MCAP_MAGIC:
                return False
            mcap.seek(_end_of_data(mcap, size))
            mcap.truncate()
            mcap.write(MCAP_TAIL)
    except OSError as error:
        raise BagError(f'{file} was cut off and cannot be mended: {error}; copy it to a disk with '
                       'room') from error
    return True


def _mend_sqlite3(file: Path) -> bool:
    """Undo the transaction that was under way when its writer died."""
    if not file.with_name(f'{file.name}-journal').exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute('SELECT count(*) FROM topics').fetchone()      # sqlite3 does it
    except sqlite3.Error as error:
        raise BagError(f'{file} was cut off and cannot be mended: {error}') from error
    return True


def _end_of_data(mcap: Any, size: int) -> int:
    """Where the last whole record of the data ends; bytes from the start."""
    at = len(MCAP_MAGIC)
    while at + 9 <= size:
        mcap.seek(at)
        opcode, *length = mcap.read(9)
        after = at + 9 + int.from_bytes(bytes(length), 'little')
        if after > size or opcode in (0, 0x02, 0x0f):       # cut off, or the end has begun
            break
        at = after
    return at


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator['Bag']:
    """A bag to read, mended first where it was cut off.

    Raises:
        BagError: it is missing, no bag, or cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise BagError(f'there is no bag {path}; give the folder that was recorded, or its file')
    mended = mend(path)
    highlevel = require('rosbags.highlevel')
    try:
        whole = path if (path / 'metadata.yaml').exists() and not mended else _file_of(path)
        reader = highlevel.AnyReader([whole])
        reader.open()
    except (OSError, ValueError, AssertionError, KeyError, highlevel.AnyReaderError) as error:
        raise BagError(f'{path} cannot be read as a bag: {error}') from error
    try:
        yield Bag(reader, mended, highlevel.AnyReaderError)
    finally:
        reader.close()


class Bag:
    """An open bag."""

    def __init__(self, reader: Any, mended: bool, broken: type[Exception]) -> None:
        self._reader, self._broken = reader, broken
        self.mended = mended
        """Whether it was cut off."""
        self.topics = tuple(_topic_of(connection) for connection in reader.connections)

    def entries(self, wanted: Callable[[Topic], bool] = lambda topic: True) -> Iterator[Entry]:
        """The messages of wanted topics in the order they were received.

        Raises:
            BagError: what comes next cannot be read.
        """
        chosen = {connection.id: topic for connection, topic in zip(self._reader.connections,
                                                                    self.topics) if wanted(topic)}
        connections = [each for each in self._reader.connections if each.id in chosen]
        if not connections:
            return
        try:
            for connection, stamp_ns, data in self._reader.messages(connections):
                yield Entry(chosen[connection.id], stamp_ns, bytes(data))
        except (OSError, ValueError, self._broken) as error:
            raise BagError(f'the bag cannot be read on from here: {error}') from error

    def begins_with_header(self, kind: str) -> bool:
        """Whether messages of this type have a stamp in their first bytes."""
        definition = self._reader.typestore.fielddefs.get(kind)
        fields = definition[1] if definition else []
        return bool(fields) and 'std_msgs/msg/Header' in str(fields[0][1])


def _file_of(path: Path) -> Path:
    """The one file with messages of a bag."""
    if path.is_file():
        return path
    files = sorted([*path.glob('*.mcap'), *path.glob('*.db3')])
    if len(files) != 1:
        raise BagError(f'{path} holds {len(files)} .mcap or .db3 files and no metadata.yaml; name '
                       'the file itself')
    return files[0]


def _qos_of(topic: Topic) -> Any:
    kinds = require('rosbags.interfaces')
    never = kinds.QosTime(2147483647, 4294967295)
    return kinds.Qos(
        kinds.QosHistory.KEEP_LAST, topic.depth,
        kinds.QosReliability.RELIABLE if topic.reliable else kinds.QosReliability.BEST_EFFORT,
        kinds.QosDurability.TRANSIENT_LOCAL if topic.latched else kinds.QosDurability.VOLATILE,
        never, never, kinds.QosLiveliness.AUTOMATIC, never, False)


def _topic_of(connection: Any) -> Topic:
    offered: Sequence[Any] = getattr(connection.ext, 'offered_qos_profiles', ()) or ()
    reliable = all(each.reliability.name != 'BEST_EFFORT' for each in offered)
    latched = bool(offered) and all(each.durability.name == 'TRANSIENT_LOCAL' for each in offered)
    return Topic(connection.topic, connection.msgtype, reliable, latched)
