"""Where the `studio` command begins, and `python -m studio`, which is the same."""

import sys


def start() -> None:
    """Import the command line and run it; Ctrl-C ends it in a word, however early it comes."""
    try:
        from studio.cli import main

        main()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    start()
