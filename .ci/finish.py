"""Finish the built site in _docs: each page gets its notebook to download, the search an index of
sentences, pictures a text, and the side bar buttons that a keyboard reaches."""
import html
import posixpath
import re
import shutil
import sys

from book import ROOT, address, pages
from pages import TITLES
from search_index import write_index

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
}
# Only where there is something to mend
SOMEWHERE = {
    r'<svg alt="': '<svg role="img" aria-label="', # from `#| fig-alt` of a cell
    r'(<img [^>]*src="([^"]*)images/home\.svg"[^>]*>)':
        r'<picture><source media="(max-width: 600px)" srcset="\2images/home-narrow.svg">\1'
        r'</picture>',
}


def mend(text: str, name: str) -> str:
    "One built page, with what smalldocs cannot write"
    for old, new in EVERYWHERE.items():
        text, found = re.subn(old, new, text)
        if not found:
            sys.exit(f"{name}: smalldocs no longer writes {old}")
    for old, new in SOMEWHERE.items():
        text = re.sub(old, new, text)
    return text


def with_download(text: str, name: str, file: str) -> str:
    "The page with a link to its notebook below its title; `file` is what it is saved as"
    link = html.escape(posixpath.basename(name).replace(".html", ".ipynb"))
    line = (f'<p class="download"><a href="{link}" download="{html.escape(file)}">'
            f"Download this notebook</a></p>")
    at = text.find("</header>", text.find('id="title-block-header"'))
    if at < 0:
        sys.exit(f"{name}: has no title block")
    return text[:at] + line + text[at:]


def main() -> None:
    index = write_index(TITLES)
    for page in pages():
        name = address(page.name).replace(".ipynb", ".html")
        shutil.copyfile(page.path, DOCS/address(page.name))
        text = mend((DOCS/name).read_text(encoding="utf-8"), name)
        text = with_download(text, name, page.path.name)
        for module in page.exports_to: # which file the code of this page becomes
            file = module.replace(".", "/") + ".py"
            text = text.replace("<summary>Exported source<", f"<summary>{file}<")
        (DOCS/name).write_text(text, encoding="utf-8", newline="\n")
    (DOCS/"search.json").unlink()
    shutil.rmtree(DOCS/"site_libs"/"fuse")
    said = sum(len(e["sentences"]) for e in index)
    print(f"{len(pages())} notebooks to download; {said:,} sentences of {len(index):,} sections "
          "to search")


if __name__ == "__main__":
    main()
