"""The simulator and the training: replaces a robot's camera and driver, nothing else."""
