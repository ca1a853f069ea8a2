"ruff and pyright over the modules; findings name the cell of the page, the place to mend them."
import json
import os
import subprocess
import sys
from pathlib import Path

from book import ROOT, Module, modules, scripts

BIN = Path(sys.executable).parent


def place(file: str, line: int) -> str:
    "A line of a module by its cell, any other by its file"
    path = Path(file)
    if ROOT/"newsclf" in path.parents:
        return f"{Module(path).place(line)} ({path.relative_to(ROOT)}:{line})"
    return f"{path.relative_to(ROOT)}:{line}"


def run(*command: str) -> str:
    "What a tool prints; its exit code is 1 where it finds something"
    env = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode > 1 or not done.stdout.strip():
        sys.exit(f"{Path(command[0]).name} did not run: {done.stderr.strip()[-500:]}")
    return done.stdout


def lint() -> list:
    "ruff over the modules, the scripts and these tools, as pyproject.toml says"
    expected = {m.path for m in modules()} | {*scripts(), *(ROOT/".ci").glob("*.py")}
    shown = {Path(p) for p in run(str(BIN/"ruff"), "check", "--show-files", ".").splitlines()}
    found = json.loads(run(str(BIN/"ruff"), "check", "--output-format", "json", "."))
    print(f"{len(found)} findings in {len(shown)} files")
    bad = [f"{place(f['filename'], f['location']['row'])}: {f['code']} {f['message']}"
           for f in found]
    bad += [f"{p.relative_to(ROOT)} was not looked at" for p in sorted(expected - shown)]
    return bad if expected else ["no files: the check looked at nothing"]


def types() -> list:
    "pyright over the modules, as pyproject.toml says, with this environment's libraries"
    command = str(BIN/"pyright"), "--pythonpath", sys.executable, "--outputjson"
    report = json.loads(run(*command))
    seen = report["summary"]["filesAnalyzed"]
    found = [d for d in report["generalDiagnostics"] if d["severity"] == "error"]
    print(f"{len(found)} errors in {seen} modules")
    bad = []
    for d in found:
        message = " ".join(d["message"].split())
        rule = d.get("rule", "syntax")
        bad.append(f"{place(d['file'], d['range']['start']['line'] + 1)}: {message} ({rule})")
    if seen < len(modules()) or not seen:
        bad.append(f"{len(modules())} modules, but pyright looked at {seen}")
    return bad
