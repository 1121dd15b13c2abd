"""Serves the page: FastAPI for pictures, NiceGUI for everything that moves on the page."""

from collections.abc import Callable
from types import FrameType
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from nicegui import ui
import uvicorn

from gaze_robot.config import ViewerConfig
from gaze_robot.viewer.address import address_of, bound_socket, open_page
from gaze_robot.viewer.gallery import Gallery, KINDS
from gaze_robot.viewer.gate import Gate
from gaze_robot.viewer.page import Page
from gaze_robot.viewer.runs import find_runs
from gaze_robot.viewer.source import Source


def make_app(source: Source, config: ViewerConfig, path: str = '') -> FastAPI:
    """Everything behind one address; one per process, as NiceGUI keeps its pages in globals."""
    gallery, sources = Gallery(), {source.key: source}
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get('/picture/{key}/{kind}/{number}.jpg')
    def picture(key: str, kind: str, number: int) -> Response:
        shown = sources.get(key)
        made = None if shown is None or kind not in KINDS else gallery.picture(
            shown.board, kind, number)
        if made is None:
            return Response(status_code=404)
        return Response(made, media_type='image/jpeg', headers={'cache-control': 'no-store'})

    @app.get('/run/{name:path}/{film}')
    def run_film(name: str, film: str) -> Response:
        run = next((run for run in find_runs(config.runs) if run.name == name), None)
        if run is None or film not in run.films:
            return Response(status_code=404)
        return FileResponse(run.path / film)

    page = Page(source, config, sources, path)
    ui.page('/', title='gaze_robot')(page.build)
    ui.run_with(app, title='gaze_robot', dark=True, show_welcome_message=False, favicon='👁',
                reconnect_timeout=30.0, gzip_middleware_factory=None)
    return app


class _Server(uvicorn.Server):
    """Ends in good order however often Ctrl-C comes: launch files send it twice."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True


def serve(source: Source, config: ViewerConfig, ready: Callable[[str], None],
          path: str = '') -> None:
    """Serve the page until Ctrl-C or SIGTERM; call it from the main thread.

    Args:
        source: whom to show.
        config: where, and who may see it.
        ready: told the address once it is known.
        path: of the recording, if the source is one.

    Raises:
        ConfigError: see `bound_socket`.
    """
    place = bound_socket(config.host, config.port)
    app: Any = Gate(make_app(source, config, path), config.token, config.loopback)
    server = _Server(uvicorn.Config(app, log_level='warning', lifespan='on',
                                           timeout_graceful_shutdown=1))
    address = address_of(config, place.getsockname()[1])
    ready(address)
    if config.open:
        open_page(address)
    try:
        server.run(sockets=[place])
    finally:
        source.close()
        place.close()
