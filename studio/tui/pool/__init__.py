"""The pool screen: find, read and judge its tasks."""
