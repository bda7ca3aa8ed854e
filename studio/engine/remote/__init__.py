"""Models behind a server of OpenAI's completions protocol; `engine.RemoteEngine` is the way in."""
