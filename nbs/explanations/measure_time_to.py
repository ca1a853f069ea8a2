"""How long until the model is good? Seconds from the start of the command until the validation accuracy first reaches 90, 92, 92.5, 93 and 94 %. One line of JSON a recipe.

    python nbs/explanations/measure_time_to.py ag_news_csv --config recipe.toml --chapter chapter_train.py

Reading, tokenizing and the evaluations count. Each side is a process of its own, on the same training rows, and is evaluated on the same validation rows whenever it has seen as many more training rows; the line begins with how many times as fast ours was.
`chapter_train.py` is the chapter's own script: any script that takes --data, --model, --rows, --epochs, --batch-size and --seed, names its functions `read_data` and `encode`, and makes one `Trainer`. It has the chapter's epochs and batch size, whatever the recipe says. With it, DATA is a folder with train.csv, a row a line and no header, test.csv and classes.txt.
A model that was not read from this disk lately loads slowly: measure twice, and take the second. The lines are appended to figures/time_to.json.
"""

import argparse
import contextlib
import io
import json
import runpy
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

LEVELS = (90, 92, 92.5, 93, 94)
RESULTS = Path(__file__).parent / "figures" / "time_to.json"


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("data", help="whatever newsclf train takes as --data")
    ap.add_argument("--preset", help="quickstart, fast or chapter")
    ap.add_argument("--config", help="TOML file with the recipe")
    ap.add_argument("--every", type=int, default=100, help="steps between two evaluations")
    ap.add_argument("--name", help="of the recipe in the results [that of --config, or --preset]")
    ap.add_argument("--chapter", help="the chapter's own script, to be measured after ours")
    ap.add_argument("--output", default=str(RESULTS), help="where the line is appended")
    ap.add_argument("--one", choices=("newsclf", "chapter"), help="one side, here and now")
    ap.add_argument("--rows", help="folder with the rows for the chapter's script")
    return ap.parse_args()


def seconds():
    "Since this process was started, so that its imports count"
    return time.time() - psutil.Process().create_time()


def recipe(a):
    "The configuration, evaluated on a schedule"
    from newsclf.core.config import make_config

    cfg = make_config(a.preset, a.config, data=a.data)
    schedule = dict(eval_strategy="steps", eval_steps=a.every)
    return replace(cfg, trainer=cfg.trainer | schedule)


def newsclf(a):
    "What `newsclf train` does until the model is trained; seconds, epoch, accuracy each time"
    from newsclf.core.events import Evaluated
    from newsclf.core.provenance import Clock
    from newsclf.run.dataset import load_rows

    cfg, found = recipe(a), []

    def say(line):
        print(line, file=sys.stderr)
        if isinstance(facts := getattr(line, "facts", None), Evaluated):
            found.append([round(seconds(), 2), facts.epoch, facts.accuracy])

    news = load_rows(cfg, say)
    from newsclf.run.course import train_run
    from newsclf.run.runs import claim_folder
    from newsclf.run.steps import prepare

    job = prepare(cfg, news, say)
    with tempfile.TemporaryDirectory() as tmp:
        job = replace(job, out=claim_folder(Path(tmp) / "run"), cache=False)
        facts = train_run(job, Clock(), False).facts
    return dict(evaluations=found, steps=facts["steps"], precision=job.precision.name)


def watched_trainer(a, every, found):
    "transformers' `Trainer`, evaluated on our validation rows"
    import transformers

    class Clocked(transformers.TrainerCallback):
        def on_evaluate(self, args, state, control, metrics, **more):
            epoch, right = round(state.epoch, 4), metrics["eval_accuracy"]
            found.append([round(seconds(), 2), epoch, right])
            print(f"epoch {epoch:g}: accuracy {right:.2%}", file=sys.stderr)

    def accuracy(prediction):
        right = prediction.predictions.argmax(-1) == prediction.label_ids
        return dict(accuracy=float(right.mean()))

    class Watched(transformers.Trainer):
        def __init__(self, model, args, **more):
            script = sys._getframe(1).f_globals # its own functions read and tokenize
            rows = script["encode"](script["read_data"](f"{a.rows}/validation.csv"))
            args.eval_strategy = transformers.IntervalStrategy.STEPS
            args.eval_steps = every
            more |= dict(eval_dataset=rows, compute_metrics=accuracy, callbacks=[Clocked()])
            super().__init__(model, args, **more)

    return Watched


def chapter(a):
    "The chapter's script, as it stands but for its evaluations"
    import transformers

    told = json.loads(Path(a.rows, "told.json").read_text(encoding="utf-8"))
    found = []
    words = dict(data=a.rows, model=told["model"], rows=told["rows"], seed=told["seed"])
    words |= {"epochs": told["epochs"], "batch-size": told["batch_size"]}
    sys.argv = [a.chapter] + [f"--{name}={value}" for name, value in words.items()]
    # the module that is imported puts another one under its name
    sys.modules["transformers"].Trainer = watched_trainer(a, told["every"], found)
    with (
        tempfile.TemporaryDirectory() as tmp,
        contextlib.chdir(tmp),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        done = runpy.run_path(a.chapter, run_name="__main__")
    if not found:
        sys.exit(f"{a.chapter}: its Trainer was not evaluated")
    return dict(evaluations=found, steps=done["trainer"].state.global_step, precision="float32")


def first_seconds(evaluations):
    "Level to the first second at which it was reached; null if it was not"
    return {
        f"{level:g}": next((s for s, _, right in evaluations if 100 * right >= level), None)
        for level in LEVELS
    }


def one_side(a, side):
    "Measure one side in a process of its own"
    words = [sys.executable, __file__, a.data, "--every", str(a.every), "--one", side]
    for name in ("preset", "config", "chapter", "rows"):
        if value := getattr(a, name):
            words += [f"--{name}", value]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return dict(seconds_to=first_seconds(found["evaluations"])) | found


def write_rows(a, cfg, news, folder):
    "Write the training and validation rows, and what else the chapter's script is told"
    from newsclf.core.config import CHAPTER_STEPS
    from newsclf.model.weights import find_model

    lines = Path(a.data, "train.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    if len(lines) != news.accounts["train.csv"].rows_in:
        sys.exit(f"{a.data}/train.csv: not a row a line, without a header")
    for part in ("train", "validation"):
        own = "".join(lines[n - 1] for n in news.parts[part]["line"])
        Path(folder, f"{part}.csv").write_text(own, encoding="utf-8", newline="")
    every = max(1, round(a.every * cfg.batch_size / CHAPTER_STEPS["batch_size"]))
    told = dict(model=str(find_model(cfg.model)), rows=len(news.parts["train"]), seed=cfg.seed)
    told |= dict(every=every) | CHAPTER_STEPS
    Path(folder, "told.json").write_text(json.dumps(told), encoding="utf-8")


def append(path, found):
    "Add a line to a list in JSON"
    from newsclf.core.storage import write_text

    path = Path(path)
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    lines = ",\n".join(json.dumps(line) for line in [*before, found])
    write_text(path, f"[\n{lines}\n]\n")


def measure(a):
    "Measure a recipe, and the chapter's script where it is named"
    from newsclf.core.machine import processor_units
    from newsclf.core.provenance import circumstances, command_line, recorded
    from newsclf.run.dataset import load_rows
    from newsclf.train.length import choose_steps

    cfg = recipe(a)
    news = load_rows(cfg, lambda line: None)
    cfg = choose_steps(cfg, len(news.parts["train"]))
    sides = {}
    with tempfile.TemporaryDirectory() as tmp:
        if a.chapter:
            a.chapter, a.rows = str(Path(a.chapter).resolve()), tmp
            write_rows(a, cfg, news, tmp)
        for side in ("newsclf", "chapter")[: 1 + bool(a.chapter)]:
            sides[side] = one_side(a, side)
    ours, theirs = (sides.get(s, {}).get("seconds_to", {}) for s in ("newsclf", "chapter"))
    both = [level for level in ours if ours[level] and theirs.get(level)]
    ratio = {level: round(theirs[level] / ours[level], 2) for level in both}
    name = a.name or (Path(a.config).stem if a.config else a.preset or "quickstart")
    found = dict(times_as_fast=ratio, recipe=name, data=Path(a.data).name) | sides
    rows = {part: len(news.parts[part]) for part in ("train", "validation")}
    found |= dict(seed=cfg.seed, rows=rows, config=recorded(cfg), units=processor_units())
    words = ["python", "nbs/explanations/measure_time_to.py", *sys.argv[1:]]
    return found | circumstances(command_line(words))


a = arguments()
if a.one:
    print(json.dumps(dict(newsclf=newsclf, chapter=chapter)[a.one](a)))
else:
    found = measure(a)
    append(a.output, found)
    for side in ("newsclf", "chapter"):
        if side in found:
            print(f"{side:<8} {found[side]['seconds_to']}")
    print(f"times as fast {found['times_as_fast']}")
