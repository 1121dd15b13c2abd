"""An ONVIF pan-tilt camera: a threaded SOAP server on loopback.

Written from ONVIF's service specifications. Faults: `silent`, `bad_checksum` (here: broken XML),
`drop_byte` (an answer cut short), `unplug`, `power_cycle`, and any answer put into `answer_with`.
"""

import base64
from collections.abc import Callable
from datetime import datetime, timezone
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import math
import re
import threading
import time
from types import TracebackType
from typing import Any

from gaze_robot.emulators.faults import Faults
from gaze_robot.emulators.motion import Axis

STRENGTH = 20.0
"""How hard the emulated motors change speed, rad/s^2."""
SPACES = {'Absolute': 'PositionSpace', 'Relative': 'TranslationSpace',
          'Continuous': 'VelocitySpace'}


class OnvifEmulator:
    """One camera. Pan is positive to the left and tilt downwards, rad, as everywhere here."""

    def __init__(self, user: str = '', password: str = '',
                 moves: tuple[str, ...] = ('Absolute', 'Relative', 'Continuous'),
                 tells_position: bool = True, clock: Callable[[], float] = time.monotonic,
                 full_speed: tuple[float, float] = (0.7, 0.35),
                 full_range: tuple[float, float] = (math.pi, math.pi / 2)) -> None:
        """Make a camera at rest.

        Args:
            user: '' lets everybody in.
            password: of that user.
            moves: what it can do.
            tells_position: whether GetStatus has a position.
            clock: seconds.
            full_speed: of pan and tilt at speed 1, rad/s.
            full_range: pan and tilt at position 1, rad.
        """
        self.user, self.password = user, password
        self.moves, self.tells_position = moves, tells_position
        self.full_speed, self.full_range = full_speed, full_range
        self.faults = Faults()
        self.answer_with = b''
        """Sent instead of every answer while it is not empty."""
        self.clock_ahead_s = 0.0
        """How wrong the camera's own clock is."""
        self.lock = threading.RLock()
        self.told: list[tuple[str, float, float, float, float]] = []
        """(move, x, y, speed x, speed y) of every move taken, as on the wire."""
        self.calls: list[str] = []
        """Every request's name."""
        self.axes = tuple(Axis(0.0, -reach, reach, speed, STRENGTH)
                          for reach, speed in zip(full_range, full_speed))
        self._clock, self._lived_s = clock, clock()
        self._stop_s = math.inf
        self._nonces: set[str] = set()
        self._port = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> str:
        """The address to give to a driver; the same after unplugging and plugging in."""
        return f'http://127.0.0.1:{self._port}/onvif/device_service'

    def plug(self) -> None:
        """Begin to answer."""
        camera = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get('Content-Length', 0)))
                status, answer = camera.answer(data.decode())
                if not answer:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header('Content-Type', 'application/soap+xml; charset=utf-8')
                self.send_header('Content-Length', str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                """Nothing to say."""

        self._server = _Server(('127.0.0.1', self._port), Handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,),
                                        daemon=True, name='onvif emulator')
        self._thread.start()

    def unplug(self) -> None:
        """Take the network away."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        self._server = None

    def power_cycle(self) -> None:
        """Switch it off and on: it stands still."""
        with self.lock:
            for axis in self.axes:
                axis.freeze()

    def __enter__(self) -> 'OnvifEmulator':
        """Plug in."""
        self.plug()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Unplug."""
        self.unplug()

    def catch_up(self) -> None:
        """Live until now; call it with `lock` held before looking inside."""
        now_s = self._clock()
        if now_s > self._stop_s:
            self._live(self._stop_s)
            for axis in self.axes:
                axis.goal, axis.wanted = None, 0.0
            self._stop_s = math.inf
        self._live(now_s)

    def _live(self, until_s: float) -> None:
        for axis in self.axes:
            axis.live(max(until_s - self._lived_s, 0.0))
        self._lived_s = max(until_s, self._lived_s)

    def answer(self, request: str) -> tuple[int, bytes]:
        """Obey one request; returns the HTTP status and the answer, b'' for none."""
        body = request.partition('Body>')[2]
        called = re.search(r'<\w+:(\w+)', body)
        name = called[1] if called else ''
        with self.lock:
            self.calls.append(name)
            self.catch_up()
            if name != 'GetSystemDateAndTime' and not self._knows(request):
                return 400, self._fault('ter:NotAuthorized', 'Sender not authorized')
            content = self._obey(name, body)
            if content is None:
                return 500, self._fault('ter:ActionNotSupported', f'{name} is not supported')
            answer = self.answer_with or _envelope(content)
            if self.faults.take('silent'):
                return 200, b''
            if self.faults.take('drop_byte'):
                answer = answer[:-9]
            if self.faults.take('bad_checksum'):
                answer = answer.replace(b'Body>', b'Body<')
            return 200, answer

    def _obey(self, name: str, body: str) -> str | None:
        if name.endswith('Move') and name.removesuffix('Move') in self.moves:
            self._move(name.removesuffix('Move'), body)
            return f'<tptz:{name}Response/>'
        if name == 'Stop':
            for axis in self.axes:
                axis.goal, axis.wanted = None, 0.0
            return '<tptz:StopResponse/>'
        address = 'http://192.168.77.1:80/onvif/{}'
        now = datetime.fromtimestamp(time.time() + self.clock_ahead_s, timezone.utc)
        known = {
            'GetSystemDateAndTime': (
                '<tds:SystemDateAndTime><tt:UTCDateTime>'
                f'<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>'
                f'<tt:Second>{now.second}</tt:Second></tt:Time><tt:Date><tt:Year>{now.year}'
                f'</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day></tt:Date>'
                '</tt:UTCDateTime></tds:SystemDateAndTime>'),
            'GetCapabilities': (
                f'<tds:Capabilities><tt:Media><tt:XAddr>{address.format("media")}</tt:XAddr>'
                f'</tt:Media><tt:PTZ><tt:XAddr>{address.format("ptz")}</tt:XAddr></tt:PTZ>'
                '</tds:Capabilities>'),
            'GetProfiles': (
                '<trt:Profiles token="sound"/><trt:Profiles token="main"><tt:PTZConfiguration>'
                '<tt:NodeToken>node0</tt:NodeToken></tt:PTZConfiguration></trt:Profiles>'),
            'GetNode': '<tptz:PTZNode><tt:SupportedPTZSpaces>' + ''.join(
                f'<tt:{move}PanTilt{SPACES[move]}><tt:URI>generic</tt:URI>'
                f'</tt:{move}PanTilt{SPACES[move]}>' for move in self.moves)
            + '</tt:SupportedPTZSpaces></tptz:PTZNode>',
            'GetStatus': f'<tptz:PTZStatus>{self._place()}</tptz:PTZStatus>'}
        prefix = {'GetSystemDateAndTime': 'tds', 'GetCapabilities': 'tds', 'GetProfiles': 'trt'}
        if name not in known:
            return None
        tag = f'{prefix.get(name, "tptz")}:{name}Response'
        return f'<{tag}>{known[name]}</{tag}>'

    def _place(self) -> str:
        if not self.tells_position:
            return ''
        x, y = (-axis.position / reach for axis, reach in zip(self.axes, self.full_range))
        return f'<tt:Position><tt:PanTilt x="{x:.6f}" y="{y:.6f}"/></tt:Position>'

    def _move(self, kind: str, body: str) -> None:
        pairs = [(float(x), float(y)) for x, y in re.findall(
            r'PanTilt x="([^"]+)" y="([^"]+)"', body)]
        (x, y), (fast_x, fast_y) = pairs[0], pairs[1] if len(pairs) > 1 else (1.0, 1.0)
        self.told.append((kind, x, y, fast_x, fast_y))
        ends = re.search(r'Timeout>PT([\d.]+)S<', body)
        self._stop_s = self._lived_s + float(ends[1]) if ends else math.inf
        for axis, value, share, reach, full in zip(
                self.axes, (-x, -y), (fast_x, fast_y), self.full_range, self.full_speed):
            if kind == 'Continuous':
                axis.goal, axis.wanted = None, min(max(value, -1.0), 1.0) * full
            else:
                axis.speed = min(max(share, 0.0), 1.0) * full
                goal = value * reach + (axis.position if kind == 'Relative' else 0.0)
                axis.goal = min(max(goal, axis.low), axis.high)

    def _knows(self, request: str) -> bool:
        """Check the digest, its age within 5 s, and that its nonce is new."""
        if not self.user:
            return True
        found = {key: (re.search(rf'<\w+:{key}(?: [^>]*)?>([^<]*)<', request) or ['', ''])[1]
                 for key in ('Username', 'Password', 'Nonce', 'Created')}
        digest = hashlib.sha1(base64.b64decode(found['Nonce']) + found['Created'].encode()
                              + self.password.encode()).digest()
        if (found['Username'] != self.user or found['Nonce'] in self._nonces
                or found['Password'] != base64.b64encode(digest).decode()):
            return False
        self._nonces.add(found['Nonce'])
        made = datetime.strptime(found['Created'], '%Y-%m-%dT%H:%M:%SZ').replace(
            tzinfo=timezone.utc)
        return abs(made.timestamp() - time.time() - self.clock_ahead_s) < 5.0

    def _fault(self, code: str, text: str) -> bytes:
        return _envelope(f'<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}'
                         f'</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">{text}'
                         '</s:Text></s:Reason></s:Fault>')


class _Server(ThreadingHTTPServer):
    """Threads that end with the process, and connections that can be cut."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget it."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to report."""

    def hang_up(self) -> None:
        """Cut every connection."""
        for request in list(self._open):
            self.shutdown_request(request)


def _envelope(content: str) -> bytes:
    names = {'s': 'http://www.w3.org/2003/05/soap-envelope',
             'tt': 'http://www.onvif.org/ver10/schema',
             'tds': 'http://www.onvif.org/ver10/device/wsdl',
             'trt': 'http://www.onvif.org/ver10/media/wsdl',
             'tptz': 'http://www.onvif.org/ver20/ptz/wsdl',
             'ter': 'http://www.onvif.org/ver10/error'}
    spaces = ' '.join(f'xmlns:{key}="{value}"' for key, value in names.items())
    return (f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {spaces}><s:Body>{content}'
            '</s:Body></s:Envelope>').encode()
