"""Figures of a pool: the paper's table 1, lengths, scores, costs, and how fast the pool fills up."""
