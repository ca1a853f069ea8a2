"""Checks of the built site: links, addresses, redirects, downloads, the search, texts and letters
of pictures, the weight of pages, and that nothing comes from outside."""
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat

from book import NBS, ROOT, language, other_edition, pages, to_html
from search_index import read_index
from takeaway import LINK, TAKEN, WIDGET, colab, installs

DOCS = ROOT/"_docs"
REDIRECTS = Path(__file__).with_name("redirects.json")
SEARCHED = ("temperature", "class", "quarantine") # What a reader may look for, and must find
HEAVIEST = 300_000 # bytes of a page's own part; around it stands the side bar, the same everywhere
# Pages that may be heavier, and why
HEAVY = {"4_evaluate/50_pictures.ipynb": "a confusion of 1,000 classes, as a report draws it"}
PHONE, SMALLEST = 350, 7 # pixels: the width of a picture on a phone, and its smallest letters
CODE = re.compile(r"\bdef \w+\(|\bassert |\btest_\w+\(|^(from|import) \w+|[{}=]{2}")
CHECKSUM = re.compile(r"\s*(sha256 )?(?=\w*[a-f])[0-9a-f]{16,}\W*") # Noise in a table


class Html(HTMLParser):
    "Links, anchors and loaded files of an HTML page, and where it sends the reader"
    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.ids, self.refresh = [], [], set(), ""
        self.downloads, self.untold, self.pictures, self.sums = {}, [], 0, []
        self.lang, self.editions = "", {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(v for k, v in attrs.items() if k in ("id", "name") and v)
        found = [attrs[k] for k in ("href", "src", "srcset") if attrs.get(k)]
        self.links += found
        if tag not in ("a", "link") or attrs.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads += found
        if tag == "html":
            self.lang = attrs.get("lang", "")
        if attrs.get("rel") == "alternate":
            self.editions[attrs["href"]] = attrs.get("hreflang")
        if "download" in attrs:
            self.downloads[attrs["href"]] = attrs["download"]
        if tag in ("img", "svg"):
            self.pictures += 1
            if not attrs.get("alt" if tag == "img" else "aria-label"):
                self.untold.append(self.get_starttag_text()[:60])
        if tag == "meta" and attrs.get("http-equiv") == "refresh":
            self.refresh = attrs["content"].partition("url=")[2]
            self.links.append(self.refresh)

    def handle_data(self, data):
        if self.lasttag == "td" and CHECKSUM.fullmatch(data):
            self.sums.append(data.strip())


def target_of(link: str, path: Path) -> Path:
    "The file that a link on the page `path` leads to"
    url = urlsplit(link)
    if not url.path:
        return path
    base = DOCS if url.path.startswith("/") else path.parent
    target = (base/unquote(url.path).lstrip("/")).resolve()
    return target/"index.html" if target.is_dir() else target


def link_fault(link: str, path: Path, html: dict) -> str:
    "What is wrong with a link within the book, or nothing"
    target, place = target_of(link, path), unquote(urlsplit(link).fragment)
    if DOCS not in target.parents:
        return "leads out of the book"
    if not target.exists():
        return "leads nowhere"
    if place and target in html and place not in html[target].ids:
        return "has no such place"
    return ""


def is_inner(link: str) -> bool:
    url = urlsplit(link)
    return not (url.scheme or url.netloc)


def loads_from_outside(html: dict) -> list:
    "Files that a browser would fetch from elsewhere: scripts, styles, pictures, typefaces"
    bad = [f"{p.relative_to(DOCS)}: loads {link}" for p, page in html.items()
           for link in page.loads if urlsplit(link).netloc]
    for path in DOCS.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"(?:@import\s*|url\()[\"']?((?:https?:)?//[^\"')\s]+)", text)
        bad += [f"{path.relative_to(DOCS)}: loads {link}" for link in found]
    return bad


def redirect_faults(html: dict) -> list:
    "Each old address must lead to the page that the list names"
    listed, bad = json.loads(REDIRECTS.read_text(encoding="utf-8")), []
    for old, new in listed.items():
        page = html.get(DOCS/old)
        if page is None:
            bad.append(f"{old}: the old address is gone")
        elif not page.refresh:
            bad.append(f"{old}: listed as an old address, but is a page")
        elif target_of(page.refresh, DOCS/old) != DOCS/new.partition("#")[0]:
            bad.append(f"{old}: leads to {page.refresh}; expected {new}")
    sends = sum(bool(p.refresh) for p in html.values())
    if sends != len(listed) or not listed:
        bad.append(f"{sends} pages redirect; {REDIRECTS.name} lists {len(listed)}")
    return bad


def page_faults(html: dict) -> list:
    "Each notebook is a page, at an address without numbers, and the side bar leads to it"
    bad, index = [], html.get(DOCS/"index.html")
    expected = {DOCS/to_html(p.name): p.name for p in pages()}
    bad += [f"{name}: {path.relative_to(DOCS)} was not made"
            for path, name in expected.items() if path not in html or html[path].refresh]
    numbered = [p.relative_to(DOCS).as_posix() for p in html if not html[p].refresh]
    bad += [f"{p}: the address has a number" for p in numbered if re.search(r"(^|/)\d+_", p)]
    shown = [k for k in index.links if is_inner(k)] if index else []
    listed = {target_of(k, DOCS/"index.html") for k in shown}
    bad += [f"{name} is not in the side bar"
            for path, name in expected.items() if path not in listed]
    return bad


def download_faults(html: dict) -> list:
    "Each page offers its notebook, to keep and to open in Colab, and the notebook is whole"
    bad = []
    for page in pages():
        path = DOCS/to_html(page.name)
        built = html.get(path)
        offered = built.downloads if built else {}
        found = {target_of(k, path): name for k, name in offered.items()}
        if found != {TAKEN/page.name: page.path.name}:
            bad.append(f"{page.name}: its page offers {offered or 'no notebook'}")
        else:
            bad += taken_faults(page)
        if built and colab(page) not in built.links:
            bad.append(f"{page.name}: its page does not lead to {colab(page)}")
    return bad


def taken_faults(page) -> list:
    "A notebook that runs by itself: valid, it installs first, its texts need no other file"
    path = TAKEN/page.name
    try:
        nb = nbformat.read(path, 4)
        nbformat.validate(nb)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        return [f"notebooks/{page.name}: {str(error).splitlines()[0]}"]
    bad, first = [], nb.cells[0] if nb.cells else {}
    if first.get("source") != installs(page):
        bad.append(f"notebooks/{page.name}: does not begin with the installation")
    kept, has = {c.id for c in nb.cells}, [c for c in page.cells if "#| hide" not in c.source]
    bad += [f"notebooks/{c}: is missing" for c in has if c.id not in kept]
    for c in nb.cells:
        text = re.sub(r"```.*?```", "", c.source, flags=re.S)
        led = LINK.findall(text) if c.cell_type == "markdown" else []
        bad += [f"notebooks/{page.name} cell #{c.id}: leads to {to}, which is not with it"
                for _, _, to in led]
        if any(WIDGET in o.get("data", {}) for o in c.get("outputs", [])):
            bad.append(f"notebooks/{page.name} cell #{c.id}: an output that cannot be shown")
    return bad


def edition_faults(html: dict) -> list:
    "Each page says its language, and leads to the same page in the other one, where there is one"
    bad = []
    for page in pages():
        path, twin = DOCS/to_html(page.name), other_edition(page.name)
        built = html.get(path)
        if built is None:
            continue # said elsewhere
        if built.lang != language(page.name):
            bad.append(f"{page.name}: its page says that it is in {built.lang or 'no language'}")
        found = {target_of(k, path): code for k, code in built.editions.items()}
        if found != ({DOCS/to_html(twin): language(twin)} if twin else {}):
            bad.append(f"{page.name}: its page leads to {built.editions or 'no other language'}; "
                       f"expected {twin or 'none'}")
    print(f"{sum(language(p.name) == 'es' for p in pages())} pages in Spanish, "
          f"{sum(bool(p.editions) for p in html.values())} lead to another language")
    return bad


def picture_faults(html: dict) -> list:
    "A picture has a text for those who cannot see it, and no table has checksums"
    bad = [f"{path.relative_to(DOCS)}: no text for {tag}"
           for path, page in html.items() for tag in page.untold]
    bad += [f"{path.relative_to(DOCS)}: {len(page.sums)} checksums in tables: {page.sums[0]}"
            for path, page in html.items() if page.sums]
    seen = sum(page.pictures for page in html.values())
    print(f"{seen} pictures")
    return bad if seen else [*bad, "no pictures were seen"]


def heavy_pages() -> list:
    "Pages over 300 kB, with the cell that weighs most"
    bad = []
    for page in pages():
        path = DOCS/to_html(page.name)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        size = len(text[text.find("<main"):].encode())
        if size > HEAVIEST and page.name not in HEAVY:
            most = max(page.cells, key=lambda c: len(json.dumps(c.outputs)) + len(c.source))
            bad.append(f"{most}: weighs most on a page of {size / 1000:.0f} kB, over "
                       f"{HEAVIEST / 1000:.0f}")
    return bad


def smallest_letters(svg: str) -> float:
    "The size in pixels of the smallest letters of a picture as wide as a phone; none: infinite"
    width = re.search(r'viewBox="[\d.-]+[ ,]+[\d.-]+[ ,]+([\d.]+)', svg)
    sizes = re.findall(r"font(?:-size)?\s*[:=][^;<>]*?([\d.]+)(?:px|pt)?\b", svg)
    sizes = [float(s) for s in sizes if float(s) < 100]
    if not width or not sizes or "<text" not in svg:
        return float("inf")
    return min(sizes) * min(1, PHONE / float(width[1]))


def small_letters() -> list:
    "Pictures whose letters cannot be read on a phone"
    svgs = [(str(c), "".join(o["data"]["image/svg+xml"])) for p in pages() for c in p.code
            for o in c.outputs if "image/svg+xml" in o.get("data", {})]
    files = sorted((NBS/"images").glob("*.svg"))
    shown = [f for f in files if not f.with_stem(f.stem + "-narrow").exists()]
    svgs += [(f"images/{f.name}", f.read_text(encoding="utf-8")) for f in shown]
    found = [(place, smallest_letters(svg)) for place, svg in svgs]
    least = min((size for _, size in found), default=0)
    print(f"{len(svgs)} drawings, smallest letters {least:.1f} pixels on a phone")
    return [f"{place}: letters of {size:.1f} pixels on a phone; {SMALLEST} at least"
            for place, size in found if size < SMALLEST]


def search_faults(html: dict) -> list:
    "The search finds every page and common words, leads to places, and shows sentences, not code"
    index, bad = read_index(), []
    for entry in index:
        if fault := link_fault(entry["href"], DOCS/"index.html", html):
            bad.append(f"search: {entry['href']} {fault}")
        bad += [f"search: {entry['href']}: code, not a sentence: {s[:60]}"
                for s in entry["sentences"] if CODE.search(s)]
    found = {e["href"] for e in index if e["page"] and e["sentences"]}
    expected = {to_html(p.name) for p in pages()}
    bad += [f"search: {name} is not in it" for name in sorted(expected - found)]
    said = [s.lower() for e in index for s in e["sentences"] if e["section"]]
    bad += [f"search: no sentence has {w!r}" for w in SEARCHED if not any(w in s for s in said)]
    print(f"{len(said):,} sentences to search")
    return bad


def links() -> list:
    "Links between the pages of the book must lead somewhere"
    files = sorted(DOCS.rglob("*.html"))
    html, bad, seen = {p: Html(p.read_text(encoding="utf-8")) for p in files}, [], 0
    for path, page in html.items():
        inner = [k for k in page.links if is_inner(k) and not k.startswith("javascript:")]
        seen += len(inner)
        faults = [(k, link_fault(k, path, html)) for k in inner]
        bad += [f"{path.relative_to(DOCS)}: {k} {fault}" for k, fault in faults if fault]
    bad += loads_from_outside(html) + redirect_faults(html) + page_faults(html)
    bad += download_faults(html) + edition_faults(html)
    bad += picture_faults(html) + heavy_pages() + small_letters() + search_faults(html)
    sends = sum(bool(p.refresh) for p in html.values())
    print(f"{seen} links on {len(html) - sends} pages made from {len(pages())} notebooks; "
          f"{sends} old addresses")
    return bad if seen else [*bad, "no links were seen: the book was not built"]
