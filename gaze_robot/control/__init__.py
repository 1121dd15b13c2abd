"""Eye movements: where to point the head, when and how. numpy only.

poses -> where the head was when a picture was taken
tracker -> where its target is going
controller -> saccade, pursuit or rest
latency -> where the target will be when the command takes effect
setpoints, profile -> the way there, inside the limits
"""
