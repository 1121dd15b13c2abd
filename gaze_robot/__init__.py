"""gaze_robot: a robot eye that searches for what it is shown, finds it and holds it.

    camera -> foveation -> encoder -> gaze_target -> policy -> controller -> driver
                  ^                                     |
                  +------------- fixation --------------+

A map, in reading order; nothing here is imported until you import it:

    types, geometry     the nouns and the signs; with these two every signature is readable
    camera              pixel <-> ray for pinhole and fisheye lenses
    pipeline            the whole runtime: GazePipeline.step(frame, pose) -> GazeResult
    foveation           picture + fixation -> a view sharp in the middle, coarse around
    encoder             foveated view -> features
    gaze_target         features -> where to look, how sure, and whether it is in view at all
    people              heads in pictures, and where their owners look
    policy              features, target, pose and memory -> fixation
    control             fixation -> saccade or pursuit; latency, setpoints inside the limits
    head_geometry       how the camera sits on the head's two axes
    calibration         measuring camera, head and dead time with a printed board
    drivers             heads that can be pointed, behind one five-method protocol
    nodes               the ROS 2 face; the only place that imports rclpy
    config, checkpoint  settings and weights, both refused when they do not fit
    errors              GazeRobotError and its children: everything raised on purpose
    bringup, doctor     the composed run, and what this machine is missing

The simulator and the training live in the package `gaze_robot_sim`.
"""

__version__ = '0.1.0'
