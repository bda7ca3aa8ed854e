"""What all of the pool stands on: the connection, the file and its writer, making one."""
