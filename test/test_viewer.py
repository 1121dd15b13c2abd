"""The viewer without a robot and without a browser: who may see it, what it says and draws."""

import asyncio
import math
import socket

import cv2
import numpy as np
import pytest

from gaze_robot.bringup import BringupConfig, parameters
from gaze_robot.camera import CameraModel
from gaze_robot.config import from_mapping, ViewerConfig
from gaze_robot.errors import CommandError, ConfigError, MissingDependencyError
from gaze_robot.geometry import panorama_direction
from gaze_robot.glance_note import GlanceNote, NotedTarget
from gaze_robot.viewer.address import address_of, bound_socket, exposure_warning, open_page
from gaze_robot.viewer.beside import viewer_beside
from gaze_robot.viewer.board import Board, Remark, Status
from gaze_robot.viewer.drawing import map_picture, mosaic_picture, seen, surrounding_picture
from gaze_robot.viewer.gallery import Gallery
from gaze_robot.viewer.gate import Gate
from gaze_robot.viewer.words import describe, reason

CAMERA = CameraModel.from_hfov(320, 240, math.pi / 2)


def note(**changes):
    values = {'stamp_s': 5.0, 'camera': CAMERA, 'pan_rad': 0.0, 'tilt_rad': 0.0, 'roll_rad': 0.0,
              'mode': 'search', 'on_target': False, 'boxes': ((144, 104, 32), (112, 72, 96))}
    return GlanceNote(**{**values, **changes})


# --- glances as text -----------------------------------------------------------------------------

def test_a_glance_survives_being_text():
    rng = np.random.default_rng(0)
    told = note(heatmaps=tuple(rng.random((2, 8, 8)).astype(np.float32)), command=(0.5, -0.25),
                target=NotedTarget((0.6, 0.8, 0.0), 'people', 0.75, False, (0.1, 0.2, 0.3, 0.4)),
                others=(NotedTarget((1.0, 0.0, 0.0), 'salience', 0.5),),
                stages_ms={'perceive': 1.25}, takes_words=True)
    read = GlanceNote.from_json(told.to_json())
    for name in ('stamp_s', 'camera', 'pan_rad', 'mode', 'boxes', 'command', 'target', 'others',
                 'stages_ms', 'takes_words'):
        assert getattr(read, name) == getattr(told, name), name
    for mine, theirs in zip(told.heatmaps, read.heatmaps):
        assert np.abs(mine - theirs).max() < 1e-4
    assert len(told.to_json()) < 4000


@pytest.mark.parametrize('text', ['', '[]', '{}', 'null', '{"stamp_s": 1}', 'no'])
def test_text_that_is_no_glance_is_refused(text):
    with pytest.raises(CommandError, match='not a glance'):
        GlanceNote.from_json(text)


def test_a_glance_of_another_version_is_refused():
    with pytest.raises(CommandError, match='not a glance'):
        GlanceNote.from_json(note().to_json().replace('"boxes"', '"squares"'))
    with pytest.raises(CommandError, match='finite'):
        note(pan_rad=math.nan)


# --- who may see it ------------------------------------------------------------------------------

async def inside(scope, receive, send):
    if scope['type'] == 'http':
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b'in'})
    else:
        await send({'type': 'websocket.accept'})


def ask(gate, kind='http', query='', **headers):
    """(status, headers) of a request, or what became of a websocket."""
    sent = []

    async def send(message):
        sent.append(message)
    scope = {'type': kind, 'path': '/', 'query_string': query.encode(), 'headers': [
        (name.encode(), value.encode()) for name, value in {'host': '127.0.0.1:8080',
                                                            **headers}.items()]}
    asyncio.run(gate(scope, None, send))
    if kind == 'websocket':
        return sent[0]['type'], {}
    return sent[0]['status'], dict(sent[0]['headers'])


def test_without_a_token_everybody_who_gets_here_may_see():
    assert ask(Gate(inside))[0] == 200
    assert ask(Gate(inside), 'websocket')[0] == 'websocket.accept'


def test_a_token_is_asked_for_and_then_remembered():
    gate = Gate(inside, 'secret1234')
    assert ask(gate)[0] == 401
    assert ask(gate, query='token=secret123')[0] == 401
    assert ask(gate, 'websocket')[0] == 'websocket.close'
    status, headers = ask(gate, query='token=secret1234')
    assert status == 303
    cookie = headers[b'set-cookie'].decode()
    assert 'HttpOnly' in cookie
    assert 'SameSite=Strict' in cookie
    kept = cookie.partition(';')[0]
    assert ask(gate, cookie=kept)[0] == 200
    assert ask(gate, 'websocket', cookie=kept)[0] == 'websocket.accept'
    assert ask(gate, cookie=kept + '5')[0] == 401
    assert ask(gate, cookie='gaze_robot_token=other')[0] == 401


@pytest.mark.parametrize('host, allowed', [
    ('localhost:8080', True), ('127.0.0.1', True), ('[::1]:80', True),
    ('evil.example', False), ('127.0.0.1.evil.example:8080', False), ('', False)])
def test_on_loopback_a_foreign_name_is_turned_away(host, allowed):
    assert (ask(Gate(inside, loopback_only=True), host=host)[0] == 200) == allowed


def test_a_foreign_page_cannot_connect():
    gate = Gate(inside)
    assert ask(gate, 'websocket', origin='http://127.0.0.1:8080')[0] == 'websocket.accept'
    assert ask(gate, 'websocket', origin='http://evil.example')[0] == 'websocket.close'


@pytest.mark.parametrize('host, loopback', [
    ('127.0.0.1', True), ('localhost', True), ('::1', True), ('127.0.0.5', True),
    ('0.0.0.0', False), ('::', False), ('192.168.1.4', False), ('robot.local', False)])
def test_whoever_opens_the_page_to_others_is_warned_and_offered_a_token(host, loopback):
    config = ViewerConfig(host=host)
    assert config.loopback == loopback
    warning = exposure_warning(config)
    assert (warning == '') == loopback
    if not loopback:
        assert 'no authentication' in warning
        offered = warning.partition('example to ')[2].split(',')[0]
        assert exposure_warning(ViewerConfig(host=host, token=offered)) == ''
        assert offered not in exposure_warning(config)          # never the same twice


@pytest.mark.parametrize('options', [{'token': 'short'}, {'token': 'has space 12'}, {'host': ''}])
def test_wrong_settings_are_refused(options):
    with pytest.raises(ConfigError):
        ViewerConfig(**options)


def test_a_port_that_is_taken_is_passed_over():
    with bound_socket('127.0.0.1', 23456) as first, bound_socket('127.0.0.1', 23456) as second:
        taken, other = first.getsockname()[1], second.getsockname()[1]
        assert taken < other <= taken + 9
        with socket.create_connection(('127.0.0.1', other), timeout=1):
            pass
    assert address_of(ViewerConfig(host='0.0.0.0'), 81) == 'http://127.0.0.1:81/'
    assert address_of(ViewerConfig(host='::'), 81) == 'http://[::1]:81/'
    assert address_of(ViewerConfig(token='abcd1234'), 81).endswith(':81/?token=abcd1234')
    with pytest.raises(ConfigError, match='choose another host or port'):
        bound_socket('203.0.113.7', 8080)


def test_the_page_is_opened_where_there_is_a_screen(monkeypatch):
    opened = []
    monkeypatch.setattr('webbrowser.open', lambda at: opened.append(at) or True)
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    assert not open_page('http://127.0.0.1:8080/')
    assert opened == []
    monkeypatch.setenv('WAYLAND_DISPLAY', 'wayland-0')
    assert open_page('http://127.0.0.1:8080/')
    assert opened == ['http://127.0.0.1:8080/']


def test_bringup_gives_the_page_the_head_and_the_camera_of_the_robot(tmp_path):
    given = tmp_path / 'robot.yaml'
    given.write_text('pan_tilt: {ros__parameters: {camera_mount: {xyz: [0.1, 0.0, 0.2]}}}')
    values = parameters(BringupConfig(viewer=True, viewer_port=8123, params_file=str(given),
                                      image_transport='compressed'))['viewer']
    config = from_mapping(ViewerConfig, values)
    assert (config.port, config.image_transport, config.open) == (8123, 'compressed', True)
    assert config.geometry.camera_xyz == (0.1, 0.0, 0.2)


def test_without_nicegui_the_page_is_refused_with_advice(monkeypatch):
    monkeypatch.setattr('gaze_robot.viewer.beside.available', lambda name: False)
    with pytest.raises(MissingDependencyError, match=r'nicegui.*\[viewer\]'):
        viewer_beside({}).__enter__()


# --- what it says --------------------------------------------------------------------------------

def looking_board(**values):
    board = Board()
    board.see(np.full((240, 320, 3), 90, np.uint8), 5.0, note())
    board.heard_s = {'gaze': 100.0, 'pan_tilt': 100.0, 'camera': 100.0}
    board.statuses = {'gaze': Status('ok', 'looking', {
        'in [Hz]': '30.00', 'out [Hz]': '29.60', 'image age at command p50 [ms]': '20.00',
        'image age at command p95 [ms]': '28.00', 'dropped: replaced': '3', **values}),
        'pan_tilt': Status('ok', 'ok', {'torque': 'on', 'commands refused': '0'})}
    return board


def worst(board, now_s=100.5):
    return describe(board, now_s)[0]


def test_a_healthy_robot_is_told_so():
    lines = describe(looking_board(), 100.5)
    assert {line.level for line in lines} == {'ok'}
    text = ' '.join(line.text for line in lines)
    for part in ('30 pictures and 30 commands', '20 ms old', '28 ms', '3 replaced'):
        assert part in text


def test_who_is_silent_is_missed_within_two_seconds_and_not_before_one():
    board = looking_board()
    assert worst(board, 101.0).level == 'ok'
    board.heard_s |= {'pan_tilt': 102.0, 'camera': 102.0}
    assert worst(board, 102.0).level == 'error'
    assert 'gaze_node' in worst(board, 102.0).text
    board.heard_s |= {'gaze': 102.0, 'camera': 100.0}
    assert 'No pictures' in worst(board, 102.0).text
    board.heard_s |= {'camera': 102.0, 'pan_tilt': 100.0}
    board.add('pose', 5.0, 0.0, 0.0)
    assert 'pan_tilt_node' in worst(board, 102.0).text
    assert 'not heard' not in ' '.join(
        line.text for line in describe(board, 200.0, live=False))


def test_what_is_wrong_comes_first():
    late = looking_board(**{'image age at command p95 [ms]': '140.00'})
    assert worst(late).level == 'warn'
    assert '140 ms' in worst(late).text
    stopped = looking_board()
    stopped.stopped = True
    assert 'run-stopped' in worst(stopped).text
    off = looking_board()
    off.statuses['pan_tilt'] = Status('warn', 'torque off; switch on with ~/torque_enable')
    assert 'torque off' in worst(off).text


def test_the_reason_for_a_movement_is_told():
    board = Board()
    assert 'nothing' in reason(board)
    left_and_down = (math.cos(0.5), math.sin(0.5), -0.2)
    board.see(np.zeros((240, 320, 3), np.uint8), 1.0, note(
        mode='pursue', target=NotedTarget(left_and_down, 'search', 0.83)))
    text = reason(board)
    for part in ('following', 'what it was shown', '29 degrees left', '11 down', '83%'):
        assert part in text, text


# --- what it remembers ---------------------------------------------------------------------------

def test_histories_end_and_a_clock_that_begins_anew_clears_them():
    board = Board()
    for second in range(100):
        board.add('pose', float(second), 0.01 * second, 0.0)
    times = [row[0] for row in board.history('pose')]
    assert times[0] >= 69.0
    assert times[-1] == 99.0
    board.add('pose', 3.0, 0.0, 0.0)
    assert board.history('pose') == [(3.0, 0.0, 0.0)]


def test_a_picture_can_be_asked_for_by_its_number_until_it_is_gone():
    board = Board()
    for k in range(60):
        board.see(np.full((4, 4, 3), k, np.uint8), float(k), None)
    newest = board.picture
    assert newest.image[0, 0, 0] == 59
    assert board.numbered(newest.number - 5).image[0, 0, 0] == 54
    assert board.numbered(newest.number - 50) is None
    board.remark(Remark(1.0, 'gaze', 'look out'))
    assert board.remarks()[0].text == 'look out'


# --- what it draws -------------------------------------------------------------------------------

def picture_of(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR),
                        cv2.COLOR_BGR2RGB)


def changed(before, after):
    return np.abs(before.astype(int) - after).sum(axis=2) > 30


def test_rings_target_head_and_gaze_ray_are_drawn_where_they_are():
    image = np.full((240, 320, 3), 90, np.uint8)
    to_the_left = (math.cos(0.4), math.sin(0.4), 0.0)
    person = NotedTarget(to_the_left, 'people', 0.7, True, (0.7, 0.1, 0.8, 0.3))
    board = Board()
    board.see(image, 5.0, note(target=NotedTarget((1.0, 0.0, 0.0), 'search', 0.9),
                               others=(person,)))
    drawn = changed(image, seen(board.picture))
    assert drawn[104, 150]                                      # the sharpest level's upper edge
    assert drawn[120, 160]                                      # straight ahead: the cross
    u = 160 - 160 * math.tan(0.4)
    assert drawn[112:129, round(u) - 11:round(u) + 12].sum() > 30       # where the person looks
    assert drawn[24:73, 223:226].any()                          # the head's left edge
    middle = (0.75 * 320 + u) / 2, (0.2 * 240 + 120) / 2
    assert drawn[round(middle[1]) - 3:round(middle[1]) + 4, round(middle[0])].any()    # its ray
    assert not drawn[200:, :100].any()
    assert np.array_equal(board.picture.image, image)


def test_the_mosaic_is_sharp_in_the_middle_and_coarse_around():
    sharp = np.zeros((64, 64, 3), np.uint8)
    sharp[::2] = 255                                            # lines only a sharp level can show
    coarse = np.full((64, 64, 3), 128, np.uint8)
    laid = mosaic_picture(np.concatenate([sharp, coarse]), note(), 300)
    assert laid.shape == (450, 300, 3)
    middle, around = laid[110:190, 120:180, 0], laid[20:80, 20:280, 0]
    assert middle.std() > 100
    assert around.std() < 5
    assert laid[330:420, 30:120, 0].std() > 60                  # and beside each other below


def test_the_map_shows_gaze_trail_and_truth_where_they_are():
    board = Board()
    plain = surrounding_picture(None, 720)
    place = (200, 150)
    direction = panorama_direction(place, 720, 360)
    board.truth = tuple(direction)
    board.add('pose', 1.0, -1.0, 0.2)
    drawn = changed(plain, map_picture(board, plain))
    assert drawn[150, 200]
    u, v = (0.5 + 1.0 / (2 * math.pi)) * 720, (0.5 + 0.2 / math.pi) * 360
    assert drawn[round(v) - 12:round(v) + 13, round(u) - 12:round(u) + 13].sum() > 40
    assert drawn.sum() < 600


def test_pictures_are_made_once_for_all_browsers():
    board, gallery = looking_board(), Gallery()
    number = board.picture.number
    first = gallery.picture(board, 'eye', number)
    assert gallery.picture(board, 'eye', number) is first
    assert changed(picture_of(first), picture_of(gallery.picture(board, 'camera', number))).any()
    assert gallery.picture(board, 'mosaic', 1) is None
    assert gallery.picture(Board(), 'eye', 1) is None
    board.panorama = (3, b'jpeg')
    assert gallery.picture(board, 'panorama', 3) == b'jpeg'
