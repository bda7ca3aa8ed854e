"""What is wrong with a pool: the lints, which `run` names."""
