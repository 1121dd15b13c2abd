"""Percepts and pose in, fixation out."""
