from glob import glob

from setuptools import find_packages, setup
from setuptools.command.develop import develop

PACKAGE = 'gaze_robot'


class Develop(develop):
    """What colcon build --symlink-install calls, made to obey setup.cfg's `executable` too.

    setuptools writes the interpreter that ran colcon into the scripts; torch usually lives in a
    virtual environment, and then an active one must win, as it does after a copying build.
    """

    def write_script(self, script_name, contents, *rest):
        body = contents.partition('\n')[2]
        super().write_script(script_name, '#!/usr/bin/env python3\n' + body, *rest)


setup(
    name=PACKAGE,
    version='0.1.0',
    description='A robot eye: foveated, it searches for what it is shown, finds it and holds it.',
    maintainer='gaze_robot maintainers',
    maintainer_email='maintainers@example.com',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']) + find_packages(where='sim'),
    package_dir={'gaze_robot_sim': 'sim/gaze_robot_sim'},
    package_data={PACKAGE: ['py.typed', 'weights/*', 'weights/*/*', 'weights/*/*/*/*',
                            'viewer/static/*'],
                  'gaze_robot_sim': ['physics/models/*.xml']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', sorted(glob('launch/*.launch.py'))),
        (f'share/{PACKAGE}/config', sorted(glob('config/*'))),
    ],
    # Lower bounds are what Ubuntu 24.04 packages, so that a ROS installation is left as it is;
    # the tested versions are in constraints.txt. Headless: no libGL or X11 on a bare machine.
    install_requires=[
        'numpy>=1.26',
        'opencv-python-headless>=4.6,<5',
        'PyYAML>=6',
        'rich>=13',
        'safetensors>=0.4',
        'tyro>=0.9',
    ],
    extras_require={
        # torch stays out of install_requires: a board that only drives motors has no use for it.
        'torch': ['torch>=2.8'],
        'sim': [
            'torch>=2.8', 'gymnasium>=1.0,<2', 'stable-baselines3>=2.7', 'tensorboard', 'tqdm',
            'matplotlib', 'pillow', 'pygame>=2.1.3',
        ],
        # Faster on a CPU than torch; gaze_node takes the fastest of those that are there.
        'runtimes': ['onnx>=1.16', 'onnxruntime>=1.18', 'openvino>=2024.4'],
        # DINOv2 and DINOv3, and `gaze-robot weights`.
        'backbones': ['torch>=2.8', 'transformers>=5.20', 'huggingface_hub>=1.31'],
        # Following people's heads from picture to picture.
        'people': ['norfair-enough>=2.4'],
        # Recordings of topics, MCAP and sqlite3.
        'bags': ['rosbags>=0.11'],
        # The page to watch and steer by.
        'viewer': ['nicegui>=3.2,<4', 'fastapi', 'uvicorn'],
        # Demonstrations of LeRobot (parquet) and EyeRobot (HDF5).
        'demos': ['pyarrow>=14', 'h5py>=3.10'],
        # Workspaces with an arm, and its inverse kinematics.
        'physics': ['mujoco>=3.3', 'mink>=1.0', 'daqp>=0.7'],
        # Real heads on serial ports; ONVIF cameras need nothing.
        'hardware': ['dynamixel-sdk>=3.7', 'pyserial>=3.5'],
        # Never beside a ROS installation: there rclpy comes from the installation.
        'ros': ['ros-jazzy-rclpy[fastrtps]', 'ros-jazzy-common-interfaces'],
        # Without an extra named test that has pytest, colcon test runs nothing and passes.
        'test': ['pytest>=7.4', 'hypothesis', 'ruff', 'mypy', 'types-PyYAML', 'playwright>=1.45'],
    },
    zip_safe=False,
    cmdclass={'develop': Develop},
    entry_points={'console_scripts': [
        'gaze-robot = gaze_robot.cli:main',
        'gaze_node = gaze_robot.nodes.gaze_node:main',
        'pan_tilt_node = gaze_robot.nodes.pan_tilt_node:main',
        'camera_node = gaze_robot.nodes.camera_node:main',
        'viewer_node = gaze_robot.nodes.viewer_node:main',
        'world_node = gaze_robot_sim.world_node:main',
    ]},
)
