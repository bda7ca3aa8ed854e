"""The pool: one SQLite file that holds every task, request, candidate, decision and judgement."""
