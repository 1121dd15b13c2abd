"""Gymnasium environments; importing this registers them."""

import gymnasium

TASKS = ('Search', 'Track', 'Orient', 'Follow')

for task in TASKS:
    module = f'gaze_robot_sim.envs.{task.lower()}'
    gymnasium.register(f'gaze_robot/{task}-v0', f'{module}:{task}Env',
                       vector_entry_point=f'{module}:{task}VectorEnv')
