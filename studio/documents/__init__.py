"""Texts of any kind as a source of instructions: found, read, and cut into passages."""
