"""The command line: `gaze-robot COMMAND`.

Nothing heavy is imported before a command asks for it, so that the help and `doctor` work on a
machine that has neither torch nor ROS. The options of a command are the fields of its dataclass.
"""

import argparse
from collections.abc import Callable, Sequence
import dataclasses
import difflib
import json
import math
from pathlib import Path
import sys
from typing import Annotated, Any, get_origin, get_type_hints

from gaze_robot import __version__
from gaze_robot.errors import ConfigError, GazeRobotError
from gaze_robot.optional import require
from gaze_robot.outputs import check_writable


@dataclasses.dataclass(frozen=True)
class Command:
    """One command: where its options and its work are, and how people call it."""

    summary: str
    example: str
    module: str
    config: str
    """Name in `module` of the dataclass whose fields are the options."""
    function: str
    """Name in `module` of what runs: takes the dataclass, returns a dict."""


COMMANDS = {
    'bringup': Command(
        'run the whole loop in one process: a world or a camera, the eye, the head',
        'gaze-robot bringup --world procedural --duration 30 --report report.json',
        'gaze_robot.bringup', 'BringupConfig', 'run_bringup'),
    'record': Command(
        'record topics into a bag, MCAP or sqlite3; no ROS installation needed',
        'gaze-robot record bags/monday --duration 60',
        'gaze_robot.bags.commands', 'RecordConfig', 'record'),
    'replay': Command(
        'publish what a bag holds, at its own pace',
        'gaze-robot replay bags/monday --restamp',
        'gaze_robot.bags.commands', 'ReplayConfig', 'replay'),
    'process': Command(
        'look at every picture of a bag as gaze_node would, the same way every time',
        'gaze-robot process bags/monday --out glances.jsonl',
        'gaze_robot.bags.commands', 'ProcessConfig', 'process'),
    'soak': Command(
        'run the simulated robot for long, with faults of every kind: what leaks, what stays ill',
        'gaze-robot soak --minutes 30 --out soak.json',
        'gaze_robot.soak', 'SoakConfig', 'soak'),
    'view': Command(
        'open a page to watch and steer a robot that runs, or to look at a recording',
        'gaze-robot view --port 8080',
        'gaze_robot.viewer.command', 'ViewConfig', 'view'),
    'runs': Command(
        'list training runs: how far they are, what came of them, their films',
        'gaze-robot runs --folder runs',
        'gaze_robot.viewer.runs', 'RunsConfig', 'list_runs'),
    'train search': Command(
        'learn to search; writes a folder that bringup --policy takes',
        'gaze-robot train search --seed 1 --out runs/search',
        'gaze_robot_sim.training.search', 'TrainSearchConfig', 'train_search'),
    'train encoder': Command(
        'pretrain the foveated encoder on procedural pictures',
        'gaze-robot train encoder --seed 1 --out runs/encoder',
        'gaze_robot_sim.training.encoder', 'TrainEncoderConfig', 'train_encoder'),
    'train heads': Command(
        'add the search for heads to a policy; it learns from drawn figures only',
        'gaze-robot train heads --policy runs/search --out runs/heads --seed 0',
        'gaze_robot_sim.training.heads', 'TrainHeadsConfig', 'train_heads'),
    'train people': Command(
        'learn where people look, from made-up pictures or a gaze-following data set',
        'gaze-robot train people --seed 0 --out runs/people',
        'gaze_robot_sim.people.training', 'TrainPeopleConfig', 'train_people'),
    'train bcrl': Command(
        'learn a hand from demonstrations, and by how well it does, where to look',
        'gaze-robot train bcrl --seed 0 --out runs/bcrl',
        'gaze_robot_sim.training.bcrl', 'TrainBcrlConfig', 'train_bcrl'),
    'train figures': Command(
        "learn the simulator's drawn figures: heads, things, where they look",
        'gaze-robot train figures --seed 0 --out runs/figures',
        'gaze_robot_sim.training.figures', 'TrainFiguresConfig', 'train_figures'),
    'eval people': Command(
        'measure where people look, by the published protocols: synthetic or a data set',
        'gaze-robot eval people synthetic --n 500 --seed 1 --json people.json',
        'gaze_robot_sim.people.evaluate', 'EvalPeopleConfig', 'evaluate_people'),
    'train workspace': Command(
        'learn a hand in the physics workspace, through one way to see it',
        'gaze-robot train workspace --task press --condition oracle --out runs/press',
        'gaze_robot_sim.physics.hands', 'TrainWorkspaceConfig', 'train_workspace'),
    'eval search': Command(
        'measure searching, beside a random policy and a raster scan',
        'gaze-robot eval search --worlds procedural --n 200 --seed 1 --json eval.json',
        'gaze_robot_sim.evaluate', 'EvalSearchConfig', 'evaluate_search'),
    'eval bcrl': Command(
        'measure a hand and its eye beside other gazes and other eyes',
        'gaze-robot eval bcrl --seed 1 --json bcrl.json --picture bcrl.png',
        'gaze_robot_sim.evaluate_bcrl', 'EvalBcrlConfig', 'evaluate_bcrl'),
    'eval workspace': Command(
        'let hands work in physics: an eye against fixed, wrist and outside cameras',
        'gaze-robot eval workspace --task press --policies runs/press --json press.json',
        'gaze_robot_sim.physics.evaluate', 'EvalWorkspaceConfig', 'evaluate_workspace'),
    'eval track': Command(
        'measure tracking: a player that knows the truth, a random one; no learned policy yet',
        'gaze-robot eval track --worlds procedural --n 100 --seed 1 --json track.json',
        'gaze_robot_sim.evaluate_tasks', 'EvalTrackConfig', 'evaluate_task'),
    'eval orient': Command(
        'measure turning to who appears, likewise; no learned policy yet',
        'gaze-robot eval orient --worlds procedural --n 100 --seed 1 --json orient.json',
        'gaze_robot_sim.evaluate_tasks', 'EvalOrientConfig', 'evaluate_task'),
    'eval follow': Command(
        'measure looking where a person looks: the robot itself, beside such players',
        'gaze-robot eval follow --worlds procedural --n 100 --seed 1 --json follow.json',
        'gaze_robot_sim.evaluate_tasks', 'EvalFollowConfig', 'evaluate_task'),
    'sim watch': Command(
        'film some episodes of an environment: what the eye sees, the truth, the reward',
        'gaze-robot sim watch Search-v0 --policy oracle --out watch.mp4',
        'gaze_robot_sim.watch', 'WatchConfig', 'watch'),
    'demos record': Command(
        'write down what an oracle does in the simulator, as demonstrations to learn from',
        'gaze-robot demos record --source Track-v0 --n 20 --out demos/track',
        'gaze_robot_sim.demos.commands', 'RecordConfig', 'record'),
    'demos convert': Command(
        "take over LeRobot's or EyeRobot's demonstrations, after checking each",
        'gaze-robot demos convert lerobot_data_set --out demos/mine --repair',
        'gaze_robot_sim.demos.commands', 'ConvertConfig', 'convert'),
    'demos info': Command(
        'say what a folder of demonstrations holds, and whether all of it is intact',
        'gaze-robot demos info demos/mine',
        'gaze_robot_sim.demos.commands', 'InfoConfig', 'info'),
    'demos play': Command(
        'film a demonstration: what could be seen, joints, actions, instruction',
        'gaze-robot demos play demos/mine 0 --out demo.mp4',
        'gaze_robot_sim.demos.play', 'PlayConfig', 'play'),
    'check-params': Command(
        'check a file of parameters without ROS: names the line, the range, the known keys',
        'gaze-robot check-params config/gaze_robot.yaml',
        'gaze_robot.check_params', 'CheckParamsConfig', 'check_params'),
    'emulate': Command(
        'be a head on a wire, without hardware: dynamixel, feetech, pelco_d or onvif',
        'gaze-robot emulate dynamixel --duration 60',
        'gaze_robot.emulators.command', 'EmulateConfig', 'emulate'),
    'calibrate board': Command(
        'write a calibration board to print, true to scale',
        'gaze-robot calibrate board --board charuco:9x6:28 --out board.pdf',
        'gaze_robot.calibration.commands', 'BoardConfig', 'print_board'),
    'calibrate camera': Command(
        'find the lens of a camera from views of a board: pictures, a video, or live',
        'gaze-robot calibrate camera --source pictures --board charuco:9x6:28',
        'gaze_robot.calibration.commands', 'CalibrateCameraConfig', 'calibrate_camera'),
    'calibrate head': Command(
        'move a head before a fixed board: zeros, directions, axes, how the camera sits',
        'gaze-robot calibrate head --board charuco:9x6:28 --board-pan-deg 0',
        'gaze_robot.calibration.head_command', 'CalibrateHeadConfig', 'calibrate_head'),
    'calibrate latency': Command(
        'step a head and watch the picture: how late it follows, and how evenly',
        'gaze-robot calibrate latency --out calibration.yaml',
        'gaze_robot.calibration.latency_command', 'CalibrateLatencyConfig', 'calibrate_latency'),
    'export': Command(
        'write perception as a graph for ONNX Runtime or OpenVINO, checked against torch',
        'gaze-robot export --out runs/exported',
        'gaze_robot_sim.exporting', 'ExportConfig', 'export'),
    'weights list': Command(
        'name the pretrained weights there are: licence, size, whether they are here',
        'gaze-robot weights list',
        'gaze_robot.backbones.commands', 'ListConfig', 'list_weights'),
    'weights pull': Command(
        'download pretrained weights after showing their licence, checked by hash, resumable',
        'gaze-robot weights pull dinov2-small',
        'gaze_robot.backbones.commands', 'PullConfig', 'pull_weights'),
    'weights verify': Command(
        'hash pretrained weights again: is what is here still what was published',
        'gaze-robot weights verify dinov2-small',
        'gaze_robot.backbones.commands', 'VerifyConfig', 'verify_weights'),
    'explain': Command(
        'draw which parts of a picture the search, or the move chosen, comes from',
        'gaze-robot explain room.png --exemplar thing.png --out explain.png',
        'gaze_robot.explain.command', 'ExplainConfig', 'run_explain'),
    'people': Command(
        'find heads in a picture or video and where each person looks; nobody is identified',
        'gaze-robot people party.jpg --out looks.png --json looks.json',
        'gaze_robot.people.command', 'PeopleConfig', 'run_people'),
    'bench latency': Command(
        "measure from a picture's stamp to its command, between processes, beside a bare listener",
        'gaze-robot bench latency --json latency.json',
        'gaze_robot_sim.benchmark_latency', 'BenchLatencyConfig', 'bench_latency'),
    'bench control': Command(
        'measure how the head moves: pursuit, saccades, old pictures, jitter of its loop',
        'gaze-robot bench control --json control.json --picture control.png',
        'gaze_robot_sim.benchmark_control', 'BenchControlConfig', 'bench_control'),
    'bench viewer': Command(
        'measure what browsers that look on cost a robot: image to command, with and without',
        'gaze-robot bench viewer --json viewer.json',
        'gaze_robot.viewer.benchmark', 'BenchViewerConfig', 'bench_viewer'),
    'bench bcrl': Command(
        'train BC-RL without each of its parts, several seeds each: an ablation table',
        'gaze-robot bench bcrl --out runs/ablation --json ablation.json',
        'gaze_robot_sim.ablate_bcrl', 'AblateBcrlConfig', 'ablate_bcrl'),
    'bench workspace': Command(
        'measure how fast the physics workspaces step and are drawn',
        'gaze-robot bench workspace --json workspace.json',
        'gaze_robot_sim.physics.benchmark', 'BenchWorkspaceConfig', 'bench_workspace'),
    'bench encoder': Command(
        'measure what foveation saves: tokens and time beside a uniform view as sharp',
        'gaze-robot bench encoder --json encoder.json',
        'gaze_robot_sim.benchmark_encoder', 'BenchEncoderConfig', 'bench_encoder'),
    'bench people': Command(
        'measure what people cost: the robot step with three of them, twelve beside one',
        'gaze-robot bench people --picture one.jpg two.jpg --json people.json',
        'gaze_robot_sim.benchmark_people', 'BenchPeopleConfig', 'bench_people'),
    'bench render': Command(
        'measure how fast eyes see on this machine, beside a plain renderer',
        'gaze-robot bench render --json bench.json',
        'gaze_robot_sim.benchmarks', 'BenchRenderConfig', 'bench_render'),
}
DOCTOR = 'say what is installed, what is missing, and how to get it'


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 doctor found something the loop cannot run without, 2 refused (stderr says why,
        one line for each thing), 130 interrupted.
    """
    try:
        return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except GazeRobotError as error:
        for text in getattr(error, 'lines', (str(error),)):
            print(f'gaze-robot: {" ".join(text.split())}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('gaze-robot: stopped', file=sys.stderr)
        return 130


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ('-h', '--help'):
        print(_overview())
        return 0 if argv else 2
    if argv[0] == '--version':
        print(f'gaze_robot {__version__}')
        return 0
    if argv[0] == 'doctor':
        return _doctor(argv[1:])
    for words in (2, 1):
        name = ' '.join(argv[:words])
        if name in COMMANDS:
            return _run(name, argv[words:])
    family = [name for name in COMMANDS if name.split()[0] == argv[0]]
    if family and (len(argv) == 1 or argv[1] in ('-h', '--help')):
        print(_overview(family))
        return 0 if len(argv) > 1 else 2
    asked = ' '.join(word for word in argv[:2] if not word.startswith('-')) or argv[0]
    near = difflib.get_close_matches(asked, [*COMMANDS, 'doctor'], n=1, cutoff=0.4)
    hint = f'; did you mean "{near[0]}"?' if near else ''
    raise ConfigError(f'there is no command "{asked}"{hint} '
                      f'Commands: {", ".join([*COMMANDS, "doctor"])}.')


def _overview(names: Sequence[str] = ()) -> str:
    rows = [(name, COMMANDS[name].summary) for name in names or COMMANDS]
    if not names:
        rows.append(('doctor', DOCTOR))
    widest = max(len(name) for name, _ in rows)
    lines = [f'  {name:<{widest}}  {summary}' for name, summary in rows]
    return '\n'.join([
        'usage: gaze-robot COMMAND [options]', '', *lines, '',
        'Every command explains itself and shows an example with --help; all take --seed N and',
        '--json FILE. gaze-robot --version prints the version.'])


def _run(name: str, argv: list[str]) -> int:
    """Parse the options of a command, run it, show and write what it returns."""
    command = COMMANDS[name]
    tyro = require('tyro')
    module = require(command.module)
    config: Any = _naming_required(getattr(module, command.config))
    options = dataclasses.make_dataclass('Options', [
        ('config', Annotated[config, tyro.conf.arg(name='')]),
        ('json', Annotated[Path | None, tyro.conf.arg(
            help='Write the result here.', metavar='FILE')], None)])
    parsed: Any = tyro.cli(
        options, args=argv, prog=f'gaze-robot {name}',
        description=f'{_capital(command.summary)}.\n\nExample:\n  {command.example}',
        config=(tyro.conf.PositionalRequiredArgs,))
    work: Callable[[Any], dict[str, Any]] = getattr(module, command.function)
    if parsed.json is not None:
        check_writable(str(parsed.json), '--json')
    result = _plain(work(parsed.config))
    _show(result)
    _write(parsed.json, result)
    return 0


def _naming_required(config: type) -> type:
    """The same options, where those without a default are called by their name in the help."""
    tyro = require('tyro')
    required = [field.name for field in dataclasses.fields(config)
                if field.default is field.default_factory is dataclasses.MISSING]
    named = []
    for name in required:
        kind = get_type_hints(config)[name]
        if kind is str:
            named.append((name, Annotated[str, tyro.conf.arg(metavar=name.upper())]))
        elif get_origin(kind) is tuple:
            one = f'[{name.upper().removesuffix("S")} ...]'
            named.append((name, Annotated[kind, tyro.conf.arg(metavar=one)]))
    return dataclasses.make_dataclass(config.__name__, named, bases=(config,), frozen=True
                                      ) if named else config


def _doctor(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        'gaze-robot doctor', description=f'{_capital(DOCTOR)}.',
        epilog='Examples:\n  gaze-robot doctor --json doctor.json\n  gaze-robot doctor --live',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='seed of the picture that the self-test looks at (default: 0)')
    parser.add_argument('--live', action='store_true',
                        help='look at the running robot instead: what is wrong, what to do')
    parser.add_argument('--seconds', type=float, default=5.0, metavar='S',
                        help='with --live: how long to look (default: 5)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the result here')
    parsed = parser.parse_args(argv)
    if parsed.json is not None:
        check_writable(str(parsed.json), '--json')
    doctor = require('gaze_robot.doctor')
    rows = require('gaze_robot.live').check_live(parsed.seconds) if parsed.live \
        else doctor.check(seed=parsed.seed)
    for row in rows:
        print(doctor.line(row))
    fit = doctor.fit(rows)
    _write(parsed.json, {'fit': fit, 'rows': [dataclasses.asdict(row) for row in rows]})
    return 0 if fit else 1


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _show(result: dict[str, Any]) -> None:
    """Print a result as a table: one line per figure, nested ones with dotted names."""
    require('rich')
    table = require('rich.table').Table(show_header=False, box=None, pad_edge=False)
    for name, value in _figures(result):
        table.add_row(name, value)
    require('rich.console').Console().print(table)


def _figures(result: dict[str, Any], prefix: str = '') -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in result.items():
        if isinstance(value, dict):
            rows += _figures(value, f'{prefix}{key}.') or [(f'{prefix}{key}', 'none')]
        elif isinstance(value, float):
            rows.append((prefix + key, f'{value:.4g}'))
        elif not isinstance(value, list) or len(value) <= 8:
            rows.append((prefix + key, '-' if value is None else str(value)))
    return rows


def _write(path: Path | None, result: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_plain(result), indent=2, allow_nan=False)
        path.write_text(text + '\n', encoding='utf-8')


def _plain(value: Any) -> Any:
    """The same in JSON's own types; what is not a finite number becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, 'tolist'):               # numpy scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


if __name__ == '__main__':
    sys.exit(main())
