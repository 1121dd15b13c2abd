"""The package's own papers agree with each other and with the code."""

import ast
import importlib
from pathlib import Path
import re
import shlex
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import tyro
import yaml

from gaze_robot import __version__, cli

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()


@pytest.fixture(scope='module')
def setup_arguments() -> dict:
    """What setup.py passes to setup(), without running a build."""
    code = ('import json, runpy, setuptools\n'
            'seen = {}\n'
            'setuptools.setup = seen.update\n'
            "runpy.run_path('setup.py')\n"
            "del seen['cmdclass']\n"
            'print(json.dumps(seen))')
    pytest.importorskip('setuptools', reason='setuptools is what setup.py runs with')
    run = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, text=True,
                         capture_output=True, timeout=60, check=True)
    arguments = ast.literal_eval(run.stdout.replace('false', 'False').replace('true', 'True'))
    assert isinstance(arguments, dict)
    return arguments


def test_versions_agree(setup_arguments: dict) -> None:
    assert MANIFEST.findtext('version') == setup_arguments['version'] == __version__


def test_names_and_licence_agree(setup_arguments: dict) -> None:
    assert MANIFEST.findtext('name') == setup_arguments['name'] == 'gaze_robot'
    assert MANIFEST.findtext('license') == setup_arguments['license'] == 'Apache-2.0'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()
    assert MANIFEST.get('format') == '3'
    assert MANIFEST.findtext('export/build_type') == 'ament_python'


def test_package_xml_asks_for_no_torch() -> None:
    """Rosdep has no torch for most platforms: one missing key would stop every build."""
    keys = [element.text or '' for element in MANIFEST
            if element.tag == 'depend' or element.tag.endswith('_depend')]
    assert 'rclpy' in keys
    assert not [key for key in keys if 'torch' in key]


def test_package_xml_names_every_message_package_the_code_imports() -> None:
    declared = {element.text for element in MANIFEST if element.tag.endswith('depend')}
    optional = {'vision_msgs', 'control_msgs', 'tf2_msgs'}
    used = set()
    for path in [*(ROOT / 'gaze_robot' / 'nodes').glob('*.py'),
                 ROOT / 'sim' / 'gaze_robot_sim' / 'world_node.py']:
        used |= set(re.findall(r'^\s*(?:from|import) (\w+_(?:msgs|srvs|interfaces))\b',
                               path.read_text(), re.MULTILINE))
    assert len(used) > 3
    assert used - optional <= declared


def test_executables_exist_and_can_be_called(setup_arguments: dict) -> None:
    entries = setup_arguments['entry_points']['console_scripts']
    scripts = dict(entry.split(' = ') for entry in entries)
    assert set(scripts) == {
        'gaze-robot', 'gaze_node', 'pan_tilt_node', 'camera_node', 'viewer_node', 'world_node'}
    for target in scripts.values():
        module, function = target.split(':')
        base = ROOT / 'sim' if module.startswith('gaze_robot_sim') else ROOT
        source = (base / (module.replace('.', '/') + '.py')).read_text()
        functions = {node.name: node for node in ast.parse(source).body
                     if isinstance(node, ast.FunctionDef)}
        arguments = functions[function].args
        assert len(arguments.args) == len(arguments.defaults), f'{target} needs arguments'


def test_every_package_folder_is_installed(setup_arguments: dict) -> None:
    folders = {path.parent.relative_to(base).as_posix().replace('/', '.')
               for base, name in ((ROOT, 'gaze_robot'), (ROOT / 'sim', 'gaze_robot_sim'))
               for path in (base / name).rglob('*.py')}
    assert set(setup_arguments['packages']) == folders


def test_share_files_are_there(setup_arguments: dict) -> None:
    files = dict(setup_arguments['data_files'])
    assert files['share/ament_index/resource_index/packages'] == ['resource/gaze_robot']
    assert files['share/gaze_robot'] == ['package.xml']
    assert 'launch/bringup.launch.py' in files['share/gaze_robot/launch']
    assert 'config/gaze_robot.yaml' in files['share/gaze_robot/config']
    on_disk = {path.relative_to(ROOT).as_posix() for folder in ('launch', 'config')
               for path in (ROOT / folder).rglob('*') if path.is_file() and '__' not in str(path)}
    assert on_disk == {*files['share/gaze_robot/launch'], *files['share/gaze_robot/config']}
    assert (ROOT / 'setup.cfg').read_text().count('$base/lib/gaze_robot') == 2


def test_colcon_would_run_pytest(setup_arguments: dict) -> None:
    extras = setup_arguments['extras_require']
    assert any(line.startswith('pytest') for line in extras['test'])
    assert not [line for line in setup_arguments['install_requires'] if line.startswith('ros-')]


def test_workflows_name_what_there_is() -> None:
    """They cannot run here; at least their parts exist."""
    ros = yaml.safe_load((ROOT / '.github' / 'workflows' / 'ros.yml').read_text())
    steps = '\n'.join(step.get('run', '') for step in ros['jobs']['colcon']['steps'])
    asked = re.search(r'for name in (.*); do', steps).group(1).split()
    assert set(asked) == {path.name.removesuffix('.launch.py')
                          for path in (ROOT / 'launch').glob('*.launch.py')}
    assert (ROOT / 'constraints-ros.txt').is_file()
    assert 'constraints-ros.txt' in steps
    assert int(ros['jobs']['colcon']['env']['MIN_TESTS']) >= 900
    plain = yaml.safe_load((ROOT / '.github' / 'workflows' / 'ci.yml').read_text())
    assert plain['jobs']['wheels']['steps'][-1]['run'] == 'bash .ci/run'


def test_the_changelog_has_this_version_on_top() -> None:
    versions = re.findall(r'^## \[([\d.]+)\]', (ROOT / 'CHANGELOG.md').read_text(), re.MULTILINE)
    assert versions[0] == __version__ == MANIFEST.findtext('version')


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md'), ROOT / 'sim/README.md']:
        for target in re.findall(r'\]\(([^)#]+)\)', document.read_text()):
            if '://' not in target:
                assert (document.parent / target).exists(), f'{document.name}: {target}'


def requirement(line: str) -> str:
    return re.split(r'[\[<>=; ]', line)[0].lower().replace('_', '-')


def test_every_direct_dependency_has_a_tested_version(setup_arguments: dict) -> None:
    pinned = {requirement(line) for line in (ROOT / 'constraints.txt').read_text().splitlines()
              if line and not line.startswith('#')}
    wanted = {requirement(line) for line in setup_arguments['install_requires']}
    for lines in setup_arguments['extras_require'].values():
        wanted |= {requirement(line) for line in lines}
    assert len(wanted) > 10
    assert wanted <= pinned


def shell_blocks(text: str) -> list[str]:
    """Command lines of the ```bash blocks, continued lines joined."""
    blocks = re.findall(r'^```bash\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    joined = '\n'.join(blocks).replace('\\\n', ' ')
    return [line.strip() for line in joined.splitlines() if line.strip()]


def documented_commands() -> list[str]:
    """Arguments of every gaze-robot call in the documents and in the Makefile."""
    lines = [line.strip().replace('$(BIN)/', '').replace('$(ARGS)', '')
             for line in (ROOT / 'Makefile').read_text().splitlines() if 'gaze-robot' in line]
    for name in ('README.md', 'CONTRIBUTING.md'):
        lines += shell_blocks((ROOT / name).read_text())
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r'\w+=.*', words[0]):
            words.pop(0)
        if words and words[0].split('/')[-1] == 'gaze-robot':
            found.append(shlex.join(words[1:]))
    return found


def parse_only(words: list[str]) -> None:
    """Parse a gaze-robot command line as cli would, and run nothing."""
    name = next(' '.join(words[:n]) for n in (2, 1) if ' '.join(words[:n]) in cli.COMMANDS)
    options = words[len(name.split()):]
    if '--json' in options:
        at = options.index('--json')
        del options[at:at + 2]
    command = cli.COMMANDS[name]
    module = importlib.import_module(command.module)
    tyro.cli(getattr(module, command.config), args=options,
             config=(tyro.conf.PositionalRequiredArgs,))


def test_documents_show_commands() -> None:
    assert len(documented_commands()) >= 5


@pytest.mark.parametrize('line', documented_commands())
def test_documented_command_parses(line: str) -> None:
    words = shlex.split(line)
    if words[0] == 'doctor':
        assert set(words[1:]) <= {'--json', 'doctor.json'}
    elif words[-1] == '--help':
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 0
    else:
        parse_only(words)


@pytest.mark.parametrize('name', list(cli.COMMANDS))
def test_example_of_help_parses(name: str) -> None:
    words = shlex.split(cli.COMMANDS[name].example)
    assert words[0] == 'gaze-robot'
    parse_only(words[1:])


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r'^([a-z]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    asked = {words[1] for name in ('README.md', 'CONTRIBUTING.md')
             for words in map(str.split, shell_blocks((ROOT / name).read_text()))
             if words[0] == 'make' and len(words) > 1}
    assert {'demo', 'test'} <= asked <= targets
