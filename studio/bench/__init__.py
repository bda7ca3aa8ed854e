"""Measurements of this machine: what the studio's own parts do, side by side with the plain way of doing it."""
