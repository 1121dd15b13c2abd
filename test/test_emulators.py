"""Emulated heads: what they do beside answering drivers, and the command that starts them."""

import json
import math
import os
import time

import pytest

from gaze_robot.emulators.clock import ManualClock
from gaze_robot.emulators.command import emulate, EmulateConfig
from gaze_robot.emulators.dynamixel import crc16, DynamixelEmulator, packet
from gaze_robot.emulators.faults import Faults
from gaze_robot.emulators.feetech import FeetechEmulator
from gaze_robot.emulators.feetech import packet as feetech_packet
from gaze_robot.emulators.motion import Axis
from gaze_robot.emulators.onvif import OnvifEmulator
from gaze_robot.errors import ConfigError


def ask(emulator, instruction, parameters=b'', number=1):
    """Answers of Dynamixel servos, without a wire."""
    return emulator.receive(packet(number, instruction, parameters))


def error_of(answer):
    return answer[8] & 0x7F


def write(emulator, address, value, length):
    data = address.to_bytes(2, 'little') + value.to_bytes(length, 'little', signed=True)
    (answer,) = ask(emulator, 3, data)
    return error_of(answer)


@pytest.fixture
def servos():
    return DynamixelEmulator(clock=ManualClock())


def test_ping_answers_model_and_firmware(servos):
    answers = ask(servos, 1, number=254)
    assert [answer[4] for answer in answers] == [1, 2]
    assert answers[0][9:12] == (1060).to_bytes(2, 'little') + b'-'


@pytest.mark.parametrize('powered, address, value, length, error', [
    (True, 11, 4, 1, 7), (False, 11, 4, 1, 0), (False, 132, 5, 4, 7), (True, 116, 4096, 4, 6),
    (True, 116, -1, 4, 6), (True, 116, 4095, 4, 0), (True, 112, 2000, 4, 6),
    (False, 146, 1, 1, 7)])
def test_writes_are_refused_as_servos_refuse_them(servos, powered, address, value, length, error):
    """7: access (EEPROM under power, read-only), 6: beyond a limit."""
    assert write(servos, 64, int(powered), 1) == 0
    assert write(servos, address, value, length) == error


def test_a_wrong_checksum_is_answered_with_error_3_and_nothing_done(servos):
    spoilt = bytearray(packet(1, 3, bytes([64, 0, 1])))
    spoilt[-1] ^= 1
    (answer,) = servos.receive(bytes(spoilt))
    assert error_of(answer) == 3
    assert servos.servos[1].get(64, 1) == 0


def test_packets_in_pieces_and_after_noise_are_understood(servos):
    whole = b'\x00\xff\xff\xfd' + packet(1, 1, b'')
    answers = [answer for byte in whole for answer in servos.receive(bytes([byte]))]
    assert len(answers) == 1


def test_stuffed_bytes_come_through_both_ways(servos):
    """Goal velocity and profile acceleration 0x..FDFFFF and so on: a header inside the data."""
    data = b'\x68\x00' + b'\x01\xff\xff\xfd'
    sent = packet(1, 3, data)
    assert sent.count(b'\xff\xff\xfd\xfd') == 1
    servos.receive(sent)
    assert servos.servos[1].table[104:108] == b'\x01\xff\xff\xfd'
    (answer,) = ask(servos, 2, b'\x68\x00\x04\x00')
    assert answer[9:14] == b'\x01\xff\xff\xfd\xfd'
    assert crc16(answer[:-2]) == int.from_bytes(answer[-2:], 'little')


def test_without_a_profile_a_servo_is_as_fast_as_it_can(servos):
    """What a driver that forgets the profile after a power cycle would do to a camera."""
    write(servos, 64, 1, 1)
    write(servos, 116, 4000, 4)
    for _ in range(50):
        servos.live(0.01)
    assert servos.servos[1].axis.fastest > 4000


def test_torque_off_stops_and_a_hot_servo_cannot_be_powered(servos):
    write(servos, 64, 1, 1)
    write(servos, 116, 4000, 4)
    servos.live(0.05)
    write(servos, 64, 0, 1)
    stopped = servos.servos[1].axis.position
    servos.live(1.0)
    assert servos.servos[1].axis.position == stopped
    servos.overheat(1)
    assert write(servos, 64, 1, 1) == 1
    (answer,) = ask(servos, 8)
    assert answer[8] & 0x80
    assert write(servos, 64, 1, 1) == 0, 'a reboot helps'


def test_a_feetech_servo_keeps_its_eeprom_locked():
    servos = FeetechEmulator(clock=ManualClock())
    servos.receive(feetech_packet(1, 3, bytes([5, 9])))
    assert servos.servos[1].get(5, 1) == 1
    servos.receive(feetech_packet(1, 3, bytes([55, 0])) + feetech_packet(1, 3, bytes([5, 9])))
    assert servos.servos[1].get(5, 1) == 9


def test_an_axis_told_a_speed_takes_the_textbook_time():
    axis = Axis(0.0, -10.0, 10.0, 1.0, 4.0)
    axis.wanted = 2.0
    axis.live(1.0)
    assert (axis.position, axis.velocity) == (pytest.approx(0.5 * 4 * 0.25 + 2 * 0.5), 2.0)
    axis.live(10.0)
    assert (axis.position, axis.velocity) == (10.0, 0.0), 'the stop'


def test_faults_count_down():
    faults = Faults(drop_byte=1, bad_checksum=2)
    assert [faults.spoil(b'abc') for _ in range(4)] == [
        b'ac', b'ab\x9c', b'ab\x9c', b'abc']
    assert Faults(silent=-1).spoil(b'abc') == b''


def test_a_port_is_the_same_after_unplugging():
    with DynamixelEmulator() as servos:
        port = servos.port
        servos.unplug()
        assert not os.path.exists(port)
        servos.unplug()
        servos.plug()
        assert servos.port == port
        assert os.path.exists(port)
    assert not os.path.exists(os.path.dirname(port))


def test_a_digest_serves_once():
    camera = OnvifEmulator('eye', 'abc')
    request = (
        '<w:Username>eye</w:Username><w:Password Type="x">{}</w:Password><w:Nonce>bm8=</w:Nonce>'
        '<u:Created>{}</u:Created>')
    import base64
    import hashlib
    created = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
    digest = base64.b64encode(hashlib.sha1(b'no' + created.encode() + b'abc').digest()).decode()
    assert camera._knows(request.format(digest, created))
    assert not camera._knows(request.format(digest, created))


@pytest.mark.parametrize('head', ['dynamixel', 'feetech', 'pelco_d', 'onvif'])
def test_the_command_says_where_the_head_is(head, capsys):
    result = emulate(EmulateConfig(head, duration=0.05))
    assert result['head'] == head
    said = capsys.readouterr().err
    assert result['port'] in said
    assert f'backend:={head}' in said
    json.dumps(result)


@pytest.mark.parametrize('duration', [-1.0, math.nan, math.inf])
def test_a_duration_that_is_none_is_refused(duration):
    with pytest.raises(ConfigError, match='duration'):
        EmulateConfig('onvif', duration)


def test_the_emulated_camera_listens_on_loopback_alone():
    with OnvifEmulator() as camera:
        host, port = camera._server.server_address[:2]
        assert host == '127.0.0.1'
        assert f'127.0.0.1:{port}' in camera.port
