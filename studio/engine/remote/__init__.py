"""Models behind a server of OpenAI's completions protocol; `engine.open_remote` is the way in."""
