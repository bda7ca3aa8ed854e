"""The studio screen: a round as it walks through its stages."""
