"""The method: a session walks a pool through rounds of six or seven stages."""
