"""The method: a session walks a pool through rounds of six stages."""
