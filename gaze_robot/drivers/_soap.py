"""SOAP calls to an ONVIF device with the standard library alone.

XML is parsed without document types and entities: a device, or who answers in its place, must not
make this process read files or fill the memory. WS-UsernameToken digest: OASIS, 'Web Services
Security UsernameToken Profile 1.0'.
"""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
import hashlib
import http.client
import os
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape

from gaze_robot.errors import (
    ConfigError,
    DriverConnectionError,
    DriverError,
    DriverProtocolError,
    DriverTimeoutError,
)

MOST_BYTES = 1 << 20
NAMESPACES = {
    's': 'http://www.w3.org/2003/05/soap-envelope',
    'tds': 'http://www.onvif.org/ver10/device/wsdl', 'trt': 'http://www.onvif.org/ver10/media/wsdl',
    'tptz': 'http://www.onvif.org/ver20/ptz/wsdl', 'tt': 'http://www.onvif.org/ver10/schema'}
_WSS = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-'


class SoapClient:
    """One connection to one device, kept open between calls."""

    def __init__(self, url: str, user: str, password: str, timeout_s: float,
                 random: Callable[[int], bytes] = os.urandom) -> None:
        """Describe the device; nothing is opened yet.

        Args:
            url: of its device service, e.g. http://192.168.1.64/onvif/device_service.
            user: '' calls without a name and password.
            password: sent as a digest only.
            timeout_s: how long an answer may take.
            random: bytes for the nonces.

        Raises:
            ConfigError: not an http or https address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ConfigError('the port of an ONVIF camera is the address of its device service, '
                              f'e.g. http://192.168.1.64/onvif/device_service; got {url!r}')
        kind = (http.client.HTTPSConnection if parts.scheme == 'https' else
                http.client.HTTPConnection)
        self._http = kind(parts.hostname, parts.port, timeout=timeout_s)
        self.path = parts.path or '/onvif/device_service'
        self.name, self._timeout_s = f'{parts.hostname}:{self._http.port}', timeout_s
        self._user, self._password, self._random = user, password, random
        self.ahead = timedelta(0)
        """How far the device's clock is ahead of ours: digests carry its time."""

    def call(self, path: str, body: str) -> Element:
        """Send the body of a request; returns the element inside the answer's body.

        Raises:
            DriverConnectionError: not reachable, or name and password are refused.
            DriverTimeoutError: no answer in time.
            DriverProtocolError: the answer is not what SOAP allows.
            DriverError: the device answers with a fault; the text is its reason.
        """
        names = ' '.join(f'xmlns:{key}="{value}"' for key, value in NAMESPACES.items())
        envelope = (f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {names}>'
                    f'{self._header()}<s:Body>{body}</s:Body></s:Envelope>')
        status, text = self._post(path, envelope.encode())
        if status == 401:
            raise DriverConnectionError(self._refused())
        answer = find(parse(text), 'Body')
        if answer is None or len(answer) == 0:
            raise DriverProtocolError(f'{self.name} answered without a SOAP body')
        if local(answer[0]) == 'Fault':
            words = ' '.join(' '.join(answer[0].itertext()).split())
            if 'NotAuthorized' in words or 'FailedAuthentication' in words:
                raise DriverConnectionError(self._refused())
            raise DriverError(f'{self.name} refused: {words}')
        return answer[0]

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._http.close()

    def _post(self, path: str, data: bytes) -> tuple[int, bytes]:
        headers = {'Content-Type': 'application/soap+xml; charset=utf-8'}
        for fresh in (self._http.sock is None, True):
            try:
                self._http.request('POST', path, data, headers)
                response = self._http.getresponse()
                text = response.read(MOST_BYTES + 1)
                break
            except TimeoutError as error:
                self._http.close()
                raise DriverTimeoutError(self.name, self._timeout_s) from error
            except (OSError, http.client.HTTPException) as error:
                self._http.close()
                if fresh:           # else: a connection kept open may have been closed meanwhile
                    raise DriverConnectionError(
                        f'cannot reach {self.name} ({error or type(error).__name__}); is the '
                        'camera powered and on the network?') from error
        if len(text) > MOST_BYTES:
            self._http.close()
            raise DriverProtocolError(f'the answer of {self.name} is longer than 1 MiB')
        return response.status, text

    def _refused(self) -> str:
        return (f'{self.name} refuses user {self._user!r} with this password; set parameter user '
                'and the environment variable GAZE_ROBOT_PASSWORD to those of an ONVIF user')

    def _header(self) -> str:
        if not self._user:
            return ''
        nonce = self._random(16)
        created = (datetime.now(timezone.utc) + self.ahead).strftime('%Y-%m-%dT%H:%M:%SZ')
        digest = hashlib.sha1(nonce + created.encode() + self._password.encode()).digest()
        secext, utility = (f'{_WSS}wssecurity-{name}-1.0.xsd' for name in ('secext', 'utility'))
        profile = f'{_WSS}username-token-profile-1.0#PasswordDigest'
        return (f'<s:Header><w:Security xmlns:w="{secext}" s:mustUnderstand="1"><w:UsernameToken>'
                f'<w:Username>{escape(self._user)}</w:Username>'
                f'<w:Password Type="{profile}">{base64.b64encode(digest).decode()}</w:Password>'
                f'<w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce>'
                f'<u:Created xmlns:u="{utility}">{created}</u:Created>'
                '</w:UsernameToken></w:Security></s:Header>')


def parse(text: bytes) -> Element:
    """Read XML that somebody else wrote.

    Raises:
        DriverProtocolError: it is not XML, or has a document type or entities.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator='}')

    def refuse(*_: object) -> None:
        raise DriverProtocolError('an answer with a document type is refused')

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda name, attributes: builder.start(name, attributes)
    parser.EndElementHandler = lambda name: builder.end(name)
    parser.CharacterDataHandler = lambda data: builder.data(data)
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise DriverProtocolError(f'the answer is not XML: {error}') from error
    return builder.close()


def local(element: Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition('}')[2]


def find(element: Element | None, path: str) -> Element | None:
    """The first descendant along local names: 'Status/Position'; each may lie any level deeper."""
    for name in path.split('/'):
        if element is None:
            return None
        parent = element
        element = next((each for each in parent.iter() if each is not parent
                        and local(each) == name), None)
    return element


def text_of(element: Element | None, path: str) -> str:
    """The text of such a descendant; '' where there is none."""
    found = find(element, path)
    return '' if found is None or found.text is None else found.text.strip()
