"""Sharp where it looks, coarse around: pictures in, foveated views out."""

from gaze_robot.foveation.front_end import FrontEnd as FrontEnd
from gaze_robot.foveation.front_end import PyramidFrontEnd as PyramidFrontEnd
from gaze_robot.foveation.pattern import FoveationPattern as FoveationPattern
from gaze_robot.foveation.pyramid import FILL as FILL
from gaze_robot.foveation.pyramid import Foveator as Foveator
