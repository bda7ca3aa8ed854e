"""What people and judges say of the data: reviews, blind comparisons of answers, judges' opinions, and how far they agree."""
