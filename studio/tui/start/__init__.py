"""The picker: which pool to go on with, or a new one."""
