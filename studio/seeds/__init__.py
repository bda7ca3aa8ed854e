"""Seed files: reading them, naming every fault in them, and which of the seeds are kept apart."""
