import threading

import pytest

from gaze_robot.nodes._worker import Worker


class Bench:
    """A worker whose work waits for a gate, and a bell for its owner."""

    def __init__(self):
        self.gate, self.bell, self.started = threading.Event(), threading.Semaphore(0), \
            threading.Semaphore(0)
        self.worker = Worker(self.work, self.bell.release)

    def work(self, item):
        self.started.release()
        assert self.gate.wait(5)
        if item == 'bad':
            raise KeyError(item)
        return item

    def wait(self, count):
        for _ in range(count):
            assert self.bell.acquire(timeout=5)


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.gate.set()
    bench.worker.stop()


def test_a_new_item_replaces_the_waiting_one_and_never_the_one_under_way(bench):
    assert bench.worker.post(1) is None
    assert bench.started.acquire(timeout=5)
    assert bench.worker.post(2) is None
    assert bench.worker.post(3) == 2
    assert bench.worker.post(4) == 3
    bench.gate.set()
    bench.wait(2)
    assert list(bench.worker.collect()) == [1, 4]


def test_calls_run_in_the_worker_thread_before_later_items(bench):
    threads = []
    bench.gate.set()
    bench.worker.call(lambda: threads.append(threading.current_thread()))
    bench.worker.post('after')
    bench.wait(2)
    assert list(bench.worker.collect()) == ['after']
    assert threads
    assert threads[0] is not threading.current_thread()


def test_an_exception_reaches_the_owner(bench):
    bench.gate.set()
    bench.worker.post('bad')
    bench.wait(1)
    with pytest.raises(KeyError, match='bad'):
        list(bench.worker.collect())


def test_stop_counts_what_led_to_nothing(bench):
    bench.worker.post(1)
    assert bench.started.acquire(timeout=5)
    bench.worker.post(2)
    threading.Timer(0.05, bench.gate.set).start()
    assert bench.worker.stop() == 2              # one finished and uncollected, one still waiting


def test_stop_leaves_no_thread():
    bench = Bench()
    bench.gate.set()
    bench.worker.post(1)
    bench.wait(1)
    bench.worker.stop()
    assert not [thread for thread in threading.enumerate() if 'inference' in thread.name]
