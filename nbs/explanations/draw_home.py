"""Draw the picture on the home page: an article, its class, and the words that drove it.

    python nbs/explanations/draw_home.py RUN [--out nbs/images/home.svg]

RUN is a run of `newsclf train`. Nothing on the picture is made up: it is what the model says.
"""
import argparse
import textwrap
from pathlib import Path

import jinja2

from newsclf import Predictor

ARTICLE = (
    "Oil slips as tankers return to port. Crude fell three percent on Monday after two terminals "
    "in the Gulf reopened and traders bet that supplies would rise before winter.")
LETTER, LINE, TOP, LEFT = 9.6, 30, 96, 40 # Pixels: width of a letter at 16 px, height of a line
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="960" height="{{ height }}" \
viewBox="0 0 960 {{ height }}" role="img" aria-labelledby="t">
<title id="t">{{ title }}</title>
<style>
text { font: 16px ui-monospace, Menlo, Consolas, monospace; fill: #22211f }
.small { font-size: 13px; fill: #5d5a54 } .card { fill: #fdfcf9; stroke: #d8d3c7 }
.bar { fill: #d8d3c7 } .best { fill: #a3262b } .word { fill: #a3262b } .strong { font-weight: 700 }
@media (prefers-color-scheme: dark) {
text { fill: #e4e0d8 } .small { fill: #a8a49b } .card { fill: #17191c; stroke: #363a3f }
.bar { fill: #454a50 } .best, .word { fill: #ff8f84 } }
</style>
<rect class="card" x="1" y="1" width="958" height="{{ height - 2 }}" rx="6"/>
<text class="small" x="40" y="44">an article, and the words that drove its class</text>
{% for w in words %}<rect class="word" x="{{ w.x }}" y="{{ w.y }}" width="{{ w.width }}" \
height="24" rx="3" opacity="{{ w.opacity }}"/>
{% endfor %}{% for line in lines %}<text x="{{ left }}" y="{{ line.y }}" \
textLength="{{ line.width }}">{{ line.text }}</text>
{% endfor %}<text class="small" x="640" y="44">what the model says</text>
{% for bar in bars %}<text x="640" y="{{ bar.y }}" class="{{ bar.kind }}">{{ bar.name }}</text>
<text x="920" y="{{ bar.y }}" text-anchor="end" class="{{ bar.kind }}">{{ bar.share }}</text>
<rect class="{{ 'best' if bar.kind else 'bar' }}" x="640" y="{{ bar.y + 8 }}" \
width="{{ bar.width }}" height="6" rx="3"/>
{% endfor %}</svg>
"""


def place(
    start:int, # Of a word in the article
    lines:list[str], # The article, wrapped at single spaces
)->tuple[float, float]:
    "Where a word stands on the picture"
    for n, line in enumerate(lines):
        if start <= len(line):
            return LEFT + start * LETTER, TOP + n * LINE
        start -= len(line) + 1
    raise ValueError("beyond the article")


def draw(
    clf:Predictor, # The model
)->str: # SVG
    "The picture"
    proba = clf.predict_proba([ARTICLE])[0]
    explained = clf.explain([ARTICLE])[0]
    lines = textwrap.wrap(ARTICLE, 56)
    falls = [w for w in explained.words if w.fall > 0]
    words = []
    for word in falls:
        x, y = place(word.start, lines)
        opacity = round(0.15 + 0.45 * word.fall / max(w.fall for w in falls), 2)
        width = round((word.end - word.start) * LETTER + 4, 1)
        words.append(dict(x=round(x - 2, 1), y=y - 18, width=width, opacity=opacity))
    bars = [
        dict(y=TOP + 44 * n, name=name, share=f"{p:.1%}", width=round(280 * float(p), 1),
             kind="strong" if p == proba.max() else "")
        for n, (name, p) in enumerate(zip(clf.names, proba, strict=True))]
    written = [
        dict(text=line, y=TOP + n * LINE, width=round(len(line) * LETTER, 1))
        for n, line in enumerate(lines)]
    best = max(zip(proba, clf.names, strict=True))
    env = jinja2.Environment(autoescape=True)
    return env.from_string(SVG).render(
        title=f"An article that the model gives {best[1]} with {best[0]:.0%}, and the words behind",
        height=TOP + 44 * len(bars), left=LEFT, words=words, lines=written, bars=bars)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("nbs/images/home.svg"))
    args = parser.parse_args()
    args.out.write_text(draw(Predictor(args.run)), encoding="utf-8")
    print(args.out)


if __name__ == "__main__":
    main()
