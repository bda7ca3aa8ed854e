"""What a person does to the pool: each action is written beside what the rule decided, and can be undone."""
