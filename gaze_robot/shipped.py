"""The hands and eyes that come with the package, by name."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / 'weights'
WORKSPACE = 'workspace:'
"""Before the name of a workspace in physics: of its world, and of the hand that ships for it."""


def shipped() -> dict[str, Path]:
    """Folders of what `model.path` takes by name: 'bcrl', 'workspace:press' ..."""
    return {'bcrl': WEIGHTS / 'bcrl',
            **{f'{WORKSPACE}{folder.parent.name}': folder
               for folder in sorted((WEIGHTS / 'workspace').glob('*/learned'))}}


def hand_of(world: object) -> str | None:
    """The name of the hand that ships for a simulated world; None: there is none."""
    name = str(world)
    return name if name.startswith(WORKSPACE) and name in shipped() else None
