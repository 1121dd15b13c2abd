"""The ROS 2 face of the package: the only place, with the simulator's world_node, that uses rclpy.

This module imports nothing, so the names below can be looked up on a machine without ROS.
"""
