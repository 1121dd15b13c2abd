"""The weight store: what is pulled is what was published, and only pulling uses the network."""

from collections.abc import Iterator
import hashlib
import http.server
import json
from pathlib import Path
import socket
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('huggingface_hub', reason="pip install -e '.[backbones]'")

from gaze_robot.backbones import commands
from gaze_robot.backbones.download import pull
from gaze_robot.backbones.store import check, model_folder, RECORD, store_folder
from gaze_robot.backbones.table import (
    APACHE,
    backbone_row,
    DINOV3,
    File,
    TABLE,
    Weights,
)
from gaze_robot.cli import main
from gaze_robot.errors import CheckpointError, ConfigError

REVISION = 'a' * 40
CONTENT = {'config.json': b'{"model_type": "dinov2"}\n',
           'model.safetensors': bytes(range(256)) * 2000}


class Hub(http.server.ThreadingHTTPServer):
    """Answers as the hub does: sha256 of large files and git blob of small ones announced."""

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), _Answer)
        self.files = dict(CONTENT)
        self.announced = dict(CONTENT)
        self.cut_at: int | None = None
        """Bytes of a body after which the connection is dropped, once."""
        self.gated = False
        self.requests: list[tuple[str, str, str | None]] = []

    @property
    def address(self) -> str:
        return f'http://127.0.0.1:{self.server_port}'


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def _head(self, name: str, start: int = 0) -> None:
        body, meant = self.server.files[name], self.server.announced[name]
        self.send_response(206 if start else 200)
        blob = hashlib.sha1(b'blob %d\0' % len(meant) + meant).hexdigest()
        large = name.endswith('safetensors')
        etag = hashlib.sha256(meant).hexdigest() if large else blob
        self.send_header('ETag', f'"{etag}"')
        if large:
            self.send_header('X-Linked-Etag', f'"{etag}"')
            self.send_header('X-Linked-Size', str(len(meant)))
        self.send_header('X-Repo-Commit', REVISION)
        if start:
            self.send_header('Content-Range', f'bytes {start}-{len(body) - 1}/{len(body)}')
        self.send_header('Content-Length', str(len(body) - start))
        self.end_headers()

    def _name(self) -> str | None:
        self.server.requests.append((self.command, self.path, self.headers.get('Range')))
        if self.server.gated:
            self.send_response(403)
            self.send_header('X-Error-Code', 'GatedRepo')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return None
        return self.path.rsplit('/', 1)[-1]

    def do_HEAD(self) -> None:
        if name := self._name():
            self._head(name)

    def do_GET(self) -> None:
        if not (name := self._name()):
            return
        start = int((self.headers.get('Range') or 'bytes=0-')[6:].partition('-')[0])
        body, cut = self.server.files[name], self.server.cut_at
        self._head(name, start)
        if cut is not None and len(body) > cut:
            self.wfile.write(body[start:cut])
            self.wfile.flush()
            self.server.cut_at = None
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            self.server.gated = True                     # what follows is refused: a broken hub
            return
        self.wfile.write(body[start:])


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub on this machine."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv('GAZE_ROBOT_WEIGHTS', str(tmp_path / 'weights'))
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'hf'))
    return store_folder()


def row(weights: str | None = None, **changes: Any) -> Weights:
    options = {'name': 'toy', 'kind': 'dinov2', 'licence': APACHE, 'megabytes': 1,
               'files': (File('config.json'), File('model.safetensors', weights)),
               'repo': 'someone/toy', 'revision': REVISION, 'width': 32}
    return Weights(**{**options, **changes})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_pulled_files_are_whole_recorded_and_not_fetched_twice(hub: Hub, store: Path) -> None:
    toy = row(sha256(CONTENT['model.safetensors']))
    assert pull(toy, hub.address) == ['config.json', 'model.safetensors']
    for name, content in CONTENT.items():
        assert (store / 'toy' / name).read_bytes() == content
    record = json.loads((store / 'toy' / RECORD).read_text())
    assert record['files']['model.safetensors'] == {
        'size': len(CONTENT['model.safetensors']), 'sha256': sha256(CONTENT['model.safetensors'])}
    assert all(f'/someone/toy/resolve/{REVISION}/' in path for _, path, _ in hub.requests)
    asked = len(hub.requests)
    assert pull(toy, hub.address) == []
    assert len(hub.requests) == asked
    assert sorted(path.name for path in (store / 'toy').iterdir()) == sorted([*CONTENT, RECORD])


def test_an_interrupted_pull_goes_on_where_it_was(hub: Hub, store: Path) -> None:
    """What arrived in whole blocks (10 MiB each) is kept."""
    large = np.random.default_rng(8).bytes(24 << 20)
    hub.files['model.safetensors'] = hub.announced['model.safetensors'] = large
    hub.cut_at = 21 << 20
    with pytest.raises(CheckpointError):
        pull(row(), hub.address)
    part = store / 'toy' / 'model.safetensors.part'
    kept = part.stat().st_size
    assert kept == 20 << 20
    assert part.read_bytes() == large[:kept]
    assert not (store / 'toy' / 'model.safetensors').exists()
    hub.gated = False
    hub.requests.clear()
    assert pull(row(), hub.address) == ['model.safetensors']
    assert (store / 'toy' / 'model.safetensors').read_bytes() == large
    assert [ranged for method, _, ranged in hub.requests if method == 'GET'] == [f'bytes={kept}-']


@pytest.mark.parametrize('name', CONTENT)
def test_content_other_than_announced_is_not_kept(name: str, hub: Hub, store: Path) -> None:
    hub.files[name] = hub.files[name][:-1] + b'!'
    with pytest.raises(CheckpointError, match=f'{name} of toy arrived damaged.*not kept'):
        pull(row(), hub.address)
    assert not (store / 'toy' / name).exists()
    assert not (store / 'toy' / (name + '.part')).exists()
    hub.files = dict(CONTENT)
    assert name in pull(row(), hub.address)


def test_content_other_than_published_is_not_kept(hub: Hub, store: Path) -> None:
    """Whatever the hub says of it."""
    with pytest.raises(CheckpointError, match='model.safetensors of toy arrived damaged'):
        pull(row('0' * 64), hub.address)
    assert [path.name for path in (store / 'toy').iterdir()] == ['config.json']


def test_any_address_with_a_known_hash_will_do(hub: Hub, store: Path) -> None:
    """A release file, no hub repository."""
    url = f'{hub.address}/releases/v1/model.safetensors'
    one = File('head.safetensors', sha256(CONTENT['model.safetensors']), url)
    assert pull(row(files=(one,), repo='', revision='')) == ['head.safetensors']
    wrong = File('other.safetensors', '1' * 64, url)
    with pytest.raises(CheckpointError, match='arrived damaged'):
        pull(row(files=(wrong,), repo='', revision=''))
    assert not (store / 'toy' / 'other.safetensors').exists()


def test_a_gate_says_what_to_do(hub: Hub) -> None:
    hub.gated = True
    with pytest.raises(CheckpointError, match='accept it at .*someone/toy.*hf auth login'):
        pull(row(), hub.address)


def test_without_a_network_one_line_says_how_to_do_it_by_hand(
        store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, 'toy', row())
    with socket.socket() as unused:                  # bound, not listening
        unused.bind(('127.0.0.1', 0))
        address = f'http://127.0.0.1:{unused.getsockname()[1]}'
        with pytest.raises(CheckpointError) as error:
            pull(row(), address)
    assert commands.verify_weights(commands.VerifyConfig(()))['verified'] == 0
    text = str(error.value)
    assert 'config.json of toy could not be downloaded' in text
    assert f'someone/toy/tree/{REVISION}' in text
    assert str(store / 'toy') in text


@pytest.mark.parametrize('change, state', [
    (lambda path: path.write_bytes(path.read_bytes()[:-5]), 'truncated'),
    (lambda path: path.write_bytes(b'!' + path.read_bytes()[1:]), 'altered'),
    (lambda path: path.write_bytes(path.read_bytes() + b'!'), 'altered'),
    (lambda path: path.unlink(), 'missing')], ids=['truncated', 'altered', 'longer', 'missing'])
def test_verify_names_the_file_and_what_is_wrong(
        change: Any, state: str, hub: Hub, store: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(TABLE, 'toy', row())
    pull(row(), hub.address)
    assert check(row(), store / 'toy') == {'config.json': 'ok', 'model.safetensors': 'ok'}
    assert main(['weights', 'verify', 'toy']) == 0
    change(store / 'toy' / 'model.safetensors')
    assert main(['weights', 'verify', 'toy']) == 2
    assert f'model.safetensors is {state}' in capsys.readouterr().err
    assert main(['weights', 'verify']) == 2
    with pytest.raises(CheckpointError, match=f'model.safetensors is {state}'):
        model_folder(row())
    assert pull(row(), hub.address) == ['model.safetensors']
    assert main(['weights', 'verify']) == 0


def test_files_copied_by_hand_are_held_against_the_published_hash(hub: Hub, store: Path
                                                                  ) -> None:
    folder = store / 'toy'
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    known = row(sha256(CONTENT['model.safetensors']))
    assert check(known, folder) == {'config.json': 'unknown', 'model.safetensors': 'ok'}
    assert model_folder(known) == folder
    assert check(row('0' * 64), folder)['model.safetensors'] == 'altered'
    assert pull(known, hub.address) == [], 'what fits the announcement is not fetched again'
    assert check(known, folder) == {'config.json': 'ok', 'model.safetensors': 'ok'}
    (folder / RECORD).write_text('{')
    with pytest.raises(CheckpointError, match='damaged'):
        check(known, folder)


def test_a_licence_that_is_not_open_must_be_accepted(
        hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(TABLE, 'toy', row(licence=DINOV3))
    with pytest.raises(ConfigError, match='--accept-licence'):
        commands.pull_weights(commands.PullConfig(('toy',)))
    assert hub.requests == []
    assert DINOV3.url in capsys.readouterr().err
    monkeypatch.setattr('gaze_robot.backbones.download.pull.__defaults__', (hub.address,))
    result = commands.pull_weights(commands.PullConfig(('toy',), accept_licence=True))
    assert result['toy']['downloaded'] == 'config.json, model.safetensors'
    assert DINOV3.url in capsys.readouterr().err


def test_nothing_but_pull_touches_the_network(
        store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """Listing, verifying and loading with every way to a socket closed."""
    transformers = pytest.importorskip('transformers')
    from gaze_robot.backbones.backbone import BackboneConfig, load_backbone
    from gaze_robot.encoder import TokenLayout
    from gaze_robot.foveation import FoveationPattern

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError('this uses the network')
    for name in ('socket', 'create_connection', 'getaddrinfo'):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setitem(TABLE, 'toy', row())
    config = transformers.Dinov2Config(hidden_size=32, num_hidden_layers=1, image_size=28,
                                       num_attention_heads=2, patch_size=14)
    transformers.Dinov2Model(config).save_pretrained(store / 'toy')
    assert main(['weights', 'list']) == 0
    assert main(['weights', 'verify']) == 0
    backbone = load_backbone(BackboneConfig('toy'), 1.0)
    layout = TokenLayout.of_pattern(FoveationPattern())
    patches = torch.zeros(1, len(layout.log_scale), 16 ** 2 * 3)
    assert backbone(patches, layout).shape == (1, len(layout.log_scale), 32)
    with pytest.raises(CheckpointError, match='weights pull dinov2-small'):
        load_backbone(BackboneConfig('dinov2-small'), 1.0)
    with pytest.raises(AssertionError, match='uses the network'):
        socket.create_connection(('127.0.0.1', 9))
    assert 'toy' in capsys.readouterr().out


def test_the_store_does_without_torch() -> None:
    """Listing and pulling start at once, on a machine without it, too."""
    code = ('import sys, gaze_robot.backbones.commands, gaze_robot.backbones.download\n'
            "sys.exit(repr(sorted({'torch', 'transformers', 'huggingface_hub'}"
            ' & set(sys.modules))))')
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert run.stderr.strip() == '[]'


def test_the_table_of_gaze_models_is_complete() -> None:
    """Each is one file of a release, with no published hash: its first pull is what pins it."""
    rows = {name: each for name, each in TABLE.items() if not each.width}
    assert {each.kind for each in rows.values()} == {'gaze-lle', 'gaze-onnx'}
    assert sum(each.kind == 'gaze-lle' for each in rows.values()) == 4
    for name, each in rows.items():
        file, = each.files
        assert each.name == name
        assert file.name.startswith(name)
        assert file.name.endswith('.pt' if each.kind == 'gaze-lle' else '1xNx4.onnx')
        assert file.url.startswith('https://github.com/')
        assert file.url.endswith(f'/{file.name}')
        assert file.sha256 is None


def test_the_table_of_backbones_is_complete() -> None:
    for name, each in ((name, each) for name, each in TABLE.items() if each.width):
        assert each.name == name
        assert len(each.revision) == 40
        assert [file.name for file in each.files] == ['config.json', 'model.safetensors']
        assert all(file.sha256 is None or len(file.sha256) == 64 for file in each.files)
        assert backbone_row(name).kind.startswith(name[:6])
        assert each.licence is (DINOV3 if name.startswith('dinov3') else APACHE)
    hashes = [file.sha256 for each in TABLE.values() for file in each.files if file.sha256]
    assert len(set(hashes)) == len(hashes)
