"""Draw the picture on the home page: an article, its class, and the words that drove it.

    python nbs/explanations/draw_home.py RUN [--out nbs/images]

RUN is a run of `newsclf train`. Writes home.svg and, for telephones, home-narrow.svg. Nothing on the
picture is made up: it is what the model says.
"""
import argparse
import textwrap
from dataclasses import dataclass
from pathlib import Path

import jinja2

from newsclf import Predictor

ARTICLE = (
    "Oil slips as tankers return to port. Crude fell three percent on Monday after two terminals "
    "in the Gulf reopened and traders bet that supplies would rise before winter.")
LETTER, LINE, TOP = 9.6, 30, 96 # Pixels: width of a letter at 16 px, height of a line, first line
BAR, STRONGEST = 44, 0.45 # Pixels of a class; opacity behind the word that matters most
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{{ form.width }}" height="{{ height }}" \
viewBox="0 0 {{ form.width }} {{ height }}" role="img" aria-labelledby="t">
<title id="t">{{ title }}</title>
<style>
text { font: 16px ui-monospace, Menlo, Consolas, monospace; fill: #22211f }
.small { font-size: 14px; fill: #5d5a54 } .card { fill: #fdfcf9; stroke: #d8d3c7 }
.bar { fill: #d8d3c7 } .best { fill: #a3262b } .word { fill: #a3262b } .strong { font-weight: 700 }
@media (prefers-color-scheme: dark) {
text { fill: #e4e0d8 } .small { fill: #a8a49b } .card { fill: #17191c; stroke: #363a3f }
.bar { fill: #454a50 } .best, .word { fill: #ff8f84 } }
</style>
<rect class="card" x="1" y="1" width="{{ form.width - 2 }}" height="{{ height - 2 }}" rx="6"/>
<text class="small" x="{{ form.left }}" y="44">an article, and what drove its class</text>
{% for w in words %}<rect class="word" x="{{ w.x }}" y="{{ w.y }}" width="{{ w.width }}" \
height="24" rx="3" opacity="{{ w.opacity }}"/>
{% endfor %}{% for line in lines %}<text x="{{ form.left }}" y="{{ line.y }}" \
textLength="{{ line.width }}">{{ line.text }}</text>
{% endfor %}<text class="small" x="{{ form.bars }}" y="{{ below + 44 }}">what the model says</text>
{% for bar in bars %}<text x="{{ form.bars }}" y="{{ bar.y }}" class="{{ bar.kind }}">\
{{ bar.name }}</text>
<text x="{{ form.bars + form.bar }}" y="{{ bar.y }}" text-anchor="end" class="{{ bar.kind }}">\
{{ bar.share }}</text>
<rect class="{{ 'best' if bar.kind else 'bar' }}" x="{{ form.bars }}" y="{{ bar.y + 8 }}" \
width="{{ bar.width }}" height="6" rx="3"/>
{% endfor %}</svg>
"""


@dataclass(frozen=True)
class Form:
    "Where things stand on a picture, in pixels"
    width:int
    letters:int # In a line of the article
    left:int
    bars:int # Left end of the bars; beside the article, or below it if they begin where it does
    bar:int # Width of a bar of 100%


FORMS = {"home.svg": Form(960, 56, 40, 640, 280), "home-narrow.svg": Form(400, 37, 22, 22, 356)}


def place(
    start:int, # Of a word in the article
    lines:list[str], # The article, wrapped at single spaces
    left:int, # Where lines begin, in pixels
)->tuple[float, float]:
    "Where a word stands on the picture"
    for n, line in enumerate(lines):
        if start <= len(line):
            return left + start * LETTER, TOP + n * LINE
        start -= len(line) + 1
    raise ValueError("beyond the article")


def draw(
    names, # Class names
    proba, # Their probabilities
    explained, # From `Predictor.explain`
    form:Form, # Of the picture
)->str: # SVG
    "The picture"
    lines = textwrap.wrap(ARTICLE, form.letters)
    falls = [w for w in explained.words if w.fall > 0]
    words = []
    for word in falls:
        x, y = place(word.start, lines, form.left)
        opacity = round(0.12 + (STRONGEST - 0.12) * word.fall / max(w.fall for w in falls), 2)
        width = round((word.end - word.start) * LETTER + 4, 1)
        words.append(dict(x=round(x - 2, 1), y=y - 18, width=width, opacity=opacity))
    below = 0 if form.bars > form.left else TOP - 24 + len(lines) * LINE
    bars = [
        dict(y=TOP + below + BAR * n, name=name, share=f"{p:.1%}",
             width=round(form.bar * float(p), 1), kind="strong" if p == proba.max() else "")
        for n, (name, p) in enumerate(zip(names, proba, strict=True))]
    written = [
        dict(text=line, y=TOP + n * LINE, width=round(len(line) * LETTER, 1))
        for n, line in enumerate(lines)]
    best = max(zip(proba, names, strict=True))
    env = jinja2.Environment(autoescape=True)
    return env.from_string(SVG).render(
        title=f"An article that the model gives {best[1]} with {best[0]:.1%}, and why",
        height=TOP + below + BAR * len(bars), below=below, form=form, words=words, lines=written,
        bars=bars)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("nbs/images"))
    args = parser.parse_args()
    clf = Predictor(args.run)
    proba, explained = clf.predict_proba([ARTICLE])[0], clf.explain([ARTICLE])[0]
    for name, form in FORMS.items():
        path = args.out/name
        path.write_text(draw(clf.names, proba, explained, form) + "\n", encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
