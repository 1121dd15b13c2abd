"""What computes the network's forward pass: torch, ONNX Runtime or OpenVINO, behind one call."""

from gaze_robot.runtime.base import Runtime as Runtime
from gaze_robot.runtime.base import TorchRuntime as TorchRuntime
