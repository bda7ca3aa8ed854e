"""Engines complete requests: llama.cpp on this machine, or a script."""
