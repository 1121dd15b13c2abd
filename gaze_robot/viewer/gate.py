"""Who may see the page: an ASGI gate that asks for a token and minds the Host header."""

from collections.abc import Awaitable, Callable, MutableMapping
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = 'gaze_robot_token'
LOOPBACK = {'localhost', '127.0.0.1', '::1'}
ASK = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>gaze_robot</title>
<meta name="viewport" content="width=device-width"><body style="font:16px sans-serif;margin:3em">
<h1>gaze_robot</h1><p>This page moves a robot. It asks for the token that it was started with.</p>
<form><label>Token <input name="token" type="password" autofocus></label>
<button>Open</button></form></body></html>"""


class Gate:
    """Lets through who knows the token (once in the address, then in a cookie).

    With `loopback_only`, a request must have been made for this machine by name: a foreign page
    that has its own name point here (DNS rebinding) is turned away.
    """

    def __init__(self, app: App, token: str = '', loopback_only: bool = False) -> None:
        self._app, self._token, self._loopback_only = app, token, loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or turn it away."""
        if scope['type'] not in ('http', 'websocket'):
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode('latin-1') for name, value in scope['headers']}
        if not self._named_right(headers):
            await _refuse(scope, send, 421, b'This page answers to localhost only.')
        elif not self._token or self._same(_cookie(headers.get(b'cookie', ''))):
            await self._app(scope, receive, send)
        elif self._same(_asked(scope)):
            await _refuse(scope, send, 303, b'', [
                (b'location', scope.get('path', '/').encode()),
                (b'set-cookie', f'{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict'
                 .encode())])
        else:
            await _refuse(scope, send, 401, ASK, [(b'content-type', b'text/html')])

    def _named_right(self, headers: dict[bytes, str]) -> bool:
        if self._loopback_only and _host(headers.get(b'host', '')) not in LOOPBACK:
            return False
        origin = headers.get(b'origin', '')
        return not origin or urlsplit(origin).netloc == headers.get(b'host', '')

    def _same(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _host(header: str) -> str:
    return urlsplit(f'//{header}').hostname or ''


def _cookie(header: str) -> str:
    try:
        jar = SimpleCookie(header)
    except CookieError:
        return ''
    return jar[COOKIE].value if COOKIE in jar else ''


def _asked(scope: Scope) -> str:
    query = parse_qs(scope.get('query_string', b'').decode('latin-1'))
    return query.get('token', [''])[0]


async def _refuse(scope: Scope, send: Send, status: int, body: bytes,
                  headers: list[tuple[bytes, bytes]] | None = None) -> None:
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.close', 'code': 1008})
        return
    await send({'type': 'http.response.start', 'status': status,
                'headers': [(b'cache-control', b'no-store'), *(headers or [])]})
    await send({'type': 'http.response.body', 'body': body})
