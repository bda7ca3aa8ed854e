"""llama.cpp in this process: model, contexts, prefixes, decoding. Only here is `llama_cpp` imported, by those who use it."""
