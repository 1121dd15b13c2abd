"""What can go wrong on a wire, on request."""

from dataclasses import dataclass


@dataclass
class Faults:
    """Each number counts down with every answer spoilt; -1 spoils all that follow."""

    silent: int = 0
    """Answers that are not sent."""

    drop_byte: int = 0
    """Answers that lose a byte in the middle."""

    bad_checksum: int = 0
    """Answers whose last byte is wrong."""

    def spoil(self, answer: bytes) -> bytes:
        """An answer as it leaves on the wire."""
        if answer and self.take('silent'):
            return b''
        if answer and self.take('drop_byte'):
            middle = len(answer) // 2
            return answer[:middle] + answer[middle + 1:]
        if answer and self.take('bad_checksum'):
            return answer[:-1] + bytes([answer[-1] ^ 0xFF])
        return answer

    def take(self, name: str) -> bool:
        """Whether this fault is due now; counts it down."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0
