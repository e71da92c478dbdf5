"""Render HTML pages from templates; every text is escaped unless it is this package's own."""

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from seqtext.display import make_printable

JSON_ESCAPES = {
    character: f"\\u{ord(character):04x}" for character in ("<", ">", "&", "\u2028", "\u2029")
}


def render_page(package: str, template: str, **values: Any) -> str:
    """Render a template of a package's folder ``templates``; texts in `values` are escaped.

    Args:
        package: such as ``seqtext.reporting``
        values: texts, numbers, and sequences or objects of these; only `Markup` is used as HTML
    """
    return _build_environment(package).get_template(template).render(**values)


def escape_json(text: str) -> Markup:
    """Escape JSON for a ``<script>`` element, so that no text in it can end the element."""
    for character, escaped in JSON_ESCAPES.items():
        text = text.replace(character, escaped)
    return Markup(text)


def read_asset(package: str, name: str) -> Markup:
    """Read a style sheet or a script of a package, to be inserted in a page verbatim."""
    return Markup(resources.files(package).joinpath(name).read_text(encoding="utf-8"))


def hash_script(text: str) -> str:
    """Return the source expression that lets a Content-Security-Policy run this inline script."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _build_environment(package: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_make_printable,
    )
    environment.globals["zip"] = zip
    return environment


def _make_printable(value: Any) -> Any:
    """Replace bidi overrides and characters that UTF-8 cannot encode."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return make_printable(value, keep="\n\t")
    return value
