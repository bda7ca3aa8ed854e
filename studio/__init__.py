"""Self-Instruct Studio: a local language model writes its own instruction-tuning data, with every decision on record."""

__version__ = "0.1.0"
