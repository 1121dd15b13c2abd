"""Recordings of ROS topics as files, without a ROS installation: MCAP and sqlite3 bags."""
