"Checks of the modules that the notebooks make: their imports, their places, their names."
import ast
import re
from collections import defaultdict
from dataclasses import dataclass

from book import NBS, PACKAGE, ROOT, Module, chapters, modules, no_number, pages, scripts

@dataclass(frozen=True)
class Import:
    "One module that is imported, and the names taken from it"
    module: str
    names: tuple
    line: int


def imports_of(tree: ast.AST, module: str = "", is_package: bool = False) -> list:
    "Every import below `tree`, in functions and under conditions too, with whole names"
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(a.name, (), node.lineno) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[:len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            found.append(Import(base, tuple(a.name for a in node.names), node.lineno))
    return [i for i in found if i.module.split(".")[0] == "newsclf"]


def names_in(body: list) -> set:
    "Names that a module has after its import, without looking into functions and classes"
    names = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {a.asname or a.name.split(".")[0] for a in node.names}
        else:
            found = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            names |= {n.id for n in found if isinstance(n.ctx, ast.Store)}
            for field in ("body", "orelse", "finalbody"):
                names |= names_in(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                names |= names_in(handler.body)
    return names


def lazy_names(tree: ast.Module) -> set:
    "What `newsclf/__init__` offers by a table of names: the texts of its `__all__` or its keys"
    found = set()
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
            if isinstance(node.value, ast.Dict):
                found |= {k.value for k in node.value.keys if isinstance(k, ast.Constant)}
            elif isinstance(node.value, (ast.List, ast.Tuple)):
                found |= {e.value for e in node.value.elts if isinstance(e, ast.Constant)}
    return found


def known_names() -> dict:
    "Module name to the names that can be imported from it"
    known = {m.name: names_in(m.tree.body) for m in modules()}
    for m in modules():
        parent, _, name = m.name.rpartition(".")
        if parent:
            known.setdefault(parent, set()).add(name)
        else:
            known[m.name] |= lazy_names(m.tree)
    return known


def unresolved(found: Import, known: dict) -> list:
    "What an import asks for and the package has not"
    if found.module not in known:
        return [f"there is no module {found.module}"]
    wanted = [n for n in found.names if n != "*" and not re.fullmatch(r"__\w+__", n)]
    missing = [n for n in wanted if n not in known[found.module]]
    return [f"{found.module} has no {n}" for n in missing]


def targets(found: Import, known: dict) -> list:
    "Modules an import leads to: `from newsclf.data import tables` to newsclf.data.tables"
    below = [f"{found.module}.{n}" for n in found.names]
    inner = [m for m in below if m in known]
    return inner if len(inner) == len(below) and inner else [found.module, *inner]


def edges_of(module: Module, known: dict) -> tuple:
    "What a module imports, as (module, place), and what of it cannot be found"
    edges, bad = [], []
    for found in imports_of(module.tree, module.name, module.is_package):
        place = module.place(found.line)
        bad += [f"{place}: {m}" for m in unresolved(found, known)]
        if found.module == "newsclf" and set(found.names) <= {"__version__"} and found.names:
            continue
        edges += [(to, place) for to in targets(found, known) if to in known]
    return edges, bad


def uphill(name: str, to: str, number: dict) -> str:
    "Why an import may not be, or nothing"
    if to == "newsclf":
        return "imports newsclf itself, which offers what stands higher up; import the module"
    chapter, other = name.split(".")[1], to.split(".")[1]
    if chapter == other:
        return ""
    if number.get(other, 99) >= number.get(chapter, -1):
        return f"imports {to}, uphill: {other} does not stand below {chapter}"
    return ""


def circles(edges: dict) -> list:
    "Each circle of imports once, as the list of its modules"
    found, done = {}, set()

    def walk(name, trail):
        if name in trail:
            circle = trail[trail.index(name):]
            found.setdefault(frozenset(circle), circle)
        elif name not in done:
            for to in edges.get(name, {}):
                walk(to, [*trail, name])
            done.add(name)

    for name in edges:
        walk(name, [])
    return list(found.values())


def imports() -> list:
    "Between chapters imports point downhill; within one they make no circle"
    known, inside, bad, seen = known_names(), defaultdict(dict), [], 0
    number = {name: numbers[0] for name, numbers in chapters().items()}
    inner = [m for m in modules() if m.name != "newsclf"]
    for module in inner:
        edges, missing = edges_of(module, known)
        bad += missing
        seen += len(edges)
        if not module.chapter and edges:
            bad.append(f"{module.name} stands in no chapter")
            continue
        for to, place in edges:
            if reason := uphill(module.name, to, number):
                bad.append(f"{place}: {reason}")
            elif to.split(".")[1] == module.chapter:
                inside[module.name].setdefault(to, place)
    for circle in circles(inside):
        steps = zip(circle, [*circle[1:], circle[0]], strict=True)
        ways = "; ".join(f"{inside[a][b]} imports {b}" for a, b in steps)
        bad.append(f"a circle of {len(circle)}: {ways}")
    expected = sum(bool(p.exports_to) for p in pages())
    print(f"{seen} imports between {len(inner)} modules of {len(number)} chapters")
    if len(inner) < expected:
        bad.append(f"{expected} pages export, but only {len(inner)} modules were seen")
    if len(number) < 2:
        bad.append("fewer than two chapters were found: the check looked at nothing")
    return bad if seen else [*bad, "no imports were found: the check looked at nothing"]


def page_faults(page) -> list:
    "What is wrong with the module a page says it makes"
    bad, made = [], page.exports_to
    directives = [(c, d) for c in page.code for d in ("export", "exports", "exporti")
                  if d in c.directives]
    bad += [f"{c}: exports into another module, {c.directives[d]}"
            for c, d in directives if c.directives[d]]
    if directives and not made:
        bad.append(f"{directives[0][0]}: exports, but no cell says `#| default_exp`")
    if len(made) > 1:
        bad.append(f"{page.name}: makes {len(made)} modules: {', '.join(made)}")
    folder, _, file = page.name.rpartition("/")
    if made and not re.fullmatch(r"\d_\w+", folder):
        bad.append(f"{page.name}: makes {made[0]} but stands in no chapter")
    elif made and made[0] != f"newsclf.{no_number(folder)}.{no_number(file)[:-len('.ipynb')]}":
        bad.append(f"{page.name}: makes {made[0]}, whose name is not the page's")
    return bad


def folder_faults() -> list:
    "Subpackages without an empty `__init__.py`, modules beside a folder of their name"
    bad = []
    folders = {p for f in PACKAGE.rglob("*.py") for p in f.parents if PACKAGE in p.parents}
    for folder in sorted(folders):
        init = folder/"__init__.py"
        name = folder.relative_to(ROOT)
        if not init.exists():
            bad.append(f"{name} has no __init__.py")
        elif init.read_text(encoding="utf-8").strip():
            bad.append(f"{name}/__init__.py is not empty")
        if folder.with_suffix(".py").exists():
            bad.append(f"{name}.py stands beside {name}/, which hides it")
    for name, numbers in chapters().items():
        if len(numbers) > 1:
            bad.append(f"two folders make the chapter {name}")
    numbers = [n for found in chapters().values() for n in found]
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    bad += [f"two chapters have the number {n}" for n in twice]
    return bad


def modules_and_pages() -> list:
    "Each module has one page, each exporting page one module"
    made, bad = defaultdict(list), []
    for page in pages():
        bad += page_faults(page)
        for name in page.exports_to:
            made[name].append(page.name)
    real = {m.name for m in modules() if not m.is_package}
    bad += [f"{' and '.join(by)} both make {name}" for name, by in made.items() if len(by) > 1]
    bad += [f"{name} has no notebook" for name in sorted(real - set(made))]
    bad += [f"{by[0]}: {name} was not exported" for name, by in made.items() if name not in real]
    bad += folder_faults()
    print(f"{len(real)} modules, {len(made)} pages that make one, {len(chapters())} chapters")
    return bad if real and made else [*bad, "no modules or no pages: the check looked at nothing"]


def public_definitions(module: Module) -> list:
    "Public names that a module defines at its top, each with its line"
    found = []
    for node in module.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append((node.name, node.lineno))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            stored = [n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            found += [(n.id, node.lineno) for n in stored if isinstance(n.ctx, ast.Store)]
    return [(name, line) for name, line in found if not name.startswith("_")]


def names() -> list:
    "No public name is defined in two modules: links and readers would find the first only"
    places, seen = defaultdict(dict), 0
    for module in modules():
        for name, line in public_definitions(module):
            places[name].setdefault(module.name, module.place(line))
    seen = len(places)
    print(f"{seen} public names")
    bad = [f"{name} twice: {'; '.join(by.values())}" for name, by in places.items() if len(by) > 1]
    return bad if seen else ["no public names were found: the check looked at nothing"]


def written_imports(text: str) -> list:
    "Imports of the package in code, or in a text that holds code"
    try:
        return imports_of(ast.parse(text))
    except (SyntaxError, ValueError): # no code, or half a character
        pass
    found = []
    pattern = r"from +(newsclf[\w.]*) +import +(?:\(([^)]+)\)|([\w, ]+))|import +(newsclf[\w.]*)"
    for m in re.finditer(pattern, text):
        taken = re.findall(r"(\w+)(?: +as +\w+)?(?:,|$)", (m[2] or m[3] or "").strip())
        found.append(Import(m[1] or m[4], tuple(taken), text[:m.start()].count("\n") + 1))
    return found


def attributes_of(tree: ast.AST, known: dict) -> list:
    "`train.batches` after `from newsclf import train` asks for a name as an import does"
    alias, found = {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            whole = {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            alias |= {name: to for name, to in whole.items() if to in known}
        elif isinstance(node, ast.Import):
            alias |= {a.asname: a.name for a in node.names if a.asname and a.name in known}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            to = alias.get(node.value.id)
            found += [Import(to, (node.attr,), node.lineno)] if to else []
    return found


def script_imports(path, known: dict) -> tuple:
    "All imports of a script, those in texts it hands to another Python too, and what is wrong"
    name, text = path.relative_to(ROOT), path.read_text(encoding="utf-8")
    try:
        compile(text, str(path), "exec")
    except SyntaxError as error:
        return [], [f"{name}:{error.lineno}: {error.msg}"]
    tree = ast.parse(text)
    found = imports_of(tree) + attributes_of(tree, known)
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    for text in texts:
        inner = written_imports(text.value)
        found += [Import(i.module, i.names, text.lineno + i.line - 1) for i in inner]
    bad = [f"{name}:{i.line}: {m}" for i in found for m in unresolved(i, known)]
    return found, bad


def cell_imports(cell) -> list:
    "Imports of a code cell, or of the Python blocks of a text cell"
    if cell.kind == "code":
        lines = [ln for ln in cell.source.splitlines() if not re.match(r"\s*[%!]", ln)]
        return written_imports("\n".join(lines))
    blocks = re.findall(r"^```python\n(.*?)^```", cell.source, re.M | re.S)
    return [i for block in blocks for i in written_imports(block)]


def script_faults() -> list:
    "Scripts compile; what they and the cells of all pages import exists"
    known, bad, seen, cells = known_names(), [], 0, 0
    for path in scripts():
        found, faults = script_imports(path, known)
        seen, bad = seen + len(found), bad + faults
    for cell in [c for p in pages() for c in p.cells]:
        found = cell_imports(cell)
        cells += len(found)
        bad += [f"{cell}: {m}" for i in found for m in unresolved(i, known)]
    print(f"{len(scripts())} scripts with {seen} imports of newsclf; {cells} imports in cells")
    if not scripts() or not seen or not cells:
        bad.append(f"no scripts below {NBS.name} or no imports: the check looked at nothing")
    return bad
