"""BC-RL: the eye learns to look because the hand needs to see."""
