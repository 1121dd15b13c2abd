"""Reads a pickle of plain values and numpy arrays; anything else in it is refused, not run."""

from pathlib import Path
import pickle
from typing import Any

from gaze_robot.errors import DemoError

_ALLOWED = {
    ('numpy', 'ndarray'), ('numpy', 'dtype'),
    ('numpy.core.multiarray', '_reconstruct'), ('numpy._core.multiarray', '_reconstruct'),
    ('numpy.core.multiarray', 'scalar'), ('numpy._core.multiarray', 'scalar'),
    ('_codecs', 'encode')}


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'it asks for {module}.{name}, which is no plain value')
        return super().find_class(module, name)


def read_pickle(path: Path) -> Any:
    """What a file holds: numbers, texts, lists, dictionaries, arrays.

    Raises:
        DemoError: it is damaged, or holds anything that would have to be executed.
    """
    try:
        with path.open('rb') as file:
            return _Plain(file, encoding='latin1').load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ValueError, IndexError, TypeError,
            ImportError, OSError) as error:
        raise DemoError(f'{path} is not read: {" ".join(str(error).split())[:200]}') from error
