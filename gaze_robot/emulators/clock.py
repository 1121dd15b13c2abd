"""Time that passes when told, for tests that must not depend on how busy the machine is."""


class ManualClock:
    """Seconds; hand the same one to an emulator and to the driver that talks to it."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """Now."""
        return self.now_s

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds
