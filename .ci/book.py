"What the tools know of the book: its pages, their cells and addresses, the modules made of them."
import ast
import json
import re
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/"nbs"
PACKAGE = ROOT/"newsclf"
SPANISH = "tutorials/es" # The folder of the Spanish edition


@cache
def facts() -> dict:
    "What settings.ini says of the package and its repository"
    ini = ConfigParser(delimiters=["="])
    ini.read(ROOT/"settings.ini", encoding="utf-8")
    return dict(ini["DEFAULT"])


def no_number(name: str) -> str:
    "The name of a folder or page without the number it is sorted by"
    return re.sub(r"^\d+_", "", name)


def address(page: str) -> str:
    "`1_data/10_tables.ipynb` is found at `data/tables.ipynb`: no part keeps its number"
    return "/".join(map(no_number, page.split("/")))


def language(page: str) -> str:
    "The language that a page is written in: its folder says it"
    return "es" if page.startswith(SPANISH + "/") else "en"


def other_edition(page: str) -> str:
    "The name of the same page in the other language; nothing where the book has only one"
    folder, _, file = page.rpartition("/")
    if folder == SPANISH:
        name = file if file == "index.ipynb" else f"tutorials/{file}"
    elif folder in ("", "tutorials"):
        name = f"{SPANISH}/{file}"
    else:
        return ""
    return name if (NBS/name).exists() else ""


def to_html(page: str) -> str:
    "The address of a page on the site: `tutorials/01_first_model.ipynb` is first_model.html there"
    return address(page).replace(".ipynb", ".html")


@dataclass(frozen=True)
class Cell:
    "One cell of a page"
    page: str
    index: int
    id: str
    kind: str
    source: str
    outputs: list

    def __str__(self):
        return f"{self.page} cell {self.index} (#{self.id})"

    @property
    def directives(self) -> dict:
        "The `#|` lines: name to the words behind it"
        found = re.findall(r"^#\|[ \t]*(\w+)[ \t]*(.*)$", self.source, re.M)
        return {name: rest.strip() for name, rest in found}


@dataclass(frozen=True)
class Page:
    "One notebook"
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(NBS).as_posix()

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @cached_property
    def cells(self) -> list:
        cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        return [
            Cell(self.name, n, c.get("id", ""), c["cell_type"], "".join(c["source"]),
                 c.get("outputs", []))
            for n, c in enumerate(cells)]

    @property
    def code(self) -> list:
        return [c for c in self.cells if c.kind == "code" and c.source.strip()]

    @property
    def exports_to(self) -> list:
        "Modules that the page says it makes, as `newsclf.data.tables`"
        made = [c.directives["default_exp"] for c in self.code if "default_exp" in c.directives]
        return [f"newsclf.{name}" for name in made]


def pages() -> list:
    "All notebooks, in the order of their folders and numbers"
    found = NBS.rglob("*.ipynb")
    return [Page(p) for p in sorted(found) if not re.search(r"/[._]", f"/{p.relative_to(NBS)}")]


def scripts() -> list:
    "The Python files that stand among the notebooks"
    return sorted(p for p in NBS.rglob("*.py") if "/." not in str(p.relative_to(ROOT)))


@dataclass(frozen=True)
class Module:
    "One Python file of the package"
    path: Path

    @property
    def name(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def chapter(self) -> str:
        "The subpackage, `data`; nothing for what stands at the top"
        return self.name.split(".")[1] if self.name.count(".") > 1 or self.is_subpackage else ""

    @property
    def is_subpackage(self) -> bool:
        return self.is_package and "." in self.name

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    def place(self, line: int) -> str:
        "Page and cell in which a line of the module is written"
        for text in reversed(self.text.splitlines()[:line]):
            if found := re.match(r"# %% (\S+\.ipynb) #?(\S+)", text):
                path, cell = (self.path.parent/found[1]).resolve(), found[2]
                return cell_place(path, cell)
        return f"{self.path.relative_to(ROOT)}:{line}"


def cell_place(path: Path, cell: str) -> str:
    "A cell by its page and id, with its index where the page has it"
    if NBS not in path.parents or not path.exists():
        return f"{path.name} cell #{cell}, which is gone"
    page = Page(path)
    found = [str(c) for c in page.cells if c.id == cell]
    return found[0] if found else f"{page.name} cell #{cell}"


def modules() -> list:
    "All Python files of the package, without nbdev's index"
    files = sorted(PACKAGE.rglob("*.py"))
    return [Module(p) for p in files if p.name != "_modidx.py" and "__pycache__" not in p.parts]


def chapters() -> dict:
    "Name of a chapter, as `data`, to the numbers of its folders, as [1]; there should be one"
    found = {}
    for folder in sorted({p.folder for p in pages()}):
        if match := re.fullmatch(r"(\d+)_(\w+)", folder):
            found.setdefault(match[2], []).append(int(match[1]))
    return found
