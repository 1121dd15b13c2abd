"""A servo as its registers: what both servo protocols share."""

from gaze_robot.emulators.motion import Axis


class Servo:
    """A table of bytes, and a joint that follows it. Positions in ticks."""

    def __init__(self, number: int, size: int, position: float, axis: Axis) -> None:
        self.number = number
        self.table = bytearray(size)
        self.axis = axis
        self.axis.position = self.axis.lowest = self.axis.highest = position

    def get(self, address: int, length: int, signed: bool = False) -> int:
        """A register's value, little-endian."""
        return int.from_bytes(self.table[address:address + length], 'little', signed=signed)

    def put(self, address: int, length: int, value: int) -> None:
        """Set a register; negative values as two's complement."""
        self.table[address:address + length] = (value % (1 << 8 * length)).to_bytes(
            length, 'little')
