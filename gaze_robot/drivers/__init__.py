"""Heads that can be pointed: one protocol, one file per head, one registry."""
