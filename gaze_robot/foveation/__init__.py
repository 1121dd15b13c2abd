"""Sharp where it looks, coarse around: pictures in, foveated views out."""

from gaze_robot.foveation.front_end import FrontEnd as FrontEnd
from gaze_robot.foveation.front_end import PyramidFrontEnd as PyramidFrontEnd
from gaze_robot.foveation.integral import IntegralFoveator as IntegralFoveator
from gaze_robot.foveation.log_polar import LogPolarFrontEnd as LogPolarFrontEnd
from gaze_robot.foveation.pattern import FoveationPattern as FoveationPattern
from gaze_robot.foveation.pyramid import FILL as FILL
from gaze_robot.foveation.pyramid import Foveator as Foveator
from gaze_robot.foveation.registry import FRONT_ENDS as FRONT_ENDS
from gaze_robot.foveation.registry import make_front_end as make_front_end
from gaze_robot.foveation.rings import RingsFrontEnd as RingsFrontEnd
