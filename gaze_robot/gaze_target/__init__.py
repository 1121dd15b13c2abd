"""Tokens in, places worth looking at out."""
