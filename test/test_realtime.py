import subprocess
import sys

import pytest

from gaze_robot.nodes import _realtime

ASK = ('import os; from gaze_robot.nodes._realtime import ask_for_realtime, PRIORITY\n'
       'allowed = ask_for_realtime()\n'
       'got = (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)\n'
       'print(allowed, got == ((os.SCHED_FIFO, PRIORITY) if allowed else (os.SCHED_OTHER, 0)))')


@pytest.mark.skipif(sys.platform != 'linux', reason='real-time threads are asked for on Linux')
def test_what_it_says_is_what_the_system_did(root):
    """In a process of its own: the tests themselves must not push others aside."""
    run = subprocess.run([sys.executable, '-c', ASK], capture_output=True, text=True, cwd=root,
                         timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() in (['True', 'True'], ['False', 'True'])


def test_without_permission_it_goes_on_as_before(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, 'Operation not permitted')
    monkeypatch.setattr(_realtime.os, 'sched_setscheduler', refuse, raising=False)
    assert not _realtime.ask_for_realtime()


def test_a_system_without_such_threads_is_no_error(monkeypatch):
    monkeypatch.delattr(_realtime.os, 'sched_setscheduler', raising=False)
    assert not _realtime.ask_for_realtime()
