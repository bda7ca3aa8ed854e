"""Texts that break careless readers and writers. Each survives storing and exporting as it is."""

from __future__ import annotations

NASTY_TEXTS = (
    "line\u2028separator, paragraph\u2029separator, next\u0085line",
    "controls \x00\x01\x07\x0b\x0c\x1b\x1c\x1d\x1e\x1f\x7f",
    "\r\nmixed\rline\nends\n\r",
    'quotes " and \\" and \\\\ and \' and `',
    "</script><!-- & &amp; -->, a,b;c\td|e",
    "emoji 😀 family 👩‍👩‍👧‍👦 flag 🇩🇪",
    "عربي ثم English ثم عربي \u202e reversed \u202c",
    "漢字かな交じり文 한국어 ภาษาไทย",
    "combining e\u0301 and \u1ab0, zero\u200bwidth, bom\ufeff inside",
    "private \ue000 noncharacter \uffff and \U0010ffff",
    '{"instruction": "not an object"}\n{"x": 1}',
    "NaN",
    "  leading and trailing  ",
    "=SUM(A1) | <unk> | <|endoftext|>",
)
