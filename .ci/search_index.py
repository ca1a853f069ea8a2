"The index for the search box: each section of each page, with its sentences and without its code."
import ast
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from book import ROOT, language, other_edition, pages, to_html

DOCS = ROOT/"_docs"
HEADINGS = ("h2", "h3", "h4", "h5", "h6")
# No prose in them; a fold is closed, and what stands in it is for those who open it
SILENT = ("pre", "table", "style", "script", "details", "button", "svg", "nav")
BLOCKS = ("p", "li", "ul", "ol", "div", "section", "figcaption", "dd", "dt", "main")
NAME = "window.searchIndex = "


@dataclass
class Section:
    "What stands under one heading"
    anchor: str = ""
    title: str = ""
    blocks: list = field(default_factory=list)


class Prose(HTMLParser):
    "The sections of a page's main part, and its code"
    def __init__(self, text: str):
        super().__init__()
        self.title, self.sections, self.code = "", [Section()], []
        self._main, self._silent, self._text, self._source = False, 0, [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "main":
            self._main = True
        elif tag in SILENT:
            self._flush()
            self._silent += 1
            if tag == "pre" and "python" in (attrs.get("class") or "").split():
                self._source = []
        elif tag in HEADINGS and attrs.get("data-anchor-id"):
            self._flush()
            self.sections.append(Section(attrs["data-anchor-id"]))
        elif tag in (*BLOCKS, "h1"):
            self._flush()

    def handle_endtag(self, tag):
        if tag in SILENT:
            self._silent -= 1
            if tag == "pre" and self._source is not None:
                self.code.append("".join(self._source))
                self._source = None
        elif tag == "h1":
            self.title = self._taken()
        elif tag in HEADINGS:
            self.sections[-1].title = self._taken()
        elif tag in BLOCKS:
            self._flush()
            self._main = self._main and tag != "main"

    def handle_data(self, data):
        if self._source is not None:
            self._source.append(data)
        elif self._main and not self._silent:
            self._text.append(data)

    def _taken(self) -> str:
        text, self._text = " ".join("".join(self._text).split()), []
        return text

    def _flush(self) -> None:
        if text := self._taken():
            self.sections[-1].blocks.append(text)


def sentences(text: str) -> list:
    "A paragraph, sentence by sentence"
    return re.split(r"(?<=[.!?])[\"”’)]*\s+(?=[A-ZÁÉÍÓÚÑ¿¡«0-9“\"(\[])", text)


def docstring(name: str, sources: list) -> str:
    "The first line of what a function or class called `name` says of itself"
    for source in sources:
        try:
            body = ast.parse(source).body
        except SyntaxError: # of IPython: a line with % or !
            continue
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                said = ast.get_docstring(node) or ""
                return said.partition("\n")[0].replace("`", "")
    return ""


def entries(path: Path, chapter: str) -> list:
    "The sections of one built page, as the search box reads them"
    page, found = Prose(path.read_text(encoding="utf-8")), []
    for section in page.sections:
        said = docstring(section.title, page.code)
        lines = [said] * bool(said) + [s for b in section.blocks for s in sentences(b)]
        place = f"#{section.anchor}" if section.anchor else ""
        href = path.relative_to(DOCS).as_posix() + place
        found.append(dict(href=href, chapter=chapter, page=page.title, section=section.title,
                          sentences=lines))
    return found


def write_index(titles: dict) -> list:
    """Write search-index.js from the built pages; folder to its title in `titles`. The language
    stands only where it is not English; `twin` marks what is there in Spanish too."""
    found = []
    for page in pages():
        name, own = to_html(page.name), {}
        folder = name.rpartition("/")[0]
        if language(page.name) != "en":
            own = {"lang": language(page.name)}
        elif other_edition(page.name):
            own = {"twin": True}
        of_page = entries(DOCS/name, titles.get(folder) or folder.capitalize())
        found += [own | entry for entry in of_page]
    lines = ",\n".join(json.dumps(e, ensure_ascii=False) for e in found)
    text = f"{NAME}[\n{lines}\n]\n"
    (DOCS/"search-index.js").write_text(text, encoding="utf-8", newline="\n")
    return found


def read_index() -> list:
    "The index as `write_index` wrote it"
    text = (DOCS/"search-index.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix(NAME))
