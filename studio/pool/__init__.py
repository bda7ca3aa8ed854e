"""The pool: one SQLite file that holds every task, request, completion, candidate and decision."""
