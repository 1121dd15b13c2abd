"""Gymnasium environments; importing this registers them."""

import gymnasium

gymnasium.register('gaze_robot/Search-v0', 'gaze_robot_sim.envs.search:SearchEnv')
