"""The llama.cpp engine in a process of its own: the studio's side, the pipe, and the model's side."""
