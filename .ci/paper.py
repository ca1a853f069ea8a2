"""The built book as one PDF, by Chromium's print: a cover, contents with page numbers, each page
of the site as a chapter in the order of the side bar, folds open, links within the book. It
prints twice: the first print tells the numbers for the contents."""
import html
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pypdf import PdfReader, PdfWriter

from book import ROOT, facts, language, pages
from pages import side_bar

DOCS = ROOT/"_docs"
CSS = Path(__file__).with_name("paper.css")
BROWSERS = ("chromium", "google-chrome", "chromium-browser", "chrome")
# What a page of the site has and paper has no use for
LEFT_OUT = (
    r'<nav class="quarto-page-breadcrumbs.*?</nav>', r'<nav class="page-navigation.*?</nav>',
    r'<p class="page-links">.*?</p>', r'<button title="[^"]*" class="code-copy.*?</button>',
    r"<!--.*?-->", r"<script.*?</script>")
SAYS = {
    "en": dict(contents="Contents", file="newsclf.pdf", made="Version {version}, {date}, {commit}",
               about="Fine-tune BERT to classify news: a book of notebooks"),
    "es": dict(contents="Contenido", file="newsclf-es.pdf",
               made="Versión {version}, {date}, {commit}",
               about="Ajustar BERT para clasificar noticias: un libro de cuadernos")}
# Tables and outputs that are too wide are made smaller; the window is as wide as the paper
FIT = """
const boxes = [...document.querySelectorAll(".cell-output, .sd-table")]
const fits = boxes.map((box) => box.clientWidth / box.scrollWidth) // all before the first change
boxes.forEach((box, n) => {
  if (fits[n] < 0.995) for (const inner of box.children) inner.style.zoom = fits[n] * 0.99
})
"""


@dataclass(frozen=True)
class Chapter:
    "One page of the site"
    name: str # its address, without .html
    part: str
    title: str
    body: str

    @property
    def id(self) -> str:
        return "page--" + self.name.replace("/", "--")


def flat(entries: list, part: str = "") -> list:
    "The side bar as pairs of part and address"
    found = []
    for entry in entries:
        if isinstance(entry, dict):
            found += flat(entry.get("contents", []), entry.get("section", ""))
        else:
            found.append((part, entry.removesuffix(".ipynb")))
    return found


def own_ids(text: str, name: str, known: set) -> str:
    "Names within a page made unique in the book, and its links led to their places in it"
    mark = "page--" + name.replace("/", "--")
    text = re.sub(r'\bid="([^"]+)"', rf'id="{mark}--\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}--\1)", text)

    def lead(found: re.Match) -> str:
        to, _, place = html.unescape(found[2]).partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), to)) if to else name
        target = target.removesuffix(".html")
        if target not in known:
            return ""
        whole = "page--" + target.replace("/", "--") + (f"--{place}" if place else "")
        return f'{found[1]}="#{whole}"'
    return re.sub(r'((?:xlink:)?\bhref)="(?![a-z]+:)([^"]*)"', lead, text)


def lower(text: str) -> str:
    "Headings one level below: those of level 1 are the parts of the book"
    return re.sub(r"<(/?)h([1-5])\b", lambda m: f"<{m[1]}h{int(m[2]) + 1}", text)


def chapter(part: str, name: str, known: set) -> Chapter:
    text = (DOCS/f"{name}.html").read_text(encoding="utf-8")
    body = re.search(r"<main[^>]*>(.*)</main>", text, re.S)[1]
    title = re.search(r'<h1 class="title">(.*?)</h1>', body, re.S)[1]
    for what in LEFT_OUT:
        body = re.sub(what, "", body, flags=re.S)
    body = re.sub(r"<details\b", "<details open", body)
    up = posixpath.dirname(name)
    body = re.sub(r'\b(src|srcset)="(?!data:|[a-z]+:)([^"]+)"',
                  lambda m: f'{m[1]}="{posixpath.normpath(posixpath.join(up, m[2]))}"', body)
    return Chapter(name, part, title, lower(own_ids(body, name, known)))


def chapters(lang: str, only: str = "") -> list:
    "The chapters of one edition; `only` takes those whose address begins so"
    listed = side_bar([p.name for p in pages()])["website"]["sidebar"]["contents"]
    chosen = [(part, name) for part, name in flat(listed)
              if language(name) == lang and name.startswith(only)]
    known = {name for _, name in chosen}
    return [chapter(part, name, known) for part, name in chosen]


def git(*asked: str) -> str:
    done = subprocess.run(["git", *asked], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def contents(book: list, numbers: dict, lang: str) -> str:
    "The contents, with a number for each chapter"
    lines, part = [f'<h1 id="contents">{SAYS[lang]["contents"]}</h1>'], ""
    for c in book:
        if c.part != part:
            lines.append(f'<p class="part-line">{html.escape(c.part)}</p>')
            part = c.part
        number = numbers.get(c.id, "000")
        lines.append(f'<p class="line"><a href="#{c.id}">{c.title}</a><span class="dots"></span>'
                     f"<span>{number}</span></p>")
    return f'<section class="contents">{"".join(lines)}</section>'


def whole(book: list, numbers: dict, lang: str) -> str:
    "The book as one page of HTML"
    own, says = facts(), SAYS[lang]
    made = says["made"].format(version=own["version"], date=git("log", "-1", "--format=%cs"),
                               commit=git("rev-parse", "--short", "HEAD"))
    cover = (f'<section class="cover"><p class="name">{own["title"]}</p><p>{says["about"]}</p>'
             f'<p class="small">{html.escape(own["author"])}<br>{made}</p></section>')
    parts, last = [], ""
    for c in book:
        new = c.part and c.part != last
        head = f'<h1 class="part">{html.escape(c.part)}</h1>' if new else ""
        last = c.part
        parts.append(f'<section class="chapter" id="{c.id}">{head}{c.body}</section>')
    styles = "".join(f'<link rel="stylesheet" href="{f}">' for f in (
        "site_libs/themes/bootstrap.min.css", "site_libs/smalldocs.css", "styles.css"))
    style = CSS.read_text(encoding="utf-8")
    return (f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
            f'<title>{own["title"]}: {says["about"]}</title>{styles}<style>{style}</style></head>'
            f'<body><main class="content">{cover}{contents(book, numbers, lang)}'
            f'{"".join(parts)}</main><script>{FIT}</script></body></html>')


def browser() -> str:
    "The browser that prints"
    names = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else BROWSERS
    found = [path for name in names if (path := shutil.which(name))]
    if not found:
        sys.exit("no Chromium or Chrome: apt-get install chromium, or name one by CHROMIUM")
    return found[0]


def printed(text: str, target: Path) -> PdfReader:
    "The book printed to a file"
    page = DOCS/"_paper.html"
    page.write_text(text, encoding="utf-8")
    with tempfile.TemporaryDirectory() as profile:
        command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-background-networking", f"--user-data-dir={profile}",
                   "--window-size=658,900", "--no-pdf-header-footer", "--timeout=600000",
                   "--generate-pdf-document-outline", f"--print-to-pdf={target}", page.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        finally:
            page.unlink()
    if done.returncode or not target.exists():
        sys.exit(f"the browser did not print: {done.stderr[-500:]}")
    return PdfReader(target)


def numbers_of(reader: PdfReader, book: list) -> dict:
    "The page on which each chapter begins"
    places = {name.lstrip("/"): at for name, at in reader.named_destinations.items()}
    lost = [c.name for c in book if c.id not in places]
    if lost:
        sys.exit(f"the contents do not lead to {', '.join(lost)}")
    return {c.id: reader.get_destination_page_number(places[c.id]) + 1 for c in book}


def main(*options: str) -> None:
    start, lang = time.monotonic(), "es" if "--spanish" in options else "en"
    only = next((o.partition("=")[2] for o in options if o.startswith("--only=")), "")
    book, target = chapters(lang, only), DOCS/SAYS[lang]["file"]
    if not book:
        sys.exit("no pages: build the book first, by .ci/docs")
    first = numbers_of(printed(whole(book, {}, lang), target), book)
    reader = printed(whole(book, first, lang), target)
    if numbers_of(reader, book) != first:
        sys.exit("the numbers in the contents moved the pages: make room for them")
    writer = PdfWriter(clone_from=reader)
    writer.add_metadata({"/Title": f"{facts()['title']}: {SAYS[lang]['about']}",
                         "/Author": facts()["author"]})
    writer.write(target)
    size = target.stat().st_size / 1e6
    offer(lang, size)
    print(f"{target.relative_to(ROOT)}: {len(book)} chapters, {len(reader.pages)} pages, "
          f"{size:.1f} MB, {time.monotonic() - start:.0f} s")


def offer(lang: str, size: float) -> None:
    "A link to the PDF on the home page of its edition"
    home = DOCS/("index.html" if lang == "en" else "tutorials/es/index.html")
    if not home.exists():
        return
    text, file = home.read_text(encoding="utf-8"), SAYS[lang]["file"]
    up = "" if lang == "en" else "../../"
    link = f'<a class="pdf" href="{up}{file}">PDF ({size:.0f} MB)</a>'
    text = re.sub(r'<a class="pdf".*?</a>', "", text)
    at = text.index("</p>", text.index('<p class="page-links">'))
    home.write_text(text[:at] + link + text[at:], encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
