"""Texts that become markup where a page, a figure or a table does not escape them."""

import json
from html.parser import HTMLParser
from typing import Any

TAG, ATTRIBUTE = "xss", "onxss"
PAYLOAD = (
    f'<{TAG} {ATTRIBUTE}=1>"\' {ATTRIBUTE}="1&lt;{TAG}&gt;</script></style></title>--><!--'
    "\u2028\u2029\u202e\x1b[31m\n%{y} {{ 7777 * 7777 }} `|*_[x](javascript:1) \\"
)
FOLDER = PAYLOAD.replace("/", "∕").replace("\n", " ")  # as a folder can be called


class _Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.data: list[str] = []
        self.scripts: list[str] = []
        self.comments: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            kind = dict(attrs).get("type")
            self._open.append(kind or "javascript")

    def handle_endtag(self, tag):
        if tag == "script":
            self._open.pop()

    def handle_data(self, data):
        if self._open and self._open[-1] == "application/json":
            self.scripts.append(data)
        elif not self._open:
            self.data.append(data)

    def handle_comment(self, data):
        self.comments.append(data)


def parse_page(page: str) -> _Parser:
    """Parse a page as a browser does, and check that no payload became part of it."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert TAG not in parser.tags
    assert not [name for name, _ in parser.attributes if name.startswith("on")]
    assert not [v for n, v in parser.attributes if n in ("href", "src") and not v.startswith("#")]
    assert parser.comments == []
    assert "60481729" not in "".join(parser.data)  # a template's expression in a value
    return parser


def texts_in(value: Any) -> list[str]:
    """Return all texts in nested lists and mappings, including keys."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in texts_in(each)]
    return [text for each in value for text in texts_in(each)] if isinstance(value, list) else []


def check_figure(text: str) -> None:
    """Check that Plotly, which reads some HTML and ``%{fields}``, finds no payload in a figure."""
    assert not set("<>&\u2028\u2029") & set(text)  # nothing that could end its script element
    figure = json.loads(text)
    figure["layout"].pop("meta", None)  # for a menu, which takes plain text
    for trace in figure["data"]:
        trace.pop("meta", None)  # for a search
    for said in texts_in(figure):
        assert f"<{TAG}" not in said
        assert f"&lt;{TAG}&gt;</" not in said
        assert "%{y} {{" not in said
