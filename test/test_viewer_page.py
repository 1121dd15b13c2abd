"""The page in a real browser, with a simulated robot in processes of its own."""

from collections import deque
import contextlib
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

pytestmark = pytest.mark.ros

CHROMIUM = os.environ.get('GAZE_ROBOT_CHROMIUM') or next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
FLAGS = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync', '--use-angle=swiftshader',
         '--enable-unsafe-swiftshader']
HFOV_DEG, WIDTH, HEIGHT = 90.0, 480, 360
LOOK_S = 12.0
"""The robot's own time for a look is a second; other tests may have the processor meanwhile."""

EYE = 'section[aria-label="What the eye sees"] .gaze-picture'
LOOKING = re.compile('^The eye: (?!no pictures)')
LOOKING_THERE = re.compile(r'Looking (\d+) degrees right, (\d+) down')


def wait_for(condition, seconds, what=''):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f'not within {seconds} s: {what or condition}')


class Observer:
    """What the head really does, from its joint states: no part of the viewer."""

    def __init__(self):
        from geometry_msgs.msg import PointStamped
        import rclpy
        from sensor_msgs.msg import JointState
        from std_msgs.msg import Bool
        self.context = rclpy.Context()
        self.context.init()
        self.node = rclpy.create_node('observer', context=self.context)
        self.states = deque(maxlen=2000)
        self.target = self.on_target = None
        self.node.create_subscription(JointState, 'joint_states', self._joints, 50)
        self.node.create_subscription(PointStamped, 'world/target', self._target, 1)
        self.node.create_subscription(Bool, 'gaze/on_target', self._on, 1)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()

    def _spin(self):
        while not self.over.is_set():
            self.executor.spin_once(timeout_sec=0.1)

    def _joints(self, message):
        self.states.append((message.header.stamp.sec + message.header.stamp.nanosec * 1e-9,
                            *message.position, *message.velocity))

    def _target(self, message):
        self.target = np.array([message.point.x, message.point.y, message.point.z])

    def _on(self, message):
        self.on_target = message.data

    @property
    def pose(self):
        return self.states[-1][1:3]

    @property
    def gaze(self):
        return in_base(np.array([1.0, 0.0, 0.0]), *self.pose)

    def still(self, seconds=0.3):
        recent = [state for state in list(self.states)
                  if state[0] > self.states[-1][0] - seconds]
        return len(recent) > 10 and max(abs(v) for s in recent for v in s[3:]) < 0.02

    def close(self):
        self.over.set()
        self.thread.join()
        self.node.destroy_node()
        self.context.try_shutdown()


def in_base(ahead_left_up, pan, tilt):
    """A direction seen from the head, turned down by tilt about its left, then left by pan."""
    x, y, z = ahead_left_up
    x, z = math.cos(tilt) * x + math.sin(tilt) * z, math.cos(tilt) * z - math.sin(tilt) * x
    return np.array([math.cos(pan) * x - math.sin(pan) * y,
                     math.sin(pan) * x + math.cos(pan) * y, z])


def seen_at(x, y, pan, tilt):
    """The base direction of a place in the picture, in shares of it."""
    focal = WIDTH / 2 / math.tan(math.radians(HFOV_DEG / 2))
    ray = np.array([1.0, (0.5 - x) * WIDTH / focal, (0.5 - y) * HEIGHT / focal])
    return in_base(ray / np.linalg.norm(ray), pan, tilt)


def apart_deg(a, b):
    return math.degrees(math.acos(min(1.0, float(a @ b) / np.linalg.norm(a) / np.linalg.norm(b))))


def place_of(direction, pan, tilt):
    """The inverse of `seen_at`: shares of the picture, or None if it is not in view."""
    c, s = math.cos(-pan), math.sin(-pan)
    x, y, z = direction
    x, y = c * x - s * y, s * x + c * y
    x, z = math.cos(tilt) * x - math.sin(tilt) * z, math.cos(tilt) * z + math.sin(tilt) * x
    focal = WIDTH / 2 / math.tan(math.radians(HFOV_DEG / 2))
    if x <= 0:
        return None
    place = 0.5 - y / x * focal / WIDTH, 0.5 - z / x * focal / HEIGHT
    return place if all(0 < share < 1 for share in place) else None


class Robot:
    """gaze, pan_tilt, world and viewer, each a process."""

    def __init__(self, folder, root):
        self.folder, self.processes = folder, {}
        self.env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(
            [str(root), str(root / 'sim'), os.environ.get('PYTHONPATH', '')]),
            'FASTRTPS_DEFAULT_PROFILES_FILE': str(root / 'config' / 'fastdds.xml')}
        self.env.pop('PYTEST_CURRENT_TEST', None)
        with socket.socket() as place:
            place.bind(('127.0.0.1', 0))
            self.port = place.getsockname()[1]
        self.url = f'http://127.0.0.1:{self.port}/'
        self.start('pan_tilt')
        self.start('gaze', f'target_timeout:={LOOK_S}')
        self.start('world', f'width:={WIDTH}', f'height:={HEIGHT}', f'hfov_deg:={HFOV_DEG}',
                   'rate:=10.0', 'hold_s:=60.0', 'search_timeout_s:=3600.0', 'seed:=3')
        self.start('viewer', f'port:={self.port}', 'niceness:=0', 'picture_rate:=5.0',
                   f'recordings:={folder / "recordings"}')

    def start(self, name, *parameters):
        self.last = getattr(self, 'last', {})
        parameters = self.last.setdefault(name, parameters)
        package = 'gaze_robot_sim' if name == 'world' else 'gaze_robot.nodes'
        words = [word for parameter in parameters for word in ('-p', parameter)]
        with (self.folder / f'{name}.log').open('a') as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, '-m', f'{package}.{name}_node', '--ros-args', *words],
                env=self.env, stdout=log, stderr=log)

    def answers(self):
        try:
            return urllib.request.urlopen(self.url, timeout=1).status == 200
        except OSError:
            assert self.processes['viewer'].poll() is None, self.log('viewer')
            return False

    def log(self, name):
        return (self.folder / f'{name}.log').read_text()

    def close(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope='module')
def robot(browser, tmp_path_factory, root):
    """Not without a browser: its start is for nothing then."""
    pytest.importorskip('nicegui', reason='the page needs the extra viewer')
    pytest.importorskip('torch', reason='gaze_node needs torch')
    made = Robot(tmp_path_factory.mktemp('robot'), root)
    try:
        wait_for(made.answers, 40, 'the page')
        yield made
    finally:
        made.close()


@pytest.fixture(scope='module')
def observer(robot):
    made = Observer()
    wait_for(lambda: made.states and made.target is not None, 40, 'joint states and a target')
    yield made
    made.close()


@pytest.fixture(scope='module')
def browser():
    api = pytest.importorskip('playwright.sync_api', reason='needs playwright')
    if CHROMIUM is None:
        pytest.skip('needs a Chromium: apt install chromium, or set GAZE_ROBOT_CHROMIUM')
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def open_page(browser, robot):
    """Opens pages; after the test, none of them may have had an error."""
    pages, faults = [], []

    def make(width=1280, height=720, scene=False):
        """Without the scene, which takes a core where there is no GPU."""
        page = browser.new_page(viewport={'width': width, 'height': height})
        page.on('console', lambda m: m.type == 'error' and faults.append(m.text))
        page.on('pageerror', lambda error: faults.append(str(error)))
        page.goto(robot.url + ('' if scene else '?scene=false'))
        pages.append(page)
        page.wait_for_function(f"""() => {{
            const image = document.querySelector('{EYE} img');
            return image && image.naturalWidth > 0; }}""", timeout=30000)
        return page
    yield make
    for page in pages:
        page.close()
    assert not faults


def number_of(page):
    return int(re.search(r'(\d+)\.jpg', page.locator(f'{EYE} img').get_attribute('src'))[1])


def at(page, x, y):
    """Where a share of the picture is on the screen."""
    page.locator(f'{EYE} img').scroll_into_view_if_needed()
    box = page.locator(f'{EYE} img').bounding_box()
    return box['x'] + x * box['width'], box['y'] + y * box['height']


def rest(page, observer):
    """Until the head rests and the page shows it."""
    def both():
        wait_for(observer.still, 15, 'a head that rests')
        pose, first = observer.pose, number_of(page)
        wait_for(lambda: number_of(page) > first + 3, 10, 'new pictures')
        return max(abs(a - b) for a, b in zip(pose, observer.pose)) < 0.003
    wait_for(both, 30, 'a head that rests')


def test_the_page_loads_and_its_pictures_change(open_page, observer):
    page = open_page(scene=True)
    first = number_of(page)
    wait_for(lambda: number_of(page) > first + 3, 10, 'new pictures')
    page.get_by_text('what it was shown', exact=True).wait_for()
    page.get_by_text('The head: ok.').wait_for()
    for kind in ('mosaic', 'map'):
        wait_for(lambda kind=kind: page.evaluate(f"""() => [...document.images].some(
            image => image.src.includes('/{kind}/') && image.naturalWidth > 100)"""), 10)
    sliders = page.get_by_role('slider')
    assert sliders.count() >= 3
    wait_for(lambda: sliders.first.get_attribute('aria-valuenow') == '1', 10, 'a weight of 1')
    # The sphere, of 3 m, is seen from within: the ray through the middle of the scene ends on it.
    eye, middle = np.array([-1.7, 0.9, 0.9]), np.array([0.6, 0.0, -0.1])
    ray = (middle - eye) / np.linalg.norm(middle - eye)
    place = eye + ray * (math.sqrt((eye @ ray) ** 2 - eye @ eye + 9.0) - eye @ ray)
    right = -math.degrees(math.atan2(place[1], place[0]))
    down = math.degrees(math.atan2(-place[2], math.hypot(place[0], place[1])))
    def looking():
        """What a double-click into the middle is answered with; a busy page may miss one."""
        page.evaluate("""() => {
            const canvas = document.querySelector('section[aria-label="Where it looks"] canvas');
            const box = canvas.getBoundingClientRect();
            canvas.dispatchEvent(new MouseEvent('dblclick', {bubbles: true,
                clientX: box.left + box.width / 2, clientY: box.top + box.height / 2})); }""")
        answer = page.get_by_text(LOOKING_THERE)
        with contextlib.suppress(AssertionError):
            wait_for(answer.count, 8)
            return LOOKING_THERE.search(answer.first.text_content())
    answer = wait_for(looking, 40, 'an answer to a double-click')
    assert int(answer[1]) == pytest.approx(right, abs=1.0)
    assert int(answer[2]) == pytest.approx(down, abs=1.0)


def test_a_click_moves_the_gaze_to_what_was_clicked(open_page, observer):
    page = open_page()
    for x, y in ((0.75, 0.4), (0.3, 0.65)):
        rest(page, observer)
        wanted = seen_at(x, y, *observer.pose)
        assert apart_deg(wanted, observer.gaze) > 10
        page.mouse.click(*at(page, x, y))
        wait_for(lambda wanted=wanted: apart_deg(wanted, observer.gaze) < 3.0, LOOK_S, f'{x}, {y}')
        time.sleep(0.4)
        assert apart_deg(wanted, observer.gaze) < 3.0


@pytest.mark.long
def test_a_click_on_the_map_looks_there(open_page, observer):
    page = open_page()
    image = page.locator('section[aria-label="Map"] .gaze-picture img')
    image.scroll_into_view_if_needed()
    wait_for(lambda: image.evaluate('image => image.naturalWidth'), 20)
    pan = observer.pose[0] + (0.6 if observer.pose[0] < 0 else -0.6)
    wanted = in_base(np.array([1.0, 0.0, 0.0]), pan, 0.3)
    box = image.bounding_box()
    page.mouse.click(box['x'] + (0.5 - pan / (2 * math.pi)) * box['width'],
                     box['y'] + (0.5 + 0.3 / math.pi) * box['height'])
    wait_for(lambda: apart_deg(wanted, observer.gaze) < 3.0, LOOK_S, 'the map')


@pytest.mark.long
def test_a_rectangle_starts_a_search_that_ends_on_target(open_page, observer, robot):
    page = open_page()
    wait_for(lambda: observer.on_target and apart_deg(observer.target, observer.gaze) < 5, 25,
             'the first search')
    page.get_by_role('button', name='Rest').click()
    page.get_by_text('The eye rests').wait_for()
    rest(page, observer)
    place = place_of(observer.target, *observer.pose)
    assert place is not None
    half = 0.05
    with_exemplar = page.locator('img[src*="/exemplar/"]')
    before = with_exemplar.get_attribute('src')
    page.mouse.move(*at(page, place[0] - half, place[1] - half * WIDTH / HEIGHT))
    page.mouse.down()
    page.mouse.move(*at(page, place[0], place[1]))
    page.mouse.move(*at(page, place[0] + half, place[1] + half * WIDTH / HEIGHT))
    page.mouse.up()
    page.get_by_text(re.compile(r'Searching for this: \d+ x \d+ pixels')).wait_for()
    wait_for(lambda: with_exemplar.get_attribute('src') != before, 5, 'the exemplar shown')
    # Away from it, so that there is something to search for.
    page.get_by_role('button', name='Look', exact=True).click()
    page.get_by_text('The eye looks').wait_for()
    pan, tilt = (math.degrees(angle) for angle in observer.pose)
    turned = pan - 50 if pan > 0 else pan + 50
    page.get_by_label('Left, degrees').fill(f'{turned:.0f}')
    page.get_by_label('Down, degrees').fill(f'{tilt:.0f}')
    page.get_by_role('button', name='Look there').click()
    wait_for(lambda: apart_deg(observer.target, observer.gaze) > 35, LOOK_S, 'a look away')
    assert not observer.on_target or apart_deg(observer.target, observer.gaze) > 35
    wait_for(lambda: observer.on_target and apart_deg(observer.target, observer.gaze) < 5,
             60, 'the thing found again')
    page.get_by_text('on target', exact=True).wait_for(timeout=15000)


@pytest.fixture
def released(robot, observer):
    """Whatever becomes of the test, the head is released after it."""
    from std_srvs.srv import SetBool
    client = observer.node.create_client(SetBool, 'pan_tilt/runstop')
    yield
    client.call_async(SetBool.Request(data=False))
    time.sleep(0.3)


def stop_s(page, observer, side):
    """Seconds from the click on Stop until the head stands still for good; it must be turning."""
    page.get_by_label('Left, degrees').fill(f'{side * 150}')
    page.get_by_label('Down, degrees').fill('0')
    page.get_by_role('button', name='Look there').click()
    wait_for(lambda: abs(observer.states[-1][3]) > 0.5, 10, 'a head that turns')
    clicked = page.evaluate("""() => {
        document.querySelector('.gaze-stop').click();
        return Date.now() / 1000; }""")
    time.sleep(1.0)
    before = next(state for state in reversed(list(observer.states)) if state[0] <= clicked)
    speed = abs(before[3])
    moving = [state[0] for state in list(observer.states)
              if state[0] > clicked and max(map(abs, state[3:])) > 0.02]
    page.get_by_role('button', name='Release').wait_for()
    page.get_by_text('The head is run-stopped: it refuses every command.').first.wait_for()
    page.get_by_role('button', name='Release').click()
    page.get_by_role('button', name='Stop').wait_for()
    if speed < 0.3:
        return math.inf                             # it had arrived: nothing was stopped
    return moving[-1] - clicked if moving else 0.0


def test_stop_stops_the_head_and_shows_it(open_page, observer, released):
    """Within 0.2 s; a machine that is busy with other tests may be late a few times."""
    page = open_page()
    page.get_by_label('Left, degrees').wait_for()
    took = []
    for side in (1, -1, 1, -1, 1):
        took.append(stop_s(page, observer, side))
        if took[-1] < 0.2:
            break
    print('from the click until the head stands still, seconds:', took)
    assert took[-1] < 0.2, took


@pytest.mark.long
def test_two_browsers_see_the_same_and_a_reload_forgets_nothing(open_page, released):
    one, two = open_page(), open_page()
    one.bring_to_front()                            # a page behind another one stands still
    one.get_by_role('button', name='Stop').click()
    two.get_by_role('button', name='Release').wait_for()
    slider = one.get_by_role('slider').nth(0)
    weight = slider.get_attribute('aria-valuenow')
    one.locator('.q-toggle', has_text='Rings').click()
    wait_for(lambda: '/camera/' in one.locator(f'{EYE} img').get_attribute('src'), 15)
    assert '/eye/' in two.locator(f'{EYE} img').get_attribute('src')
    one.reload()
    one.get_by_role('button', name='Release').wait_for()
    wait_for(lambda: '/camera/' in (one.locator(f'{EYE} img').get_attribute('src') or ''), 15,
             'the choice of drawing nothing')
    wait_for(lambda: one.get_by_role('slider').nth(0).get_attribute('aria-valuenow') == weight, 15)
    first, second = number_of(one), number_of(two)
    two.bring_to_front()
    wait_for(lambda: number_of(one) > first and number_of(two) > second, 15, 'both moving')
    two.get_by_role('button', name='Release').click()
    one.get_by_role('button', name='Stop').wait_for()


@pytest.mark.long
def test_a_recording_made_on_the_page_can_be_gone_through(open_page, observer):
    pytest.importorskip('rosbags', reason='bags need the library rosbags')
    page = open_page()
    page.get_by_role('button', name='Record', exact=True).click()
    page.get_by_text('Recording to').wait_for()
    time.sleep(6.0)                                 # the recorder needs a while to begin
    page.get_by_role('button', name='End recording').click()
    page.get_by_text('look at it under Recordings').wait_for(timeout=60000)
    page.get_by_role('tab', name='Recordings').click()


    def opened():
        page.get_by_role('combobox', name='Recording').click()
        time.sleep(0.5)
        return page.get_by_role('option').count()
    wait_for(opened, 30, 'a list of recordings')
    page.get_by_role('option').first.click()
    image = page.locator('.gaze-picture img[src*="/picture/r"][src*="/eye/"]')
    image.wait_for(timeout=60000)
    wait_for(lambda: image.evaluate('image => image.naturalWidth') == WIDTH, 20, 'its picture')
    before = image.get_attribute('src')
    page.get_by_role('slider', name='time').locator('[tabindex]').focus()
    for _ in range(6):
        page.keyboard.press('PageUp')
    wait_for(lambda: image.get_attribute('src') != before, 20, 'another moment')
    page.get_by_role('tab', name='Now').click()
    page.get_by_text('The head: ok.').first.wait_for()


@pytest.mark.parametrize('width, height', [(1280, 720), (390, 844)])
def test_it_fits_and_the_stop_is_always_there(open_page, width, height):
    page = open_page(width, height)
    page.get_by_text('The head: ok.').wait_for()
    assert page.evaluate('() => document.documentElement.scrollWidth') <= width
    sizes = page.evaluate("""() => [...document.querySelectorAll('main *')].filter(
        element => element.children.length === 0 && element.innerText
            && !element.closest('[data-initializing], .nicegui-scene, i')).map(
        element => parseFloat(getComputedStyle(element).fontSize))""")
    assert min(sizes) >= 10.5
    for top in (0, 600, 100000):
        page.evaluate(f'() => window.scrollTo(0, {top})')
        box = page.get_by_role('button', name='Stop').bounding_box()
        assert box['x'] >= 0
        assert box['x'] + box['width'] <= width
        assert box['y'] >= 0
        assert box['y'] + box['height'] <= 160
        assert box['height'] >= 44


@pytest.mark.long
def test_everything_can_be_reached_and_done_with_keys(open_page, observer):
    page = open_page()
    page.get_by_text('The head: ok.').wait_for()
    reached = set()
    for _ in range(40):
        page.keyboard.press('Tab')
        name = page.evaluate("""() => {
            const now = document.activeElement;
            return now.getAttribute('aria-label') || now.innerText || now.id; }""")
        reached.add(name.strip().lower())
    for name in ('Stop', 'picture of the camera', 'Left, degrees', 'people'):
        assert any(name.lower() in each for each in reached), (name, reached)
    rest(page, observer)
    page.locator(EYE).focus()
    wanted = seen_at(0.5 + 0.04 * 6, 0.5, *observer.pose)
    for _ in range(6):
        page.keyboard.press('ArrowRight')
    page.keyboard.press('Enter')
    wait_for(lambda: apart_deg(wanted, observer.gaze) < 3.0, LOOK_S, 'a look by keys')


@pytest.mark.long
def test_a_dead_gaze_node_is_seen_and_missed_no_longer_once_it_is_back(open_page, robot):
    page = open_page()
    page.get_by_text(LOOKING).wait_for()
    took = []
    for _ in range(2):                              # other tests may have the processor once
        page.evaluate("""() => { window.missedAt = null; const look = setInterval(() => {
            if (!document.querySelector('header').innerText.includes('no eye')) return;
            window.missedAt = Date.now() / 1000;
            clearInterval(look); }, 20); }""")
        died = time.time()
        robot.processes['gaze'].kill()
        robot.processes['gaze'].wait()
        took.append(wait_for(lambda: page.evaluate('() => window.missedAt'), 20) - died)
        page.get_by_text('gaze_node is not heard of').first.wait_for()
        page.reload()                               # its weights cannot be read yet
        page.locator(f'{EYE} img').wait_for()
        weight = page.get_by_role('slider').first
        assert weight.get_attribute('aria-valuenow') == '0'
        first = number_of(page)
        wait_for(lambda first=first: number_of(page) > first, 20, 'pictures without an eye')
        robot.start('gaze')
        wait_for(lambda: page.get_by_text('no eye', exact=True).count() == 0, 60, 'a new eye')
        page.get_by_text(LOOKING).wait_for()
        page.get_by_text('gaze_node is not heard of').first.wait_for(state='detached')
        wait_for(lambda weight=weight: weight.get_attribute('aria-valuenow') == '1', 10,
                 'a weight of 1')
        if took[-1] < 2.0:
            break
    assert took[-1] < 2.0, took
