"""Finish the built site in _docs: each page gets its notebook to download, a Spanish page a frame
in Spanish, the search an index of sentences, pictures a text, and the side bar buttons that a
keyboard reaches."""
import html
import posixpath
import re
import shutil
import sys

from book import ROOT, SPANISH, language, other_edition, pages, to_html
from pages import TITLES
from search_index import write_index
from spanish import FOLDS, WORDS, in_spanish
from takeaway import colab, write_notebooks

DOCS = ROOT/"_docs"
SEARCH_RESULTS = 'class="book-results" role="region" aria-label="Search results" hidden'
# What smalldocs writes, and what stands there in its place. Each must be found on every page.
EVERYWHERE = {
    r'<script src="([^"]*)site_libs/fuse/fuse\.min\.js"></script>':
        r'<script src="\1site.js" defer></script>',
    r'class="smalldocs-search"': 'class="book-search"',
    r'class="smalldocs-search-results dropdown-menu"': SEARCH_RESULTS,
    r"navbar-expand-lg": "navbar-expand",
    r'<a class="sidebar-item-text([^"]*)" data-bs-toggle="collapse" data-bs-target="([^"]*)" '
    r'role="navigation"': r'<a class="sidebar-item-text\1" data-bs-toggle="collapse" href="\2" '
                          r'role="button"',
    r'(<a class="sidebar-item-toggle[^>]*) role="navigation"([^>]*) aria-label="Toggle section">':
        r'\1\2 aria-hidden="true">',
    r'<nav id="quarto-sidebar"': '<nav id="quarto-sidebar" aria-label="All pages"',
    r'<nav class="page-navigation"': '<nav class="page-navigation" aria-label="Next pages"',
}
# Only where there is something to mend
SOMEWHERE = {
    r'<svg alt="': '<svg role="img" aria-label="', # from `#| fig-alt` of a cell
    r'(<img [^>]*src="([^"]*)images/home\.svg"[^>]*>)':
        r'<picture><source media="(max-width: 600px)" srcset="\2images/home-narrow.svg">\1'
        r'</picture>',
    r'(<img [^>]*src="[^"]*images/service-wide)(\.png"[^>]*>)':
        r'<span class="by-day">\1\2</span><span class="by-night">\1-dark\2</span>',
    r'(<div class="nav-page nav-page-previous"><a [^>]*>)': r'\1<span>Previous</span>',
    r'(<div class="nav-page nav-page-next"><a [^>]*>)': r'\1<span>Next</span>',
}
NEXT = re.compile(r'(<div class="nav-page [^>]*>)<a href="([^"]*)".*?</a>')
FOLD = re.compile(r"<details>\s*<summary>([^<]+)</summary>") # `<details>` in a text of a page


def mend(text: str, name: str) -> str:
    "One built page, with what smalldocs cannot write"
    for old, new in EVERYWHERE.items():
        text, found = re.subn(old, new, text)
        if not found:
            sys.exit(f"{name}: smalldocs no longer writes {old}")
    for old, new in SOMEWHERE.items():
        text = re.sub(old, new, text)
    return FOLD.sub(fold, text)


def fold(found: re.Match) -> str:
    "A fold of a page, with its kind as a class: hint, solution or answer"
    kind = FOLDS.get(found[1].strip(), "")
    return f'<details class="{f"fold {kind}".strip()}"><summary>{found[1]}</summary>'


def within_edition(text: str, name: str) -> str:
    "The page without a link to a next page that is in another language"
    def kept(found: re.Match) -> str:
        to = posixpath.normpath(posixpath.join(posixpath.dirname(name), found[2]))
        return found[0] if language(to) == language(name) else found[1]
    return NEXT.sub(kept, text)


def edition(page) -> str:
    "The link to the same page in the other language, or nothing"
    twin = other_edition(page.name)
    if not twin:
        return ""
    here = posixpath.dirname(to_html(page.name)) or "."
    to, code = posixpath.relpath(to_html(twin), here), language(twin)
    name = {"en": "English", "es": "Español"}[code]
    return f'<a href="{to}" lang="{code}" hreflang="{code}" rel="alternate">{name}</a>'


def with_links(text: str, page) -> str:
    "The page with links below its title: its notebook, and the other edition"
    name, file = to_html(page.name), html.escape(page.path.name)
    link = html.escape("../" * name.count("/") + f"notebooks/{page.name}")
    notebook = f'<a href="{link}" download="{file}">Notebook</a>'
    runs = f'<a class="colab" href="{html.escape(colab(page))}">Open in Colab</a>'
    line = f'<p class="page-links">{notebook}{runs}{edition(page)}</p>'
    at = text.find("</header>", text.find('id="title-block-header"'))
    if at < 0:
        sys.exit(f"{name}: has no title block")
    return text[:at] + line + text[at:]


def main() -> None:
    index = write_index({**TITLES, SPANISH: WORDS["Tutorials"]})
    for page in pages():
        name = to_html(page.name)
        text = mend((DOCS/name).read_text(encoding="utf-8"), name)
        text = within_edition(text, name)
        text = with_links(text, page)
        if language(page.name) == "es":
            text = in_spanish(text, name)
        for module in page.exports_to: # which file the code of this page becomes
            file = module.replace(".", "/") + ".py"
            text = text.replace("<summary>Exported source<", f"<summary>{file}<")
        (DOCS/name).write_text(text, encoding="utf-8", newline="\n")
    (DOCS/"search.json").unlink()
    shutil.rmtree(DOCS/"site_libs"/"fuse")
    said = sum(len(e["sentences"]) for e in index)
    print(f"{write_notebooks()} notebooks to download; {said:,} sentences of {len(index):,} "
          "sections to search")


if __name__ == "__main__":
    main()
