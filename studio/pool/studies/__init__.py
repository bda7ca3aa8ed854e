"""Studies of the pool: reviews and comparisons by people, judges, trainings and evaluations."""
