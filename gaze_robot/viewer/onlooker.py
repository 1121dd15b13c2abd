"""A browser without a screen: asks the page for all that a browser asks for, and draws nothing.

For measuring what looking on costs a robot: real browsers run on other machines, so this one takes
only what nobody else wants of the processor. `python -m gaze_robot.viewer.onlooker ADDRESS` waits
for the page, says 'looking' with its first picture, and at SIGTERM, as JSON, what it got.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from typing import Any
import uuid

import aiohttp
import socketio


class Onlooker:
    """Follows one page."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip('/')
        self._wanted: dict[str, str] = {}
        self._fetching: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.pictures, self.bytes, self.updates = 0, 0, 0
        self.first_s: float | None = None

    async def look(self, until: asyncio.Event) -> dict[str, Any]:
        """Follow the page until then; returns what came."""
        async with aiohttp.ClientSession() as session:
            self._session = session
            client = socketio.AsyncClient()
            client.on('update', self._on_update)
            while not client.connected:
                await self._connect(client)
            await until.wait()
            await client.disconnect()
        spent_s = time.monotonic() - (self.first_s or time.monotonic())
        return {'pictures': self.pictures, 'bytes': self.bytes, 'updates': self.updates,
                'pictures_per_s': round(self.pictures / spent_s, 2) if spent_s > 0 else 0.0}

    async def _connect(self, client: socketio.AsyncClient) -> None:
        """Open the page as a browser does; a page that waits too long for it is let go."""
        names = re.search(r'client_id["\']?\s*:\s*["\']([0-9a-f-]+)', await self._page())
        if names is None:
            raise RuntimeError('this page is none of ours: it names no client')
        query = (f'client_id={names[1]}&tab_id={uuid.uuid4()}&document_id={uuid.uuid4()}'
                 '&next_message_id=0&implicit_handshake=true')
        with contextlib.suppress(socketio.exceptions.ConnectionError):
            await client.connect(f'{self._address}?{query}', transports=['websocket'],
                                 socketio_path='/_nicegui_ws/socket.io')

    async def _page(self) -> str:
        """The page's text, as soon as somebody serves it."""
        while True:
            try:
                async with self._session.get(f'{self._address}/?scene=false') as answer:
                    return await answer.text()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.2)

    def _on_update(self, changed: dict[str, Any]) -> None:
        self.updates += 1
        for name, element in changed.items():
            source = (element or {}).get('props', {}).get('src', '') \
                if isinstance(element, dict) else ''
            if isinstance(source, str) and source.startswith('/picture/'):
                self._wanted[name] = source
                if name not in self._fetching:
                    self._fetching.add(name)
                    task = asyncio.create_task(self._fetch(name))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _fetch(self, name: str) -> None:
        """Get the newest picture of an element; what came meanwhile replaces what waits."""
        try:
            while name in self._wanted:
                async with self._session.get(self._address + self._wanted.pop(name)) as answer:
                    self.bytes += len(await answer.read())
                self.pictures += 1
                if self.first_s is None:
                    self.first_s = time.monotonic()
                    sys.stdout.write('looking\n')
                    sys.stdout.flush()
        except aiohttp.ClientError:         # the page is gone: so is who looked
            self._wanted.clear()
        finally:
            self._fetching.discard(name)


async def _look(address: str) -> dict[str, Any]:
    until = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, until.set)
    return await Onlooker(address).look(until)


def main() -> int:
    """Look on until SIGTERM."""
    os.nice(19)
    sys.stdout.write(json.dumps(asyncio.run(_look(sys.argv[1]))) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
