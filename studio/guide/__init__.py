"""The guide: short pages that come with the program, read by `studio help`, by the terminal studio, and on the web as they are.

>>> title("pool")
'The pool and its SQL'
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

TOPICS = (
    "keys",
    "settings",
    "data",
    "models",
    "servers",
    "pool",
    "know",
    "import",
    "documents",
    "export",
    "finetune",
    "reproducibility",
    "troubleshooting",
    "assistants",
    "architecture",
)
"""The pages in the order in which a newcomer reads them. Each is `<topic>.md` beside this file, but for that of assistants."""
SKILL = "self-instruct-studio"
"""The page for coding assistants is a skill, a file in a folder of its own name, with a header that says when it is of use."""
_HEADER = "---\n"


@cache
def skill() -> str:
    """Return the skill as its file has it: a header in YAML, then Markdown."""
    return files(__name__).joinpath("skills", SKILL, "SKILL.md").read_text(encoding="utf-8")


@cache
def page(topic: str) -> str:
    """Return a page as Markdown, its first line the title. Raises KeyError for what is no topic."""
    if topic not in TOPICS:
        raise KeyError(topic)
    if topic == "assistants":
        return skill().split(_HEADER, 2)[2].lstrip()
    return files(__name__).joinpath(f"{topic}.md").read_text(encoding="utf-8")


def title(topic: str) -> str:
    """Return the title of a page. Raises KeyError for what is no topic."""
    return page(topic).partition("\n")[0].removeprefix("# ")
