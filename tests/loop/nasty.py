"""Texts as no model should write them, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

_FRAGMENTS = [
    *("\n", "\n\n", " ", "\t", "\r\n", "\u2028", "\u00a0", "\x1c", ":", ".", "-", "###", "\ufeff", "\x00"),
    *("1", "9", "10", "16", "2016", "٣", "1.", "\n10. ", "\n11 . ", "\n12.", "\n 13. ", "\n14)", "\n1. ", "\n٣. ", "- ", "\n- ", "\n* "),
    *(
        "4. ",
        "4. Instruction:",
        "4. Input:",
        "4. Output:",
        "5. Instruction:",
        "5.\tInput:",
        "5. \n Output:",
        "14. Input:",
        "<noinput>",
        "<NoInput>",
    ),
    *(
        "Example",
        "Example 1",
        "Examples",
        "Example 2.",
        "\nExample 3\n",
        "Input:",
        "Input 1 :",
        "Output:",
        "Output 12:",
        "Output \n 1 \n:",
        "output:",
    ),
    *(
        "\n10) ",
        "\n**11.** ",
        "\n12、",
        "\n(1) ",
        "\nTask 10: ",
        "\nXI. ",
        "**",
        "```\n",
        "~~~",
        "\nOutput：",
        "\n**Input:** ",
        "\nAnswer: ",
    ),
    *("Class label:", "Class label: ", "\nClass label: yes\n", "class label:", "Task:", "Yes", "No"),
    *(
        "Write a program",
        "write a PROGRAM that",
        "Draw",
        "image",
        "IMAGES",
        "go to",
        "go  to",
        "go\nto",
        "ﬁles",
        "ſ",
        "mapſ",
        "İmage",
        "photograph",
    ),
    *("Explain this", "the capital of France", "do it now please", "a b c d", "DNA", "Python", "x " * 151, "same", "same:"),
    *("¿Qué es esto ahora?", "“Quote”", "(paren", "ß", "Ǆ", "ŉ", "中文指令", "الترجمة", "é", "e\u0301", "\U0001f600", "K", "\ud800"),
]

nasty_text = st.lists(st.one_of(st.sampled_from(_FRAGMENTS), st.text(max_size=4)), max_size=30).map("".join)
spaced_nasty_text = st.lists(st.one_of(st.sampled_from(_FRAGMENTS), st.text(max_size=4)), max_size=30).map(" ".join)
any_text = st.one_of(nasty_text, spaced_nasty_text, st.text(max_size=200))
