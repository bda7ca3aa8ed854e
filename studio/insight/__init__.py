"""What a pool's data is: figures, beside those of the paper."""
