"""Where tasks come from: the story of one, its family, and the lineage of a whole pool."""
