"""What is wrong with a pool: the lints. To add one, write a module with a LINT and name it in `registry`."""
