"""The stages of a round: a stage reads what the stage before it committed and commits its own work whole."""
