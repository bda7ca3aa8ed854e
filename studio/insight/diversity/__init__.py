"""How diverse a pool's instructions are: in their words, and in their root verbs and objects."""
