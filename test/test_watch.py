"""Watching: frames show the truth, windows open and close, films can be read again."""

import math
import pickle
from types import SimpleNamespace
import warnings

import cv2
import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest

from gaze_robot import cli
from gaze_robot.draw import TARGET_COLOUR
from gaze_robot.errors import CommandError, ConfigError, MissingDependencyError, WorldError
from gaze_robot.film import Video
from gaze_robot.foveation import FoveationPattern
from gaze_robot.geometry import direction_from_pan_tilt
from gaze_robot.types import Exemplar
from gaze_robot_sim import dashboard, show, watch
from gaze_robot_sim.dashboard import Dashboard
from gaze_robot_sim.envs import TASKS
from gaze_robot_sim.envs.search import SearchBatch, SearchConfig, SearchEnv, SearchVectorEnv
from gaze_robot_sim.oracles import Oracle
from gaze_robot_sim.render import Panorama
from gaze_robot_sim.scenes.base import SearchTarget

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
SHORT = SearchConfig(episode_s=0.2)                     # six steps
AROUND = (48, 476, 12, 868)
"""Top, bottom, left and right of the panorama in a frame."""


class GreyWorld:
    """Nothing but grey, so that what is drawn on it stands out; targets anywhere."""

    name, count, duration_s = 'grey', None, 0.0

    def __init__(self):
        self._panorama = Panorama(np.full((128, 256, 3), 90, np.uint8))

    def scene(self, index):
        return self

    def panorama(self, t_s=0.0):
        return self._panorama

    def sample_target(self, rng, t_s=0.0):
        picture = rng.integers(0, 90, (32, 32, 3), dtype=np.uint8)
        return SearchTarget(direction_from_pan_tilt(rng.uniform(-3.1, 3.1), rng.uniform(-1, 1)),
                            0.2, Exemplar(picture, 0.2), 'it')

    def sprites(self, t_s=0.0):
        return ()

    def close(self):
        pass


def env_of(config=SHORT, **options):
    return SearchEnv(GreyWorld(), PATTERN, config, **options)


@pytest.fixture
def screen(monkeypatch):
    """A screen that nobody sees."""
    pygame = show._pygame()
    monkeypatch.setenv('SDL_VIDEODRIVER', 'dummy')
    yield pygame
    pygame.display.quit()


# --- frames


def test_frames_have_one_shape_and_leave_the_environment_as_it_was():
    watched, plain = env_of(render_mode='rgb_array'), env_of()
    for env in (watched, plain):
        env.reset(seed=3)
    for step in range(14):
        frame = watched.render()
        assert frame.shape == (720, 1280, 3)
        assert frame.dtype == np.uint8
        one, other = watched.step(step), plain.step(step)
        for name in one[0]:
            np.testing.assert_array_equal(one[0][name], other[0][name])
        assert one[1:] == other[1:]
        if one[3]:
            watched.reset()
            plain.reset()


def test_the_target_is_marked_where_it_truly_is():
    env = env_of(render_mode='rgb_array')
    top, bottom, left, right = AROUND
    for seed in range(12):
        env.reset(seed=seed)
        around = env.render()[top:bottom, left:right]
        rows, columns = np.nonzero((around == TARGET_COLOUR).all(axis=-1))
        x, y, z = env.batch.aim[0]
        row = (0.5 - math.asin(z) / math.pi) * (bottom - top)
        column = (0.5 - math.atan2(y, x) / (2 * math.pi)) * (right - left)
        wide = right - left
        away = (columns + 0.5 - column + wide / 2) % wide - wide / 2    # the short way round
        assert abs(away.mean()) < 1.5
        assert abs(rows.mean() + 0.5 - row) < 1.5


def test_nothing_is_marked_while_there_is_no_target():
    env = env_of(render_mode='rgb_array')
    env.reset(seed=1)
    top, bottom, left, right = AROUND
    env.batch.present[0] = False
    around = env.render()[top:bottom, left:right]
    assert not (around == TARGET_COLOUR).all(axis=-1).any()


def test_frames_say_what_is_going_on(monkeypatch):
    said = []
    write = dashboard.write
    monkeypatch.setattr(dashboard, 'write',
                        lambda out, text, *rest: said.append(text) or write(out, text, *rest))
    env = env_of(SearchConfig(episode_s=0.2, pause_steps=2), render_mode='rgb_array')
    _, info = env.reset(seed=1)
    for step in range(4):
        said.clear()
        env.render()
        assert f'step {step} of 8' in ' '.join(said)
        assert f'error {math.degrees(info["error_rad"]):.1f} deg' in said
        assert ('WORLD PAUSED' in said) == (step < 2)
        assert 'what to look for' in said
        assert set(SHORT.rewards) <= set(said)
        if step:
            assert f'{info["reward/near"]:+.3f}' in said
        *_, info = env.step(1)


def test_an_episode_begins_with_empty_plots():
    env = env_of(render_mode='rgb_array')
    env.reset(seed=5)
    first = env.render()
    for _ in range(3):
        env.step(3)
    assert (env.render() != first).any()
    env.reset(seed=5)
    np.testing.assert_array_equal(env.render(), first)


def test_frames_without_rewards_or_with_many_levels():
    pattern = FoveationPattern((5.0, 10.0, 20.0, 45.0, 90.0), (16,) * 5, 8)
    env = SearchEnv(GreyWorld(), pattern, render_mode='rgb_array', rewards={})
    env.reset(seed=0)
    env.step(0)
    assert env.render().shape == (720, 1280, 3)


def test_nothing_is_drawn_without_a_render_mode(monkeypatch):
    monkeypatch.setattr(Dashboard, '__init__', lambda *_, **__: pytest.fail('drew something'))
    env = env_of()
    env.reset(seed=0)
    env.step(0)
    with pytest.warns(UserWarning, match='without a render mode'):
        assert env.render() is None


def test_wrong_modes_moments_and_sizes_are_refused():
    with pytest.raises(ConfigError, match="no such render mode: 'ansi'; known: None, human"):
        env_of(render_mode='ansi')
    with pytest.raises(CommandError, match='reset'):
        env_of(render_mode='rgb_array').render()
    with pytest.raises(ConfigError, match='between 800 and 3840'):
        Dashboard(SearchBatch(1, [GreyWorld()]), width=100)


def test_every_eye_of_many_is_shown_as_it_would_be_alone():
    many = SearchVectorEnv(3, GreyWorld(), PATTERN, SHORT, render_mode='rgb_array')
    alone = env_of(render_mode='rgb_array')
    many.reset(seed=4)
    alone.reset(seed=5)                                 # eye 1 gets seed + 1
    for step in range(8):                               # across the end of the episode
        frames = many.render()
        assert isinstance(frames, tuple)
        assert len(frames) == 3
        np.testing.assert_array_equal(frames[1], alone.render())
        many.step(np.array([0, step, 3]))
        if alone.step(step)[3]:
            alone.reset()


@pytest.mark.parametrize('task', TASKS)
def test_gymnasium_finds_nothing_to_complain_about(task, screen):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        env = gymnasium.make(f'gaze_robot/{task}-v0', world=GreyWorld(), pattern=PATTERN,
                             render_mode='rgb_array', rate_hz=100)
        assert env.metadata['render_fps'] == 100
        env.reset(seed=0)
        env.step(env.action_space.sample())
        env.render()                                    # through the passive checker
        check_env(env.unwrapped, skip_render_check=False)
        env.close()


# --- windows


def test_a_window_shows_every_step_and_closes(screen):
    env = env_of(SearchConfig(rate_hz=500.0), render_mode='human')
    env.reset(seed=2)
    for action in (1, 5):
        env.step(action)
        assert env.render() is None
        shown = screen.surfarray.array3d(screen.display.get_surface()).swapaxes(0, 1)
        np.testing.assert_array_equal(shown, env._show._boards[0].frame())
    env.close()
    assert not screen.display.get_init()
    env.close()


def test_a_window_waits_for_the_rate_of_the_environment(screen, monkeypatch):
    waited = []
    monkeypatch.setattr(screen.time, 'Clock', lambda: SimpleNamespace(tick=waited.append))
    env = env_of(SearchConfig(rate_hz=12.0), render_mode='human')
    assert env.metadata['render_fps'] == 12
    env.reset(seed=0)
    env.step(0)
    assert waited == [12.0, 12.0]
    env.close()


def test_watched_environments_can_be_copied_and_pickled():
    for mode in ('rgb_array', 'human'):
        env = env_of(render_mode=mode)
        assert pickle.loads(pickle.dumps(env)).render_mode == mode  # noqa: S301


def test_a_closed_window_stays_closed_and_the_episode_goes_on(screen):
    env = env_of(SearchConfig(rate_hz=500.0), render_mode='human')
    env.reset(seed=2)
    screen.event.post(screen.event.Event(screen.QUIT))
    for _ in range(3):
        env.step(0)
    assert not screen.display.get_init()
    assert env.batch.steps[0] == 3


def test_windows_need_pygame_and_a_screen(monkeypatch):
    env = env_of(render_mode='human')
    monkeypatch.setenv('SDL_VIDEODRIVER', 'nonsense')
    with pytest.raises(ConfigError, match="render_mode='rgb_array'"):
        env.reset(seed=0)
    monkeypatch.setitem(__import__('sys').modules, 'pygame', None)
    with pytest.raises(MissingDependencyError, match='pygame is needed'):
        env_of(render_mode='human')


# --- films


def frames_of(path):
    film, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = film.read()
        if not there:
            film.release()
            return [cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames]
        frames.append(frame)


@pytest.mark.parametrize('name', ['new/film.mp4', 'film.webm'])
def test_a_video_comes_back_as_it_was_written(tmp_path, name):
    pictures = [np.full((90, 160, 3), (200, 20 * i, 30), np.uint8) for i in range(9)]
    video = Video(str(tmp_path / name), 30, (160, 90))
    for picture in pictures:
        video.add(picture)
    video.close()
    assert video.frames == 9
    back = frames_of(tmp_path / name)
    assert len(back) == 9
    for one, other in zip(pictures, back):
        np.testing.assert_allclose(other.mean(axis=(0, 1)), one[0, 0], atol=8)


def test_videos_that_cannot_be_written_say_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r'opencv-python-headless.*\.gif'):
        Video(str(tmp_path / 'film.mp4'), 30, (160, 90), codecs=('none',))
    with pytest.raises(ConfigError, match=r'\.mp4, \.webm'):
        Video(str(tmp_path / 'film.avi'), 30, (160, 90))
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='cannot be written'):
        Video(str(tmp_path / 'file' / 'film.mp4'), 30, (160, 90))
    video = Video(str(tmp_path / 'film.mp4'), 30, (160, 90))
    with pytest.raises(ValueError, match='160'):
        video.add(np.zeros((80, 160, 3), np.uint8))
    video.close()


def test_the_figures_of_a_film_are_those_of_its_episodes():
    batch = SearchBatch(1, [GreyWorld()], PATTERN, SHORT)
    frames = []
    figures = watch.play(batch, Oracle(), Dashboard(batch, width=800), frames.append, 2, seed=8)
    env, total, errors = env_of(), 0.0, []
    env.reset(seed=8)
    player = Oracle()
    for _ in range(12):
        action = player({}, env.batch)
        _, value, _, over, info = env.step(action[0])
        total += value
        errors.append(math.degrees(info['error_rad']))
        if over:
            env.reset()
    assert figures['steps'] == 12
    assert figures['return'] == pytest.approx(total / 2)
    assert sum(figures['reward'].values()) == pytest.approx(total / 2)
    assert figures['mean_error_deg'] == pytest.approx(np.mean(errors))
    assert len(frames) == 2 * (1 + 6 + 15)
    assert {frame.shape for frame in frames} == {(450, 800, 3)}


def test_the_command_writes_a_film(tmp_path, capsys):
    path = tmp_path / 'search.webm'
    assert cli.main(['sim', 'watch', 'Search-v0', '--policy', 'stay', '--episodes', '1',
                     '--size', '800', '--every', '3', '--out', str(path)]) == 0
    said = {line.split()[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines()}
    assert said['frames'] == '36'               # a third of 90 steps, the start, half a second
    assert said['steps'] == '90'
    assert said['path'].startswith(str(path)[:10])
    back = frames_of(path)
    assert len(back) == 36
    assert back[0].shape == (450, 800, 3)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(10)


def test_a_gif_is_thinned(tmp_path):
    from PIL import Image
    film = watch.Gif(str(tmp_path / 'film.gif'), fps=30)
    for value in range(60):
        film.add(np.full((40, 60, 3), 4 * value, np.uint8))
    film.close()
    with Image.open(tmp_path / 'film.gif') as gif:
        assert gif.n_frames == film.frames == 20


@pytest.mark.parametrize('policy', ['rule', 'learned'])
def test_policies_that_read_tokens_play_search(policy):
    batch, act = watch._cast(watch.WatchConfig(policy=policy))
    batch.start([0])
    action = act(batch.look(), batch)
    assert action.shape[0] == 1
    batch.step(action)
    assert Dashboard(batch, 0, 'Search-v0').frame().shape == (720, 1280, 3)
    batch.close()


@pytest.mark.parametrize('options, said', [
    (['Sarch-v0'], "no environment 'Sarch-v0'; did you mean 'Search-v0'? Known: Search-v0, Track"),
    (['--policy', 'oracel'], "no policy 'oracel'; did you mean 'oracle'? Known: oracle, random"),
    (['Track-v0', '--policy', 'learned'], 'learned can only do Search-v0'),
    (['--out', 'film.avi'], '.mp4, .webm or .gif'), (['--episodes', '0'], 'at least 1'),
    (['--seed', '-1'], 'seed must be 0 or more'),
    (['--dynamics', 'heavy'], 'heavy'), (['--world', 'nowhere'], 'nowhere')])
def test_the_command_refuses_what_it_does_not_know(options, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(['sim', 'watch', *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['film.webm', 'film.gif'])
@pytest.mark.parametrize('frames', [0, 2])
def test_a_failure_leaves_no_film_and_keeps_the_old_one(name, frames, tmp_path, monkeypatch):
    def fail(batch, act, board, film, *options):
        for _ in range(frames):
            film(np.zeros(board.shape, np.uint8))
        raise WorldError('the lamp went out')
    monkeypatch.setattr(watch, 'play', fail)
    path = tmp_path / 'new' / name
    config = watch.WatchConfig(policy='stay', size=800, out=str(path))
    with pytest.raises(WorldError, match='the lamp'):
        watch.watch(config)
    assert not list(path.parent.iterdir())
    path.write_bytes(b'an older film')
    with pytest.raises(WorldError, match='the lamp'):
        watch.watch(config)
    assert path.read_bytes() == b'an older film'
    assert list(path.parent.iterdir()) == [path]


def test_a_film_cannot_take_the_place_of_a_folder(tmp_path):
    (tmp_path / 'film.gif').mkdir()
    (tmp_path / 'file').touch()
    for out in ('film.gif', 'file/film.webm'):
        with pytest.raises(ConfigError, match=f'{out} cannot be written'):
            watch.watch(watch.WatchConfig(policy='stay', out=str(tmp_path / out)))


@pytest.mark.parametrize('name', ['Search-v0', 'gaze_robot/Search-v0', 'search', 'Search'])
def test_environments_have_several_names(name):
    assert watch.task_of(name) == 'Search'
