"""Measuring a camera, how it sits on its head, and how late the head follows. No ROS.

board, print_board -> what is looked at
views -> its corners in pictures, and which pictures are good enough
lens_fit, head_fit, dead_time -> the fits, each with what it is sure of, and what it refuses
files, drawing -> YAML that bringup loads, and residuals as pictures
commands, head_command -> `gaze-robot calibrate ...`
"""
