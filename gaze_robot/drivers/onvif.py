"""ONVIF pan-tilt cameras: AbsoluteMove, RelativeMove or ContinuousMove, whichever they can.

Absolute and relative moves need a camera that tells its position; where GetStatus has none, the
camera is driven by ContinuousMove and dead reckoning, taken to look straight ahead when connected.
A continuous move carries a time-out, so that a camera whose program died stops by itself.
Something is sent only when it changes. One call takes as long as the network: more than 20 ms
where that is slow.

Source: ONVIF 'PTZ Service Specification', 'Core Specification'.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
import math
import os
from xml.etree.ElementTree import Element

import numpy as np

from gaze_robot.drivers._linked import LinkedDriver, monotonic
from gaze_robot.drivers._rates import RateLoop
from gaze_robot.drivers._soap import find, SoapClient, text_of
from gaze_robot.drivers._speeds import capped
from gaze_robot.drivers.kinematic import advance
from gaze_robot.errors import ConfigError, DriverConnectionError, DriverError, DriverProtocolError
from gaze_robot.types import PanTiltCommand, PanTiltLimits, PanTiltState

SIGN = np.array([-1.0, -1.0])
"""ONVIF counts x to the right and y upwards; we count left and down."""
QUANTUM = 0.001
"""Smallest step of a speed that is sent, as a share of the full one."""
MOVE_TIMEOUT_S, REPEAT_S, POLL_S = 1.0, 0.4, 0.1


class OnvifDriver(LinkedDriver):
    """A pan-tilt camera on the network."""

    kind = 'ONVIF'

    def __init__(self, port: str, user: str = '', password: str | None = None,
                 limits: PanTiltLimits | None = None,
                 clock: Callable[[], float] = monotonic,
                 full_speed: tuple[float, float] = (0.7, 0.35),
                 full_range: tuple[float, float] = (math.pi, math.pi / 2),
                 timeout_s: float = 1.0) -> None:
        """Describe a camera; nothing is opened yet.

        Args:
            port: address of its device service, http://HOST/onvif/device_service.
            user: of an ONVIF user of the camera; '' for none.
            password: None: from the environment variable GAZE_ROBOT_PASSWORD.
            limits: of position, speed and acceleration.
            clock: seconds.
            full_speed: of pan and tilt at speed 1, rad/s: measure it.
            full_range: pan and tilt at position 1 of the generic space, rad.
            timeout_s: how long an answer may take.

        Raises:
            ConfigError: not an address, or limits the camera cannot keep.
        """
        super().__init__(capped(limits, full_speed, QUANTUM), clock, port)
        if len(full_range) != 2 or not all(0 < value < 13 for value in full_range):
            raise ConfigError(f'full_range is two positive angles, rad, got {full_range}')
        secret = os.environ.get('GAZE_ROBOT_PASSWORD', '') if password is None else password
        self._soap = SoapClient(port, user, secret, timeout_s)
        self._full_speed, self._range = np.array(full_speed), np.array(full_range)
        quantum = QUANTUM * self._full_speed
        self._loop = RateLoop(self.limits, (float(quantum[0]), float(quantum[1])))
        self.mode = ''
        """'absolute', 'relative' or 'continuous', known once connected."""
        self._path, self._profile = '', ''
        self._position, self._speed = np.zeros(2), np.zeros(2)
        self._sent: np.ndarray | None = None
        self._lived_s = self._polled_s = self._told_s = -math.inf

    def _open(self) -> None:
        soap = self._soap
        self._set_clock(soap)
        found = soap.call(soap.path, '<tds:GetCapabilities><tds:Category>All</tds:Category>'
                          '</tds:GetCapabilities>')
        media = _path(text_of(found, 'Media/XAddr'))
        self._path = _path(text_of(found, 'PTZ/XAddr'))
        profiles = soap.call(media, '<trt:GetProfiles/>')
        profile = next((each for each in profiles if find(each, 'PTZConfiguration') is not None),
                       None)
        if not self._path or profile is None:
            raise DriverError(f'{self.label} offers no pan and tilt; is PTZ switched on?')
        self._profile = profile.attrib.get('token', '')
        node = text_of(profile, 'PTZConfiguration/NodeToken')
        spaces = find(soap.call(self._path, f'<tptz:GetNode><tptz:NodeToken>{_safe(node)}'
                                '</tptz:NodeToken></tptz:GetNode>'), 'SupportedPTZSpaces')
        measured = self._status()
        can = [name for name in ('Absolute', 'Relative', 'Continuous') if find(
            spaces, f'{name}PanTilt{_SPACE[name]}') is not None]
        if measured is not None:
            self._position = measured
        elif 'Continuous' in can:
            can = ['Continuous']
        if not can or (measured is None and can != ['Continuous']):
            raise DriverError(f'{self.label} can neither be told where to look nor how fast to '
                              'turn')
        self.mode = can[0].lower()
        self._halt()

    def _close(self) -> None:
        self._soap.close()

    def _measure(self) -> PanTiltState:
        now_s = self._clock()
        if self.mode == 'continuous':
            self._drive(now_s)
            return self._loop.pose(now_s)
        self._live(now_s)
        if not 0.0 <= now_s - self._polled_s < POLL_S:
            measured = self._status()
            self._polled_s = now_s
            if measured is not None:
                self._position = measured
        return PanTiltState(float(self._position[0]), float(self._position[1]),
                            float(self._speed[0]), float(self._speed[1]), now_s)

    def _send(self, goal: PanTiltCommand) -> None:
        now_s = self._clock()
        if self.mode == 'continuous':
            self._loop.aim(goal, now_s)
            self._drive(now_s)
            return
        self._live(now_s)
        wanted = np.array([goal.pan_rad, goal.tilt_rad])
        if self._sent is not None and np.abs(wanted - self._sent).max() < 1e-4:
            return
        share = np.floor(np.array(self.limits.max_velocity) / self._full_speed / QUANTUM
                         + 1e-9) * QUANTUM
        if self.mode == 'absolute':
            self._move('Absolute', 'Position', SIGN * wanted / self._range, share)
        else:
            measured = self._status()
            self._position = self._position if measured is None else measured
            self._move('Relative', 'Translation', SIGN * (wanted - self._position) / self._range,
                       share)
        self._sent = wanted

    def _halt(self) -> None:
        self._sent = None
        self._speed = np.zeros(2)
        self._loop.halt(self._clock())
        self._call('<tptz:Stop>{profile}<tptz:PanTilt>true</tptz:PanTilt>'
                   '<tptz:Zoom>false</tptz:Zoom></tptz:Stop>')

    def _failed(self) -> None:
        self._sent = None

    def _vitals(self) -> dict[str, float | str]:
        return {'moves': self.mode,
                'position': 'dead reckoning' if self.mode == 'continuous' else 'measured'}

    def _drive(self, now_s: float) -> None:
        """Tell the camera its speed where it changes, and before its time-out ends."""
        speed = self._loop.plan(now_s)
        again = speed.any() and not 0.0 <= now_s - self._told_s < REPEAT_S
        if again or not np.array_equal(speed, self._loop.told):
            x, y = SIGN * speed / self._full_speed
            self._call('<tptz:ContinuousMove>{profile}<tptz:Velocity>'
                       f'<tt:PanTilt x="{x:.4f}" y="{y:.4f}"/></tptz:Velocity>'
                       f'<tptz:Timeout>PT{MOVE_TIMEOUT_S:g}S</tptz:Timeout></tptz:ContinuousMove>')
            self._told_s = now_s
        self._loop.tell(speed, now_s)

    def _live(self, now_s: float) -> None:
        """Guess on from the last measurement: the way the camera should go."""
        step_s = min(max(now_s - self._lived_s, 0.0), 1.0)
        self._lived_s = now_s
        if self._sent is not None:
            self._position, self._speed = advance(self._position, self._speed, self._sent,
                                                  self.limits, step_s)

    def _move(self, kind: str, what: str, place: Sequence[float] | np.ndarray,
              share: np.ndarray) -> None:
        most = 2.0 if kind == 'Relative' else 1.0
        x, y = np.clip(place, -most, most)
        self._call(f'<tptz:{kind}Move>{{profile}}'
                   f'<tptz:{what}><tt:PanTilt x="{x:.6f}" y="{y:.6f}"/></tptz:{what}><tptz:Speed>'
                   f'<tt:PanTilt x="{share[0]:.4f}" y="{share[1]:.4f}"/></tptz:Speed>'
                   f'</tptz:{kind}Move>')

    def _status(self) -> np.ndarray | None:
        """Measured position, rad; None where the camera does not tell."""
        answer = self._call('<tptz:GetStatus>{profile}</tptz:GetStatus>')
        place = find(answer, 'Position/PanTilt')
        if place is None:
            return None
        try:
            found = SIGN * self._range * [float(place.attrib[name]) for name in ('x', 'y')]
        except (KeyError, ValueError) as error:
            raise DriverProtocolError(f'{self.label} tells no usable position: '
                                      f'{place.attrib}') from error
        if not np.isfinite(found).all():
            raise DriverProtocolError(f'{self.label} tells no usable position: {place.attrib}')
        return found

    def _call(self, body: str) -> Element:
        if not self._path:
            raise DriverConnectionError(f'{self.label} is not connected')
        token = f'<tptz:ProfileToken>{_safe(self._profile)}</tptz:ProfileToken>'
        return self._soap.call(self._path, body.replace('{profile}', token))

    def _set_clock(self, soap: SoapClient) -> None:
        """Learn the camera's time: digests made with another are refused."""
        answer = soap.call(soap.path, '<tds:GetSystemDateAndTime/>')
        date, time = find(answer, 'UTCDateTime/Date'), find(answer, 'UTCDateTime/Time')
        try:
            year, month, day = (int(text_of(date, name)) for name in ('Year', 'Month', 'Day'))
            hour, minute, second = (int(text_of(time, name))
                                    for name in ('Hour', 'Minute', 'Second'))
            told = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        except ValueError:          # not told: its clock is taken to be right
            return
        soap.ahead = told - datetime.now(timezone.utc)


_SPACE = {'Absolute': 'PositionSpace', 'Relative': 'TranslationSpace',
          'Continuous': 'VelocitySpace'}


def _path(address: str) -> str:
    """The path of a service; its host may be one that only the camera's own network knows."""
    return '/' + address.split('://', 1)[-1].partition('/')[2] if address else ''


def _safe(token: str) -> str:
    return token.replace('&', '&amp;').replace('<', '&lt;')
