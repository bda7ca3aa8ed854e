"""Closing the loop: finetuning a model on the pool's data, and measuring what that changed."""
