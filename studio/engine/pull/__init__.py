"""Models of the hub: what a repository offers, loading a file of it so that breaks cost little, and where it came from afterwards."""
