"""Studies: a sample of tasks that a person rates, or two models' answers that he grades blind."""
