"""The base template of all HTML pages."""

import json

from markupsafe import Markup

from seqtext.html_templates import escape_json, render_page


def test_json_ends_no_script():
    value = {"a": "</script><!--\u2028\u2029&"}
    text = escape_json(json.dumps(value, ensure_ascii=False))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_templates_escape_by_default():
    page = render_page(
        "seqtext.inference",
        "explanations.html.j2",
        style=Markup("a > b {}"),
        about="<b>\"'\u202e",
        method="<i>",
        scale="&",
        legend=[],
        explanations=[],
    )
    assert "&lt;b&gt;&#34;&#39;\ufffd" in page
    assert "&lt;i&gt; &amp;" in page
    assert "a > b {}" in page
