"""Weights, checkpoints and exports from strangers: nothing in them is run."""

import pickle
import shutil

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='weights need torch')

from gaze_robot.checkpoint import load_policy, make_policy, save_policy  # noqa: E402
from gaze_robot.config import GazeConfig  # noqa: E402
from gaze_robot.encoder import EncoderConfig  # noqa: E402
from gaze_robot.errors import GazeRobotError  # noqa: E402
from gaze_robot.foveation import FoveationPattern  # noqa: E402
from gaze_robot.hand_eye import SHIPPED  # noqa: E402
from gaze_robot.loading import load_pipeline  # noqa: E402


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        import os
        return os.mkdir, (str(self.victim),)


def bombs(victim):
    """The same in the forms torch and numpy write."""
    import io
    zipped, array = io.BytesIO(), io.BytesIO()
    torch.save({'state': Bomb(victim)}, zipped)
    np.save(array, np.array([Bomb(victim)], dtype=object), allow_pickle=True)
    return {'pickle': pickle.dumps(Bomb(victim), 2), 'torch': zipped.getvalue(),
            'numpy': array.getvalue()}


@pytest.fixture
def victim(tmp_path):
    return tmp_path / 'victim'


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'checkpoint'
    save_policy(folder, make_policy(FoveationPattern(), EncoderConfig()))
    return folder


@pytest.mark.parametrize('form', ['pickle', 'torch', 'numpy'])
def test_the_bombs_are_live(victim, form):
    """Otherwise the tests below prove nothing."""
    import io
    data = bombs(victim)[form]
    if form == 'pickle':
        pickle.loads(data)                                              # noqa: S301
    elif form == 'torch':
        torch.load(io.BytesIO(data), weights_only=False)
    else:
        np.load(io.BytesIO(data), allow_pickle=True)
    assert victim.exists()


@pytest.mark.parametrize('form', ['pickle', 'torch', 'numpy'])
@pytest.mark.parametrize('name', ['weights.safetensors', 'meta.json'])
def test_a_checkpoint_runs_nothing(folder, victim, form, name):
    (folder / name).write_bytes(bombs(victim)[form])
    with pytest.raises(GazeRobotError):
        load_policy(folder)
    with pytest.raises(GazeRobotError):
        load_pipeline(GazeConfig(model_path=str(folder)))
    assert not victim.exists()


@pytest.mark.parametrize('form', ['pickle', 'torch', 'numpy'])
def test_hand_and_eye_run_nothing(tmp_path, victim, form):
    folder = tmp_path / 'bcrl'
    shutil.copytree(SHIPPED, folder)
    for path in folder.rglob('*.safetensors'):
        path.write_bytes(bombs(victim)[form])
    with pytest.raises(GazeRobotError):
        load_pipeline(GazeConfig(model_path=str(folder)))
    assert not victim.exists()


@pytest.mark.parametrize('form', ['pickle', 'torch', 'numpy'])
def test_published_decoders_in_torchs_own_format_run_nothing(tmp_path, victim, form):
    from gaze_robot.people import gazelle_model
    path = tmp_path / 'gazelle.pt'
    path.write_bytes(bombs(victim)[form])
    with pytest.raises(GazeRobotError):
        gazelle_model.load_decoder(path)
    assert not victim.exists()
