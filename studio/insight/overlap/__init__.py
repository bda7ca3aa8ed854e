"""What texts have in common with others: exact ROUGE-L, shared runs of tokens, over pools and files."""
