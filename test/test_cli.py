import ast
from dataclasses import dataclass
import json
from pathlib import Path
import subprocess
import sys
import types

import numpy as np
import pytest

from gaze_robot import __version__, cli
from gaze_robot.errors import WorldError

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class CountConfig:
    """Options of the command below."""

    seed: int = 0
    """Where to start."""

    upto: int = 3
    """Where to stop."""


def count(config: CountConfig) -> dict:
    """A command small enough to see through."""
    if config.upto < config.seed:
        raise WorldError(f'cannot count from {config.seed}\ndown to {config.upto}')
    return {'n': np.int64(config.upto - config.seed), 'mean': np.float32(0.5),
            'never': float('nan'), 'curve': np.arange(20),
            'baselines': {'none': {}, 'raster': {'rate': 0.25}}}


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType('counting_command')
    module.__dict__.update(CountConfig=CountConfig, count=count)
    monkeypatch.setitem(sys.modules, 'counting_command', module)
    monkeypatch.setitem(cli.COMMANDS, 'count', cli.Command(
        'count up', 'gaze-robot count --upto 5', 'counting_command', 'CountConfig', 'count'))


def test_result_is_shown_and_written_as_strict_json(counting: None, tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'new' / 'result.json'
    assert cli.main(['count', '--seed', '2', '--upto', '7', '--json', str(path)]) == 0
    result = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert result == {'n': 5, 'mean': 0.5, 'never': None,
                      'baselines': {'none': {}, 'raster': {'rate': 0.25}},
                      'curve': list(range(20))}
    shown = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()}
    assert shown['n'] == '5'
    assert shown['baselines.raster.rate'] == '0.25'


def test_a_refusal_is_one_line_on_stderr_and_status_2(
        counting: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'result.json'
    assert cli.main(['count', '--seed', '9', '--json', str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.err == 'gaze-robot: cannot count from 9 down to 3\n'
    assert captured.out == ''
    assert not path.exists()


def test_a_bug_is_not_dressed_up_as_a_refusal(counting: None,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: CountConfig) -> dict:
        return {'n': 1 / (config.seed - config.seed)}
    monkeypatch.setattr(sys.modules['counting_command'], 'count', broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(['count'])


def test_interruption_ends_cleanly(counting: None, monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(config: CountConfig) -> dict:
        raise KeyboardInterrupt
    monkeypatch.setattr(sys.modules['counting_command'], 'count', interrupted)
    assert cli.main(['count']) == 130
    assert capsys.readouterr().err == 'gaze-robot: stopped\n'


def test_an_unwritable_result_is_refused_before_the_work(
        counting: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.modules['counting_command'], 'count',
                        lambda config: pytest.fail('worked before checking'))
    assert cli.main(['count', '--json', str(tmp_path)]) == 2
    assert 'cannot write there' in capsys.readouterr().err
    (tmp_path / 'file').touch()
    assert cli.main(['count', '--json', str(tmp_path / 'file' / 'result.json')]) == 2
    assert 'cannot write there' in capsys.readouterr().err


def test_help_of_a_command_shows_its_example_and_options(
        counting: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(['count', '--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for wanted in ('gaze-robot count --upto 5', '--seed', '--json FILE', 'Where to stop'):
        assert wanted in text


@pytest.mark.parametrize('command, usage', [
    ('explain', 'PICTURE'), ('weights pull', '[NAME ...]'), ('weights verify', '[NAME ...]'),
    ('sim watch', '[ENV]')])
def test_what_is_given_without_an_option_has_a_name(
        command: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*command.split(), '--help'])
    assert usage in ' '.join(capsys.readouterr().out.split('Example:')[0].split())


def test_a_wrong_option_ends_with_status_2(counting: None) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(['count', '--upta', '5'])
    assert ended.value.code == 2


@pytest.mark.parametrize('typed, meant', [
    (['evl', 'search'], 'eval search'), (['eval', 'serch'], 'eval search'),
    (['docter'], 'doctor'), (['bringpu', '--world', 'x'], 'bringup')])
def test_a_misspelt_command_is_answered_with_the_nearest(
        typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(typed) == 2
    assert f'did you mean "{meant}"?' in capsys.readouterr().err


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['--help']) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in [*cli.COMMANDS, 'doctor'])
    assert cli.main([]) == 2
    assert cli.main(['train']) == 2
    assert cli.main(['train', '--help']) == 0
    text = capsys.readouterr().out
    assert 'train encoder' in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['--version']) == 0
    assert capsys.readouterr().out == f'gaze_robot {__version__}\n'


@pytest.mark.parametrize('name', list(cli.COMMANDS))
def test_every_command_names_a_dataclass_and_a_function_that_exist(name: str) -> None:
    """Read, not imported: the modules need torch or ROS, and this must hold without them."""
    command = cli.COMMANDS[name]
    root = ROOT / 'sim' if command.module.startswith('gaze_robot_sim') else ROOT
    path = root / command.module.replace('.', '/')
    path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    defined = {node.name for node in ast.parse(path.read_text()).body
               if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert {command.config, command.function} <= defined


WITHOUT_CHANCE = {'view', 'runs'}


@pytest.mark.parametrize('name', list(cli.COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*name.split(), '--help'])
    assert ended.value.code == 0
    text = ' '.join(capsys.readouterr().out.split())
    example = cli.COMMANDS[name].example.split(' --')[0]
    seed = () if name in WITHOUT_CHANCE else ('--seed',)
    for wanted in (example, 'Example:', *seed, '--json FILE'):
        assert wanted in text


def test_top_level_and_doctor_work_where_only_python_is(tmp_path: Path) -> None:
    """An interpreter that sees no site-packages: no numpy, no tyro, nothing."""
    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        code = (f'import sys; sys.path.insert(0, {str(ROOT)!r}); '
                'from gaze_robot.cli import main; sys.exit(main(sys.argv[1:]))')
        return subprocess.run([sys.executable, '-I', '-S', '-c', code, *argv], cwd=tmp_path,
                              capture_output=True, text=True, timeout=60)
    overview = run('--help')
    assert overview.returncode == 0
    assert 'eval search' in overview.stdout
    refused = run('eval', 'search')
    assert refused.returncode == 2
    assert refused.stderr.startswith('gaze-robot: tyro is needed here')
    assert len(refused.stderr.splitlines()) == 1
    report = run('doctor', '--json', 'doctor.json')
    assert report.returncode == 1, report.stderr
    states = {row['name']: row['state']
              for row in json.loads((tmp_path / 'doctor.json').read_text())['rows']}
    assert states['Python'] == 'ok'
    assert states['numpy'] == states['torch'] == states['rclpy'] == 'bad'
