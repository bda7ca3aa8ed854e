"""A pool as one HTML page that loads nothing and runs no script: what one would publish beside the dataset."""
