"""Where the page is, who can reach it, and what to say of that."""

import contextlib
import errno
import os
import secrets
import socket
import webbrowser

from gaze_robot.config import ViewerConfig
from gaze_robot.errors import ConfigError

PORTS_TRIED = 10


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening place at `port`, or at the next free one of ten.

    Raises:
        ConfigError: all are taken, or this machine has no such address.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    last = min(port + PORTS_TRIED, 65536) - 1
    for number in range(port, last + 1):
        place = socket.socket(family, socket.SOCK_STREAM)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((host, number))
            place.listen()
        except OSError as error:
            place.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f'cannot listen on {host}:{number} ({error.strerror}); '
                                  'choose another host or port') from error
        else:
            return place
    raise ConfigError(f'ports {port} to {last} of {host} are taken; choose another port')


def address_of(config: ViewerConfig, port: int) -> str:
    """What to type into a browser on this machine."""
    name = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(config.host, config.host)
    name = f'[{name}]' if ':' in name else name
    return f'http://{name}:{port}/' + (f'?token={config.token}' if config.token else '')


def offered_token() -> str:
    """A token nobody can guess."""
    return secrets.token_hex(12)


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
    """Open the page in the user's browser where there is a screen; whether that was done."""
    if not has_screen():
        return False
    with contextlib.suppress(webbrowser.Error):
        return webbrowser.open(address)
    return False
