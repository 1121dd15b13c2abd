"""What a policy with a hand can be asked to do, in words, and the numbers it is told instead.

G numbers of a task's embedding
"""

from collections.abc import Mapping, Sequence
import math

import numpy as np

from gaze_robot.errors import CheckpointError, CommandError

Tasks = Mapping[str, Sequence[float]] | Sequence[str]
"""Instructions and their embeddings (G,), of recorded demonstrations; or what each of G numbers
stands for, verb first: 'pick red', 'pick disc', 'place on blue'."""

_FILLERS = frozenset({'the', 'a', 'an', 'it', 'and', 'then'})


def embedding_of(text: str, tasks: Tasks) -> np.ndarray:
    """The embedding (G,) float32 of an instruction.

    Of recorded demonstrations it is one of theirs, word for word. Else verbs are followed by what
    they are about: 'pick the red disc and place it on the blue square' sets the numbers of 'pick
    red', 'pick disc', 'place on blue' and 'place on square' to 1.

    Raises:
        CommandError: it cannot be told; the text says what can.
    """
    if isinstance(tasks, Mapping):
        if text not in tasks:
            raise CommandError(f'this policy knows no task {text!r}; it knows {_some(tasks)}')
        return np.asarray(tasks[text], np.float32)
    numbers = {name: index for index, name in enumerate(tasks)}
    verbs = {name.rsplit(' ', 1)[0] for name in tasks}
    found = np.zeros(len(tasks), np.float32)
    verb = begun = ''
    for word in text.lower().replace(',', ' ').split():
        if word in _FILLERS:
            continue
        begun = f'{begun} {word}'.strip()
        if begun in verbs:
            verb, begun = begun, ''
        elif f'{verb} {word}' in numbers and begun == word:
            found[numbers[f'{verb} {word}']] = 1.0
            begun = ''
        elif not any(known.startswith(begun + ' ') for known in verbs):
            begun = word
            break
    if begun or not found.any():
        raise CommandError(f'this policy cannot be told {text!r}{f" ({begun}?)" if begun else ""};'
                           f' its tasks are made of {_some(tasks)}')
    return found


def check_tasks(tasks: object, numbers: int) -> None:
    """Refuse what `embedding_of` could not use with a hand that takes so many numbers.

    Raises:
        CheckpointError: it is neither G names nor embeddings of G finite numbers.
    """
    if isinstance(tasks, Mapping):
        good = all(isinstance(row, list) and len(row) == numbers and all(
            isinstance(value, (int, float)) and math.isfinite(value) for value in row)
            for row in tasks.values())
    else:
        good = isinstance(tasks, list) and len(tasks) in (0, numbers) and all(
            isinstance(name, str) for name in tasks)
    if not good:
        raise CheckpointError(f'tasks of the checkpoint are {numbers} names, or {numbers} finite '
                              'numbers for each instruction; it was changed')


def _some(names: Sequence[str] | Mapping[str, Sequence[float]]) -> str:
    shown = [repr(name) for name in list(names)[:4 if isinstance(names, Mapping) else 24]]
    more = f' and {len(names) - len(shown)} more' if len(names) > len(shown) else ''
    return (', '.join(shown) or 'none: it was trained without names') + more
