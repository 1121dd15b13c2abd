"""Why the eye looked there: the share of each token in what a head says."""

from gaze_robot.explain.attention import METHODS as METHODS
from gaze_robot.explain.attention import watching as watching
from gaze_robot.explain.drawing import Explanation as Explanation
from gaze_robot.explain.explainer import best_place as best_place
from gaze_robot.explain.explainer import chosen_action as chosen_action
from gaze_robot.explain.explainer import explain as explain
from gaze_robot.explain.explainer import Score as Score
