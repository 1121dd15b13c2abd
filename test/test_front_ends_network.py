"""Every front end through torch, the heads, checkpoints, the pipeline and training."""

import dataclasses
import json
import math

import cv2
import numpy as np
import pytest
import torch

from gaze_robot.camera import CameraModel
from gaze_robot.checkpoint import load_policy, make_policy, META, save_policy
from gaze_robot.encoder import Cutter, EncoderConfig, TokenLayout
from gaze_robot.errors import CheckpointError, ConfigError, WorldError
from gaze_robot.foveation import (
    FoveationPattern,
    FrontEnd,
    LogPolarFrontEnd,
    PyramidFrontEnd,
    RingsFrontEnd,
)
from gaze_robot.gaze_target.evidence import CELLS
from gaze_robot.gaze_target.search import cell_points, SearchHead
from gaze_robot.perception import PerceptionNetwork
from gaze_robot.pipeline import GazePipeline
from gaze_robot.types import Exemplar, Frame, PanTiltState
from gaze_robot_sim.envs.seeing import SeeingBatch
from gaze_robot_sim.scenes.procedural import ProceduralWorld
from gaze_robot_sim.scenes.rooms import make_room
from gaze_robot_sim.training.encoder import EncoderTrainer, train_encoder, TrainEncoderConfig
from gaze_robot_sim.training.glances import Glances, open_pictures
from gaze_robot_sim.training.origin import origin
from gaze_robot_sim.training.search import train_search, TrainSearchConfig

PATTERN = FoveationPattern((20.0, 45.0, 90.0), (16, 16, 32), (8, 8, 16))
UNIFORM = FoveationPattern((90.0,), (320,), (8,))
ENCODER = EncoderConfig(16, 1, 2, 2, 8)
EYES = {'pyramid': PyramidFrontEnd(PATTERN),
        'rings': RingsFrontEnd(90.0, (1, 2, 4), (4, 4, 4), 8),
        'log_polar': LogPolarFrontEnd(PATTERN, 3, 6),
        'uniform': PyramidFrontEnd(UNIFORM)}
each_eye = pytest.mark.parametrize('eye', EYES.values(), ids=EYES)

# Python 3.12 warns of any fork beside threads; the loader's child only makes pictures.
pytestmark = pytest.mark.filterwarnings('ignore:.*multi-threaded, use of fork:DeprecationWarning')


@pytest.fixture(scope='module', autouse=True)
def as_many_threads_as_before():
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(threads)
    cv2.setNumThreads(cv_threads)


def views(eye, count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
            for side in eye.pattern.window]


def network_of(eye, seed=0):
    torch.manual_seed(seed)
    return PerceptionNetwork(eye, dataclasses.replace(ENCODER, patch=eye.token_side)).eval()


# --- tokens


@pytest.mark.parametrize('count', [1, 3, 9])
@pytest.mark.parametrize('eye', [*EYES.values(), RingsFrontEnd(), LogPolarFrontEnd()],
                         ids=[*EYES, 'default rings', 'default log_polar'])
def test_torch_cuts_the_same_patches(eye, count):
    """Bit for bit: sums of whole numbers and of exact weights do not depend on their order."""
    levels = views(eye, count, seed=count)
    patches = Cutter(eye)([torch.from_numpy(level) for level in levels])
    expected = eye.patches(levels).reshape(count, eye.tokens, -1) / np.float32(127.5) - 1
    assert patches.dtype == torch.float32
    np.testing.assert_array_equal(patches.numpy(), expected)


def test_cutting_has_no_weights():
    for eye in EYES.values():
        assert not Cutter(eye).state_dict()


def test_front_ends_without_torch_code_are_refused():
    class Custom(PyramidFrontEnd):
        pass

    class Other(FrontEnd):
        name = 'other'
        patches = locate = lambda self, *_: None

    Cutter(Custom(PATTERN))
    with pytest.raises(ConfigError, match='Other has no torch code'):
        Cutter(Other())


@each_eye
def test_tokens_and_heatmaps_have_their_shapes(eye):
    network = network_of(eye)
    levels = [torch.from_numpy(level) for level in views(eye, 2)]
    count = eye.pattern.levels
    out = network(levels, torch.zeros(2, 64, 16), torch.zeros(2, count, CELLS, CELLS),
                  torch.ones(2, count, CELLS, CELLS, dtype=torch.bool), torch.zeros(2, count))
    assert out['tokens'].shape == (2, eye.tokens, 16)
    assert out['search'].shape == (2, count, CELLS ** 2 + 1)
    np.testing.assert_allclose(out['search'].detach().exp().sum(dim=2).numpy(), 1, atol=1e-5)
    layout = TokenLayout.of(eye)
    assert layout.position_rad.shape == (eye.tokens, 2)


# --- from tokens to cells


@each_eye
def test_cells_ask_the_tokens_that_show_them(eye):
    """By geometry: each point's part of a token lies within a part's width of the point."""
    parts = 4
    points = cell_points(eye, parts).reshape(9, eye.pattern.levels, CELLS, CELLS)
    assert points.min() >= 0
    assert points.max() < eye.tokens * parts ** 2
    for level in range(eye.pattern.levels):
        half = eye.pattern.half_tangent(level)
        steps = ((np.arange(CELLS) + 0.5) / CELLS * 2 - 1) * half
        token, row, column = eye.locate(*np.meshgrid(steps, steps))
        side, shown = eye.token_side, token >= 0
        expected = (token * parts + row * parts // side) * parts + column * parts // side
        np.testing.assert_array_equal(points[4, level][shown], expected[shown])   # the middle one
        np.testing.assert_array_equal(
            eye.cell_tokens(level, CELLS)[shown], points[4, level][shown] // parts ** 2)


@pytest.mark.parametrize('eye', [EYES['rings'], EYES['log_polar'], EYES['uniform']],
                         ids=lambda eye: eye.name)
def test_a_token_speaks_for_its_own_cells_only(eye):
    head = SearchHead(16, eye)
    tokens = torch.randn(1, eye.tokens, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = head._cells(tokens)
        assert before.shape == (1, eye.pattern.levels, 8, CELLS, CELLS)
        for token in np.random.default_rng(0).integers(eye.tokens, size=5):
            changed = tokens.clone()
            changed[0, token] += 3.0
            cells = (head._cells(changed) != before).any(dim=2)[0].numpy()
            own = np.stack([(points // head.subdivision ** 2 == token).any(axis=0) for points in
                            head.get_buffer('points').numpy().reshape(
                                9, -1, CELLS, CELLS).transpose(1, 0, 2, 3)])
            np.testing.assert_array_equal(cells, own)
            assert cells.any()


def test_a_pyramid_that_divides_the_cells_has_the_weights_it_always_had():
    names = set(SearchHead(16, PyramidFrontEnd(PATTERN)).state_dict())
    for eye in EYES.values():
        assert set(SearchHead(16, eye).state_dict()) == names
    assert SearchHead(16, PyramidFrontEnd(PATTERN)).tokens_across == (2, 2, 2)
    assert SearchHead(16, EYES['uniform']).tokens_across == ()
    assert SearchHead(16, EYES['uniform']).subdivision == 1


# --- checkpoints


@each_eye
def test_checkpoints_keep_the_front_end(eye, tmp_path):
    torch.manual_seed(0)
    policy = make_policy(eye, dataclasses.replace(ENCODER, patch=eye.token_side))
    save_policy(tmp_path, policy)
    meta = json.loads((tmp_path / META).read_text())
    assert meta['front_end'] == {'name': eye.name, 'config': json.loads(json.dumps(eye.config))}
    loaded = load_policy(tmp_path).perception
    assert type(loaded.front_end) is type(eye)
    assert loaded.front_end.config == eye.config
    assert loaded.pattern == eye.pattern
    levels = [torch.from_numpy(level) for level in views(eye, 1)]
    with torch.inference_mode():
        torch.testing.assert_close(loaded.encode(levels), policy.perception.encode(levels))


# --- the robot and its training


@each_eye
def test_pipeline_decides_with_every_front_end(eye):
    camera = CameraModel.from_hfov(160, 120, math.pi / 2)
    torch.manual_seed(0)
    made = GazePipeline(make_policy(eye, dataclasses.replace(ENCODER, patch=eye.token_side)))
    made.warm_up()
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    made.look_for(Exemplar(image[40:64, 60:84].copy(), math.radians(9)))
    for step in range(3):
        result = made.step(Frame(image, step / 30, camera),
                           PanTiltState(0.0, 0.0, stamp_s=step / 30))
        assert np.isfinite(dataclasses.astuple(result.command)).all()
        assert len(result.heatmaps) == eye.pattern.levels
    assert result.mode != 'idle'


@each_eye
def test_seeing_eyes_observe_its_tokens(eye):
    batch = SeeingBatch(2, [ProceduralWorld(1)], network_of(eye), seed=3)
    batch.start(np.arange(2))
    seen = batch.observe(np.arange(2))
    assert seen['tokens'].shape == (2, eye.tokens, 16)
    assert batch.observation_space['tokens'].shape == (eye.tokens, 16)


def tiny(out, **changes):
    return dataclasses.replace(TrainEncoderConfig(samples=8, batch=4, seed=4, out=str(out),
                                                  exam=2), **changes)


@pytest.mark.parametrize('name', ['rings', 'log_polar'])
def test_training_ends_saves_and_loads(name, tmp_path, panoramas):
    scores = train_encoder(tiny(tmp_path, front_end=name, pictures=str(panoramas)))
    assert math.isfinite(scores['loss/unseen'])
    assert scores['pictures'] == 2
    policy = load_policy(tmp_path)
    assert policy.perception.front_end.name == name
    assert policy.meta['config']['front_end'] == name
    assert str(panoramas) not in json.dumps(policy.meta)


def test_runs_are_not_resumed_with_another_front_end(tmp_path):
    """Their weights have the same shapes."""
    EncoderTrainer(tiny(tmp_path), EYES['log_polar'], ENCODER).run()
    assert EncoderTrainer(tiny(tmp_path, resume=True), EYES['log_polar'], ENCODER).step == 2
    with pytest.raises(CheckpointError, match='of another network'):
        EncoderTrainer(tiny(tmp_path, resume=True), LogPolarFrontEnd(PATTERN, 3, 5), ENCODER)


def test_searches_are_not_resumed_with_another_front_end(tmp_path):
    torch.manual_seed(0)
    save_policy(tmp_path / 'encoder' / 'policy', make_policy(EYES['log_polar'], ENCODER))
    with pytest.raises(CheckpointError, match='begun with --front-end log_polar; resume it with'):
        train_search(TrainSearchConfig(str(tmp_path), resume=True, front_end='rings'))


# --- the user's own pictures


@pytest.fixture(scope='module')
def panoramas(tmp_path_factory):
    """A folder of two small panoramas."""
    folder = tmp_path_factory.mktemp('panoramas')
    for seed in (1, 2):
        image = cv2.resize(make_room(np.random.default_rng(seed)).image, (512, 256))
        cv2.imwrite(str(folder / f'{seed}.png'), image[..., ::-1])
    return folder


def test_pictures_join_the_rooms(panoramas):
    world = open_pictures(str(panoramas))
    originals = [world.scene(index).panorama().image for index in range(2)]
    known = [image.tobytes() for image in originals] + [
        np.ascontiguousarray(image[:, ::-1]).tobytes() for image in originals]
    glances = Glances(PATTERN, 1, pictures=world, share=0.5)
    rng = np.random.default_rng(0)
    shown = [known.index(glances._picture(rng, world).image.tobytes()) for _ in range(24)]
    assert set(shown) == {0, 1, 2, 3}                        # both, as they are and mirrored
    widths = [glances._room(rng)[0].width for _ in range(16)]
    assert 3 <= widths.count(512) <= 13
    assert set(widths) == {512, 1024}


def test_share_of_pictures_can_be_none_or_all(panoramas):
    world = open_pictures(str(panoramas))
    rng = np.random.default_rng(0)
    widths = {share: {Glances(PATTERN, 1, pictures=world, share=share)._room(rng)[0].width
                      for _ in range(6)} for share in (0.0, 1.0)}
    assert widths == {0.0: {1024}, 1.0: {512}}
    with pytest.raises(ConfigError, match='0 to 1; got 1.5'):
        Glances(PATTERN, 1, pictures=world, share=1.5)


def test_same_seed_gives_the_same_stream(panoramas):
    world = open_pictures(str(panoramas))
    streams = [iter(Glances(PATTERN, seed, rooms=2, uses=3, pictures=world)) for seed in (5, 5, 6)]
    differs = False
    for _ in range(7):
        one, two, other = (next(stream) for stream in streams)
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])
        differs |= not np.array_equal(one['level0'], other['level0'])
    assert differs


def test_wide_pictures_are_made_smaller(tmp_path):
    image = np.zeros((2200, 4400, 3), np.uint8)
    image[:, :2200] = 255
    cv2.imwrite(str(tmp_path / 'wide.png'), image)
    glances = Glances(PATTERN, 1, pictures=open_pictures(str(tmp_path)), share=1.0)
    shown = glances._room(np.random.default_rng(0))[0].image
    assert shown.shape == (2048, 4096, 3)
    assert shown.mean() == pytest.approx(127.5, abs=0.1)


@pytest.mark.parametrize('content, reason', [
    (None, 'there is no world'), ({}, 'holds no picture'),
    ({'flat.png': np.zeros((100, 300, 3), np.uint8)}, r'flat.png: a full panorama is twice'),
    ({'ok.png': np.zeros((64, 128, 3), np.uint8), 'zz.jpg': b'text'}, 'zz.jpg is not a picture')],
    ids=['no folder', 'empty', 'not a panorama', 'damaged'])
def test_folders_that_cannot_be_used_are_told_before_training(tmp_path, content, reason):
    folder = tmp_path / 'pictures'
    if content is not None:
        folder.mkdir()
        for name, what in content.items():
            if isinstance(what, bytes):
                (folder / name).write_bytes(what)
            else:
                cv2.imwrite(str(folder / name), what)
    with pytest.raises(WorldError, match=reason):
        EncoderTrainer(tiny(tmp_path / 'run', pictures=str(folder)), PATTERN, ENCODER)


def test_made_up_rooms_are_not_pictures_of_ones_own():
    with pytest.raises(WorldError, match='made-up rooms are there anyway'):
        open_pictures('procedural')


def test_origin_names_the_front_end_but_no_folder():
    said = origin('train search', TrainSearchConfig(front_end='rings', pictures='/home/me/secret',
                                                    seed=3))
    assert said['config']['front_end'] == 'rings'
    assert said['command'] == (
        'gaze-robot train search --seed 3 --front-end rings --pictures PICTURES')
    assert 'secret' not in json.dumps(said)
