"""Settings of the page that a person watches; `gaze_robot.config` gathers those of every node."""

from dataclasses import dataclass
import ipaddress

from gaze_robot.config_head import HeadConfig, setting
from gaze_robot.errors import ConfigError


@dataclass(frozen=True)
class ViewerConfig(HeadConfig):
    """Settings of viewer_node: a page in the browser that shows what the robot sees."""

    host: str = '127.0.0.1'
    """Address to listen on. The default is this machine alone; 0.0.0.0: whoever can reach it, who
    may then move the robot unless `token` is set."""

    port: int = setting(8080, min=1, max=65535)
    """Port of the page. If it is taken, the next free one of ten is used and told."""

    token: str = ''
    """Secret that a browser must know to see the page; empty: it asks for none."""

    open: bool = False
    """Whether to open the page in this machine's browser, where there is a screen."""

    picture_rate: float = setting(8.0, min=0.5, max=30.0)
    """Pictures per second sent to each browser at most, Hz; a slow one gets fewer."""

    niceness: int = setting(10, min=0, max=19)
    """How far the page steps back for the robot where both want the processor; 0: not at all."""

    image_transport: str = setting('raw', choices=('raw', 'compressed'))
    """Which image topic to watch: 'raw' (image_raw) or 'compressed' (image_raw/compressed)."""

    recordings: str = 'recordings'
    """Folder that recordings are written into, and where the page looks for them."""

    runs: str = 'runs'
    """Folder of training runs that the page shows."""

    fixed_frame: str = 'base_link'
    """Frame of targets; `frame_prefix` is put before it."""

    frame_prefix: str = ''
    """Put before every frame name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token and (len(self.token) < 8 or not self.token.isalnum()):
            raise ConfigError('a token is 8 or more letters and digits')
        if not self.host:
            raise ConfigError('host is the address to listen on: 127.0.0.1 for this machine alone')

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        if self.host == 'localhost':
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
