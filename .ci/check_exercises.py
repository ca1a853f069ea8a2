"""Exercises of the tutorials: their form; every solution is marked as solved, no empty answer is.

An exercise is a heading `#### Exercise 2: a name`, a cell that ends in `check(...)`, and a cell
with folds: hints, and the solution, which takes the place of all that stands before that line."""
import ast
import json
import re
import subprocess
import sys
from dataclasses import dataclass

from book import pages

FEWEST = 5  # exercises in a tutorial
HEADING = re.compile(r"^#### Exercise (\d+): \S", re.M)
SOLUTION = re.compile(r"<summary>Solution</summary>\n\n```python\n(.*?)\n```\n", re.S)
QUIZ = "<summary>Answer</summary>"


@dataclass(frozen=True)
class Task:
    "One exercise as it stands on its page"
    index: int  # of its code cell among the page's cells
    place: str
    given: str  # the code that the reader finds, without the last line
    solution: str
    exercise: str  # first argument of `check`
    answer: str  # second


def tutorials() -> list:
    "Pages that teach; from 90 on stand those to look things up in, as the glossary"
    return [p for p in pages() if p.folder == "tutorials" and p.path.name < "90"]


def marking(source: str):
    "The call of `check` that a cell ends with, or nothing"
    if not re.search(r"^check\(", source, re.M):
        return None
    last = ast.parse(source).body[-1]
    call = getattr(last, "value", None)
    is_check = isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check"
    return last if is_check and len(call.args) == 2 else None


def tasks(page) -> tuple:
    "The exercises of a page, and what is wrong with their form"
    found, bad = [], []
    for before, cell, after in zip(page.cells, page.cells[1:], page.cells[2:], strict=False):
        last = marking(cell.source) if cell.kind == "code" else None
        if not last:
            continue
        number = HEADING.search(before.source)
        solution = SOLUTION.search(after.source)
        if not number or int(number[1]) != len(found) + 1:
            bad.append(f"{before}: no heading `#### Exercise {len(found) + 1}: …`")
        if not solution or "<summary>Hint</summary>" not in after.source:
            bad.append(f"{after}: no folds with a hint and a solution")
            continue
        given = "\n".join(cell.source.splitlines()[:last.lineno - 1])
        exercise, answer = (ast.unparse(a) for a in last.value.args)
        found.append(Task(cell.index, str(cell), given, solution[1], exercise, answer))
    return found, bad


def names(tree, kind) -> set:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, kind)}


def changed(tree) -> set:
    "Names that a cell binds, or whose things it alters"
    made = names(tree, ast.Store)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        if isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(a.asname or a.name).split(".")[0] for a in node.names}
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            made |= names(node, ast.Load)
    return made


def taken(page, found: list) -> list:
    "Exercises that define a name of the page's own: cells below would get the empty answer"
    ours, bad = {t.index for t in found}, []
    others = [ast.parse(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", c.source)) for c in page.code
              if c.index not in ours]
    used = set().union(*(names(tree, ast.Load) | changed(tree) for tree in others))
    for task in found:
        both = changed(ast.parse(task.given)) & used
        bad += [f"{task.place}: defines {n}, which is a name of the page" for n in sorted(both)]
    return bad


def free_names(task: Task) -> set:
    "What an exercise takes from the cells above it"
    tree = ast.parse(f"{task.given}\n{task.solution}")
    own = changed(tree) | {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
    used = names(tree, ast.Load) | names(ast.parse(f"{task.exercise}, {task.answer}"), ast.Load)
    return used - own


def needed(page, found: list) -> list:
    "The cells that make what the exercises name, and what these cells name"
    last, kept = found[-1].index, []
    ours = {t.index for t in found}
    plain = {c.index: re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", c.source) for c in page.code}
    trees = {i: ast.parse(s) for i, s in plain.items() if i < last and i not in ours}
    wanted = set().union(*map(free_names, found))
    for i in sorted(trees, reverse=True):
        body = trees[i].body
        if all(isinstance(n, ast.Import | ast.ImportFrom) for n in body):
            body = [n for n in body if changed(n) & wanted]  # the others may be slow
        elif not changed(trees[i]) & wanted:
            continue
        kept.append((i, "\n".join(map(ast.unparse, body))))
        wanted |= names(trees[i], ast.Load)
    return kept[::-1]


RUN = '''
import json, sys
from newsclf.learn.exercises import mark
def judge(code, task, space):
    space = dict(space)
    exec(code, space)
    return mark(eval(task["exercise"], space), eval(task["answer"], space))
space, found = dict(__name__="__main__"), []
for kind, what in json.load(sys.stdin):
    if kind == "cell":
        exec(what, space)
        continue
    empty, solved = (judge(what[k], what, space) for k in ("given", "solution"))
    exercise = eval(what["exercise"], space)
    marks = [empty.solved, empty.en, solved.solved, solved.en]
    found.append([*marks, exercise.number, exercise.of, len(exercise.mistakes)])
print("\\n" + json.dumps(found))
'''


def answers(page, found: list) -> list:
    "What each exercise says of the empty answer and of the solution"
    steps = [(i, "cell", source) for i, source in needed(page, found)]
    steps += [(t.index, "task", vars(t)) for t in found]
    sent = json.dumps([step[1:] for step in sorted(steps, key=lambda s: s[0])])
    done = subprocess.run([sys.executable, "-c", RUN], input=sent, cwd=page.path.parent,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        return [f"{page.name}: its exercises did not run: {done.stderr.strip()[-600:]}"]
    marks = json.loads(done.stdout.splitlines()[-1])
    bad = [fault for task, said in zip(found, marks, strict=True) for fault in faults(task, said)]
    for n, (task, said) in enumerate(zip(found, marks, strict=True), 1):
        if said[4:6] != [n, len(found)]:
            place = f"{task.place}: is exercise {n} of {len(found)}"
            bad.append(f"{place}, but calls itself {said[4]} of {said[5]}")
    return bad


def faults(task: Task, said: list) -> list:
    empty, empty_says, solved, solution_says, *_, mistakes = said
    bad = []
    if empty:
        bad.append(f"{task.place}: its empty answer passes")
    elif not empty_says.startswith("Not answered yet"):
        bad.append(f"{task.place}: of its empty answer it says {empty_says!r}")
    if not solved:
        bad.append(f"{task.place}: of its solution it says {solution_says!r}")
    if mistakes < 3:
        bad.append(f"{task.place}: {mistakes} typical mistakes; three or more are expected")
    return bad


def exercises() -> list:
    "Every tutorial has exercises, whose solutions pass and whose empty answers do not"
    bad, total, quizzes = [], 0, 0
    for page in tutorials():
        found, wrong = tasks(page)
        bad += wrong + taken(page, found)
        if len(found) < FEWEST:
            bad.append(f"{page.name}: {len(found)} exercises; {FEWEST} or more are expected")
        bad += answers(page, found) if found else []
        total += len(found)
        quizzes += sum(c.source.count(QUIZ) for c in page.cells)
    print(f"{total} exercises and {quizzes} quiz questions in {len(tutorials())} tutorials")
    return bad if total else [*bad, "no exercises were seen"]
