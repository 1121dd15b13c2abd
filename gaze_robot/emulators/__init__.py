"""Heads without hardware: processes that answer on a wire as the real ones do, faults included.

For trying the drivers (`gaze-robot emulate dynamixel`) and for tests. Nothing here uses a vendor's
library or a driver's code: packets are made and checked by a second implementation.
"""
