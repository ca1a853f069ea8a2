"""Is the fast training as good as the chapter's? Both train on the same rows, seed after seed in turn, and answer the same test rows. JSON.

    python nbs/explanations/measure_quality.py ag_news_csv chapter_train.py > nbs/explanations/figures/quality.json

`chapter_train.py` is the chapter's own script: any script that takes --data, --model, --rows, --epochs, --seed and --test-rows, and leaves its answers in `pred`.
Every run is a process of its own, an hour of it on two slow cores. A run that is already in the folder given by --keep is not made again; those that are published lie in figures/quality, and ours in bfloat16 in figures/quality-bf16.
"""

import argparse
import contextlib
import io
import json
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ap = argparse.ArgumentParser()
ap.add_argument("data")
ap.add_argument("chapter")
ap.add_argument("--rows", type=int, default=8000)
ap.add_argument("--epochs", type=float, default=2)
ap.add_argument("--test-rows", type=int, default=7600)
ap.add_argument("--seeds", type=int, nargs="+", default=[1122, 1123, 1124])
ap.add_argument("--keep", help="folder for the results of single runs")
ap.add_argument(
    "--one", nargs=2, metavar=("SIDE", "SEED"), help="one run, its result on standard output"
)
a = ap.parse_args()


def chapter(seed):
    "The chapter's script, as it stands; its predicted labels"
    from newsclf.model.weights import find_model

    sys.argv = [
        a.chapter,
        "--data",
        str(Path(a.data).resolve()),
        "--model",
        str(find_model("minilm")),
        "--rows",
        str(a.rows),
        "--epochs",
        str(a.epochs),
        "--seed",
        str(seed),
        "--test-rows",
        str(a.test_rows),
    ]
    with (
        tempfile.TemporaryDirectory() as tmp,
        contextlib.chdir(tmp),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        done = runpy.run_path(a.chapter, run_name="__main__")
    return done["pred"].predictions.argmax(-1), done["pred"].label_ids, done["seconds"]


def ours(seed):
    "fine_tune on the rows that the chapter's script takes"
    import pandas as pd
    from datasets import Dataset, DatasetDict

    from newsclf.core.config import make_config
    from newsclf.core.machine import choose_device, choose_precision, set_seed
    from newsclf.data.cleaning import clean_text
    from newsclf.data.tokens import tokenize_parts
    from newsclf.model.classifier import new_classifier
    from newsclf.model.logits import batch_logits
    from newsclf.model.tokenizers import load_tokenizer
    from newsclf.model.weights import find_model
    from newsclf.train.more_options import Training
    from newsclf.train.training import fine_tune

    def read(part):
        df = pd.read_csv(
            f"{a.data}/{part}.csv",
            header=None,
            names=["label", "title", "description"],
            keep_default_na=False,
        )
        return pd.DataFrame(
            dict(
                text=[
                    clean_text(t, ("backslashes",)) for t in df["title"] + " " + df["description"]
                ],
                label=df["label"] - 1,
            )
        )

    cfg = make_config(epochs=float(a.epochs), seed=seed, trainer=dict(eval_strategy="no"))
    names = Path(a.data, "classes.txt").read_text(encoding="utf-8").split("\n")[:4]
    base = find_model("minilm")
    tokenizer = load_tokenizer(base, cfg.max_length)
    train, test = read("train").sample(a.rows, random_state=seed), read("test").head(a.test_rows)
    tokens = tokenize_parts(
        DatasetDict(train=Dataset.from_pandas(train, preserve_index=False)),
        tokenizer,
        tokenizer.model_max_length,
    )
    device = choose_device(cfg.device).name
    set_seed(seed)
    model = new_classifier(base, names, cfg.dropout, lambda line: None)
    with tempfile.TemporaryDirectory() as tmp:
        rows = dict(train=tokens["train"], validation=None)
        precision = choose_precision(cfg.precision, device).name
        training = Training(
            model,
            tokenizer,
            rows,
            cfg,
            Path(tmp),
            device,
            precision,
            say=lambda line: print(line, file=sys.stderr),
        )
        result = fine_tune(training)
    logits = batch_logits(model.eval(), tokenizer, test["text"].tolist())
    return logits.argmax(1), test["label"].to_numpy(), result.seconds


if a.one:
    predicted, labels, seconds = dict(chapter=chapter, newsclf=ours)[a.one[0]](int(a.one[1]))
    print(
        json.dumps(
            dict(
                side=a.one[0],
                seed=int(a.one[1]),
                seconds=round(seconds, 1),
                accuracy=float((predicted == labels).mean()),
                wrong=[int(i) for i in (predicted != labels).nonzero()[0]],
            )
        )
    )
    sys.exit()

import numpy as np

from newsclf.core.provenance import circumstances
from newsclf.core.storage import write_text

keep = Path(a.keep or tempfile.mkdtemp())
runs = []
for seed in a.seeds:
    for side in ("newsclf", "chapter"):
        kept = keep / f"{side}-{seed}.json"
        if not kept.exists():
            start = time.perf_counter()
            done = subprocess.run(
                [
                    sys.executable,
                    __file__,
                    a.data,
                    str(Path(a.chapter).resolve()),
                    "--rows",
                    str(a.rows),
                    "--epochs",
                    str(a.epochs),
                    "--test-rows",
                    str(a.test_rows),
                    "--one",
                    side,
                    str(seed),
                ],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            write_text(
                kept,
                json.dumps(
                    json.loads(done.stdout.splitlines()[-1])
                    | circumstances(
                        f"python measure_quality.py {Path(a.data).name} chapter_train.py --one {side} {seed}"
                    )
                )
                + "\n",
            )
            print(f"{side}, seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        runs.append(json.loads(kept.read_text(encoding="utf-8")))

wrong = np.zeros((2, len(a.seeds), a.test_rows), dtype=bool)
for run in runs:
    wrong[int(run["side"] == "chapter"), a.seeds.index(run["seed"]), run["wrong"]] = True
gain = 100 * (wrong[1].astype(float) - wrong[0]) # points by which ours is better, (seeds, rows)
by_seed, by_row = gain.mean(1), gain.mean(0)
# The rows are a sample of news and the seeds a sample of trainings: both are drawn again, pairs kept together
rng = np.random.default_rng(a.seeds[0])
drawn = [
    gain[
        np.ix_(
            rng.integers(len(a.seeds), size=len(a.seeds)),
            rng.integers(a.test_rows, size=a.test_rows),
        )
    ].mean()
    for _ in range(10_000)
]
found = dict(
    difference_points=round(float(gain.mean()), 3),
    interval_95=[round(float(q), 3) for q in np.percentile(drawn, [2.5, 97.5])],
    by_seed=[round(float(d), 3) for d in by_seed],
    interval_95_rows_only=[
        round(float(by_row.mean() + s * 1.96 * by_row.std(ddof=1) / len(by_row) ** 0.5), 3)
        for s in (-1, 1)
    ],
    accuracy={
        side: [round(100 * (1 - float(w.mean())), 3) for w in wrong[i]]
        for i, side in enumerate(("newsclf", "chapter"))
    },
    rows=a.rows,
    epochs=a.epochs,
    test_rows=a.test_rows,
    seeds=a.seeds,
)
for run in runs:
    run["wrong"] = len(run["wrong"])
print(
    json.dumps(
        found
        | dict(runs=runs)
        | circumstances(
            f"python nbs/explanations/measure_quality.py {Path(a.data).name} chapter_train.py --rows {a.rows} --epochs {a.epochs:g} --seeds {' '.join(map(str, a.seeds))} --keep quality"
        ),
        indent=1,
    )
)
