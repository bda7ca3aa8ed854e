"""Files of tasks: brought into a pool, and written out of one."""
