"""The six stages of a round, one module each: a stage reads what the stage before it committed and commits its own work whole."""
