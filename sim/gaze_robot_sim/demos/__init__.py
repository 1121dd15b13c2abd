"""Demonstrations: what somebody saw while somebody's hand did a task, for the eye and the hand."""
