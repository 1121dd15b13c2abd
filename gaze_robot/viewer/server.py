"""Serves the page: FastAPI for pictures, NiceGUI for everything that moves on the page."""

from collections.abc import Callable
import socket
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from nicegui import ui
import uvicorn

from gaze_robot.config import ViewerConfig
from gaze_robot.viewer.address import address_of, bound_socket, open_page
from gaze_robot.viewer.gallery import Gallery, KINDS
from gaze_robot.viewer.gate import Gate
from gaze_robot.viewer.page import Page
from gaze_robot.viewer.source import Source


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
    ui.run_with(app, title='gaze_robot', dark=True, show_welcome_message=False, favicon='👁',
                reconnect_timeout=10.0, gzip_middleware_factory=None)
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
    address = address_of(config, place.getsockname()[1])
    ready(address)
    if config.open:
        open_page(address)
    try:
        server.run(sockets=[place])
    except KeyboardInterrupt:               # uvicorn hands on the signal that ended it
        pass
    finally:
        source.close()
        place.close()
