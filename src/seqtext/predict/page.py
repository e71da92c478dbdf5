"""Explanations as one HTML page that needs nothing else: coloured words, numbers as tooltips."""

from collections.abc import Sequence
from html import escape

from seqtext.display import printable
from seqtext.predict.explain import ATTENTION, LINEAR, Explanation
from seqtext.predict.shown import number_of, strengths, strongest

MOST_NAMED = 6
FAINT = 0.02  # of the strongest word's weight: less has no colour
ABOUT = {
    ATTENTION: "The attention that the model paid to each word: of a text it adds up to 1, and "
    "says what was looked at, not for or against which class.",
    LINEAR: "What each word, with half of each pair that it stands in, adds to the score (logit) "
    "of the predicted class. The model is a sum, so this is exact.",
}
ABOUT_GRADIENTS = (
    "What each word adds to the score (logit) of the predicted class, against a text of as many "
    "unknown words, by integrated gradients (Sundararajan et al., 2017)."
)
SCALE = (
    "Colours are as strong as a word is beside the strongest of its text; point at a word for its "
    "number."
)
STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --wash: #f5f6f9; --line: #e3e5ec; --ink: #1c1f28; --soft: #5d6373;
  --for: 30 120 200; --against: 240 135 10;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161c; --wash: #20242e; --line: #2f3441; --ink: #eceef3; --soft: #9aa1b2;
    --for: 60 140 225; --against: 215 110 0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
}
main { max-width: 880px; margin: 0 auto; padding: 36px 24px 72px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
p { margin: 6px 0; }
.soft { color: var(--soft); font-size: 14px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 14px 0 26px; font-size: 14px; }
article { border-top: 1px solid var(--line); padding: 18px 0 14px; break-inside: avoid; }
header { display: flex; align-items: center; gap: 10px; font-variant-numeric: tabular-nums; }
header b { font-size: 17px; overflow-wrap: anywhere; }
.bar { width: 90px; height: 6px; border-radius: 3px; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--soft); }
.text { line-height: 1.9; overflow-wrap: anywhere; }
.text span, .legend span {
  padding: 2px 3px; border-radius: 4px; unicode-bidi: isolate;
  -webkit-print-color-adjust: exact; print-color-adjust: exact;
}
.for { background: rgb(var(--for) / calc(var(--s) * 0.65)); }
.against { background: rgb(var(--against) / calc(var(--s) * 0.65)); }
.unknown { color: var(--soft); text-decoration: underline dotted; text-underline-offset: 3px; }
.for.unknown, .against.unknown { color: inherit; }
.named { color: var(--soft); font-size: 13.5px; font-variant-numeric: tabular-nums; }
.named bdi { color: var(--ink); overflow-wrap: anywhere; }
"""


def page(explanations: Sequence[Explanation], about: str) -> str:
    """The whole page.

    Args:
        explanations: at least one
        about: a line on model and texts
    """
    method = explanations[0].method
    told = ABOUT.get(method, ABOUT_GRADIENTS)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Which words decided</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Which words decided</h1>
<p class="soft">{escape(about)}</p>
<p>{told} {SCALE}</p>
<p class="legend">{_legend(method)}</p>
{"".join(map(_article, explanations))}
</main>
</body>
</html>
"""


def _legend(method: str) -> str:
    kinds = [("for", "for the predicted class"), ("against", "against it")]
    if method == ATTENTION:
        kinds = [("for", "attention")]
    shown = [
        f'<span class="{kind}" style="--s:{strength}">{words}</span>'
        for kind, words in kinds
        for strength, words in ((0.35, "a little"), (1, words))
    ]
    return "".join([*shown, '<span class="unknown">unknown to the model</span>'])


def _article(explanation: Explanation) -> str:
    sizes = strengths(explanation)
    words = [_word(explanation, n, sizes[n]) for n in range(len(explanation.words))]
    share = explanation.probability
    return (
        f"<article><header><b>{_text(explanation.class_name)}</b>"
        f'<div class="bar"><i style="width:{100 * share:.1f}%"></i></div>'
        f"<span>{share:.4f}</span></header>\n"
        f'<p class="text">{" ".join(words) or "(no words)"}</p>\n{_named(explanation)}</article>\n'
    )


def _word(explanation: Explanation, position: int, strength: float) -> str:
    kinds, style = [], ""
    if strength >= FAINT:
        kinds.append("for" if explanation.weights[position] > 0 else "against")
        style = f' style="--s:{strength:.2f}"'
    told = number_of(explanation, position)
    if not explanation.known[position]:
        kinds.append("unknown")
        told += ", unknown to the model"
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<span{kind}{style} title="{told}">{_text(explanation.words[position])}</span>'


def _named(explanation: Explanation) -> str:
    """The strongest words with their numbers, for those who cannot point at one."""
    parts = [
        f"<bdi>{_text(explanation.words[n])}</bdi> {number_of(explanation, n)}"
        for n in strongest(explanation, MOST_NAMED)
    ]
    return f'<p class="named">{" · ".join(parts)}</p>' if parts else ""


def _text(word: str) -> str:
    return escape(printable(word))
