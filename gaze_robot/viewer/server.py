"""Serves the page: FastAPI for pictures, NiceGUI for everything that moves on the page."""

from collections.abc import Callable
import contextlib
import errno
import os
import socket
from typing import Any
import webbrowser

from fastapi import FastAPI
from fastapi.responses import Response
from nicegui import ui
import uvicorn

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import ConfigError
from gaze_robot.viewer.gallery import Gallery, KINDS
from gaze_robot.viewer.gate import Gate, offered_token
from gaze_robot.viewer.page import Page
from gaze_robot.viewer.source import Source

PORTS_TRIED = 10


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening place at `port`, or at the next free one of ten.

    Raises:
        ConfigError: all are taken, or this machine has no such address.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    for offset in range(PORTS_TRIED):
        place = socket.socket(family, socket.SOCK_STREAM)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((host, port + offset))
        except OSError as error:
            place.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f'cannot listen on {host}:{port + offset} ({error.strerror}); '
                                  'choose another host or port') from error
        else:
            return place
    raise ConfigError(f'ports {port} to {port + PORTS_TRIED - 1} of {host} are taken; choose '
                      'another port')


def address_of(config: ViewerConfig, port: int) -> str:
    """What to type into a browser on this machine."""
    name = {'0.0.0.0': '127.0.0.1', '::': '[::1]'}.get(config.host, config.host)
    name = f'[{name}]' if ':' in name and not name.startswith('[') else name
    return f'http://{name}:{port}/' + (f'?token={config.token}' if config.token else '')


def exposure_warning(config: ViewerConfig) -> str:
    """What to say of a page that other machines can reach without a token; '' otherwise."""
    if config.loopback or config.token:
        return ''
    return (f'host {config.host}: whoever can reach this machine can now see through the robot '
            'and move it, there is no authentication. Set token, for example to '
            f'{offered_token()}, or stay on 127.0.0.1 and forward the port by ssh')


def has_screen() -> bool:
    """Whether a browser could be seen here."""
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


def open_page(address: str) -> bool:
    """Open the page in the user's browser where there is a screen; whether that was tried."""
    if not has_screen():
        return False
    with contextlib.suppress(webbrowser.Error):
        return webbrowser.open(address)
    return False


def make_app(source: Source, config: ViewerConfig) -> FastAPI:
    """Everything behind one address; one per process, as NiceGUI keeps its pages in globals."""
    gallery = Gallery()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get('/picture/{kind}/{number}.jpg')
    def picture(kind: str, number: int) -> Response:
        made = gallery.picture(source.board, kind, number) if kind in KINDS else None
        if made is None:
            return Response(status_code=404)
        return Response(made, media_type='image/jpeg', headers={'cache-control': 'no-store'})

    page = Page(source, config)
    ui.page('/', title='gaze_robot')(page.build)
    # A robot's pictures are no secret of the session: NiceGUI keeps nothing in the browser.
    ui.run_with(app, title='gaze_robot', dark=True, show_welcome_message=False,
                favicon='👁', reconnect_timeout=10.0, gzip_middleware_factory=None)
    return app


def serve(source: Source, config: ViewerConfig, ready: Callable[[str], None],
          place: socket.socket | None = None) -> None:
    """Serve the page until Ctrl-C or SIGTERM; call it from the main thread.

    Args:
        ready: told the address once it is known.
        place: where to listen; None: as the configuration says.
    """
    place = place or bound_socket(config.host, config.port)
    app: Any = Gate(make_app(source, config), config.token, config.loopback)
    server = uvicorn.Server(uvicorn.Config(app, log_level='warning', lifespan='on',
                                           timeout_graceful_shutdown=1))
    ready(address_of(config, place.getsockname()[1]))
    try:
        server.run(sockets=[place])
    except KeyboardInterrupt:               # uvicorn hands on the signal that ended it
        pass
    finally:
        source.close()
        place.close()
