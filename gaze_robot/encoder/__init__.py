"""Foveated views in, tokens out: one sequence over all levels, positions in visual angle."""

from gaze_robot.encoder.pruning import Fusion as Fusion
from gaze_robot.encoder.pruning import TokenBudget as TokenBudget
from gaze_robot.encoder.tokens import Cutter as Cutter
from gaze_robot.encoder.tokens import patchify as patchify
from gaze_robot.encoder.tokens import TokenLayout as TokenLayout
from gaze_robot.encoder.vit import Block as Block
from gaze_robot.encoder.vit import EncoderConfig as EncoderConfig
from gaze_robot.encoder.vit import FoveatedViT as FoveatedViT
from gaze_robot.encoder.vit import Watch as Watch
