"""Fine-tuning by numbers: learning rates, learning by heart, frozen layers, dropout, weight decay,
the loss between two models, and what pre-training is worth in rows. JSON.

    python nbs/explanations/measure_fine_tuning.py ag_news_csv --keep parts > fine_tuning.json

All is measured on 1,000 rows of train.csv that no model learns from; test.csv stays closed. Of
each text the model reads 24 tokens: a headline and a few words, so that it takes half an hour on
one core. A run that is in the folder --keep already is not made again, so it can be continued;
--so-far prints the runs that are there.
"""
import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset
from safetensors.torch import load_file, save_file

from newsclf.core.config import make_config
from newsclf.core.machine import choose_precision, set_seed, silent
from newsclf.core.provenance import circumstances
from newsclf.data.cleaning import clean_text
from newsclf.data.linear import linear_baseline
from newsclf.data.tokens import tokenize_parts
from newsclf.evaluate.metrics import RunningAccuracy
from newsclf.model.classifier import new_classifier
from newsclf.model.logits import id_logits
from newsclf.model.precision import half_model
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import minilm_folder
from newsclf.train.more_options import Training
from newsclf.train.training import fine_tune

NAMES = ["World", "Sports", "Business", "Sci/Tech"]
LENGTH, BATCH, HELD_OUT = 24, 16, 1000
SEEDS = (1, 2)
RATES = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
OLD_RATE = 1e-4 # for pre-trained weights
RANDOM_RATE = 3e-4 # for random weights, after a warm-up
HEAD_RATES = (1e-4, 1e-2, 1e-3) # for a new layer on frozen ones
STEPS = {8: 30, 32: 30, 128: 32, 512: 64, 2048: 64, 8192: 128}
RANDOM_STEPS = {8: 30, 32: 30, 128: 48, 512: 80, 2048: 128, 8192: 256}
BATCHES = {2048: 32, 8192: 64} # of the pre-trained; otherwise 16
RANDOM_BATCHES = {2048: 32, 8192: 32}
PRECISION = choose_precision("auto", "cpu").name
BASE = minilm_folder()
TOKENIZER = load_tokenizer(BASE, LENGTH)
COMMAND = "python nbs/explanations/measure_fine_tuning.py ag_news_csv --keep parts"


def read(folder):
    "The rows of train.csv, cleaned, by class"
    df = pd.read_csv(Path(folder, "train.csv"), header=None, keep_default_na=False)
    df.columns = ["label", "title", "description"]
    joined = df["title"] + " " + df["description"]
    df["text"] = [clean_text(text, ("backslashes",)) for text in joined]
    df["label"] -= 1
    return df[["text", "label"]].drop_duplicates("text")


class Rows:
    "Validation rows, held out first, and balanced draws of the others"

    def __init__(self, folder):
        df = read(folder)
        self.validation = self.draw(df, HELD_OUT, 0)
        self.rest = df.drop(self.validation.index)
        self.held = self.tokens(self.validation)

    def draw(self, df, n, seed):
        return df.groupby("label").sample(n // 4, random_state=seed).sample(
            frac=1, random_state=seed)

    def train(self, n, seed):
        return self.draw(self.rest, n, seed)

    def tokens(self, df):
        parts = dict(train=Dataset.from_pandas(df, preserve_index=False))
        return tokenize_parts(parts, TOKENIZER, LENGTH)["train"]


def pretrained(seed, dropout=0.1):
    "MiniLM with a new last layer"
    set_seed(seed)
    return new_classifier(BASE, NAMES, dropout, silent)


def from_scratch(seed):
    "The same network, all of its weights random"
    model = pretrained(seed)
    set_seed(seed)
    return type(model)(model.config)


def freeze(model, layers):
    "Hold the embeddings and the first layers fixed; None: everything but the last layer"
    if layers is None:
        model.bert.requires_grad_(False)
        return
    model.bert.embeddings.requires_grad_(False)
    for layer in model.bert.encoder.layer[:layers]:
        layer.requires_grad_(False)


def train(model, tokens, steps, held=None, every=4, batch=BATCH, **settings):
    "Fine-tune in place; the lines of the history"
    options = dict(max_steps=steps, logging_steps=every, eval_strategy="no")
    if held is not None:
        options |= dict(eval_strategy="steps", eval_steps=every)
    cfg = make_config(batch_size=min(batch, len(tokens)), trainer=options, **settings)
    with tempfile.TemporaryDirectory() as tmp:
        parts = dict(train=tokens, validation=held)
        training = Training(model, TOKENIZER, parts, cfg, Path(tmp), "cpu", PRECISION,
                            RunningAccuracy(), silent)
        fine_tune(training)
        return pd.read_json(Path(tmp, "history.jsonl"), lines=True)


def evaluate(model, tokens):
    "Mean loss and accuracy, computed in the precision of the training"
    model = model.eval()
    if PRECISION == "bf16":
        model = half_model(model)
    logits = id_logits(model, tokens["input_ids"][:], TOKENIZER.pad_token_id)
    labels = np.asarray(tokens["label"][:])
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = -log_p[np.arange(len(labels)), labels].mean()
    return dict(loss=round(float(loss), 4), accuracy=float((logits.argmax(1) == labels).mean()))


def curve(history, name="loss"):
    "One column of a history, as pairs of step and value"
    found = history.dropna(subset=[name])
    return [[int(s), round(float(v), 4)] for s, v in zip(found["step"], found[name], strict=True)]


def learning_rate(rows, seed, rate):
    "One pass over 1,024 rows"
    tokens = rows.tokens(rows.train(1024, seed))
    model = pretrained(seed)
    history = train(model, tokens, 64, learning_rate=rate, seed=seed)
    if rate == OLD_RATE:
        keep_state(model, f"tuned-{seed}")
    return dict(train=curve(history), gradient=curve(history, "grad_norm")) | evaluate(
        model, rows.held)


def by_heart(rows, seed, labels):
    "Sixteen rows, their labels true or shuffled, at a constant rate"
    df = rows.train(16, seed)
    some = df if labels == "true" else df.assign(label=np.roll(df["label"].to_numpy(), 1))
    model, tokens = pretrained(seed), rows.tokens(some)
    start = evaluate(model, rows.held)
    history = train(model, tokens, 50, rows.held, 5, schedule="constant", seed=seed,
                    learning_rate=OLD_RATE)
    return dict(
        changed=int((some["label"] != df["label"]).sum()),
        start=start,
        train=curve(history),
        validation=curve(history, "eval_loss"),
        validation_accuracy=curve(history, "eval_accuracy"),
        after=evaluate(model, tokens),
    )


def learnt(rows, model, df, steps, **settings):
    "Train on some rows; what came out, how many numbers were trained, and how long it took"
    tokens = rows.tokens(df)
    start = time.process_time()
    history = train(model, tokens, steps, **settings)
    found = dict(steps=steps, seconds=round(time.process_time() - start, 1),
                 free=sum(p.numel() for p in model.parameters() if p.requires_grad),
                 last_train=curve(history)[-1][1])
    if len(tokens) <= 512:
        own = evaluate(model, tokens)
        found |= dict(train_loss=own["loss"], train_accuracy=own["accuracy"])
    return found | evaluate(model, rows.held)


def frozen(rows, seed, trained, rate):
    "128 rows: only the head, or the upper half"
    model = pretrained(seed)
    freeze(model, 3 if trained == "upper half" else None)
    return learnt(rows, model, rows.train(128, seed), STEPS[128], learning_rate=rate, seed=seed)


def regularised(rows, seed, dropout, weight_decay):
    "128 rows, four passes"
    return learnt(rows, pretrained(seed, dropout), rows.train(128, seed), STEPS[128],
                  learning_rate=OLD_RATE, seed=seed, weight_decay=weight_decay, dropout=dropout)


def random_weights(rows, seed, size, rate):
    "The same network, with nothing learnt before"
    model = from_scratch(seed)
    found = learnt(rows, model, rows.train(size, seed), RANDOM_STEPS[size], learning_rate=rate,
                   seed=seed, warmup=0.1, batch=RANDOM_BATCHES.get(size, BATCH))
    if size == 512:
        keep_state(model, f"scratch-{seed}")
    return found


def pretrained_weights(rows, seed, size):
    "MiniLM on a number of rows"
    model = pretrained(seed)
    return learnt(rows, model, rows.train(size, seed), STEPS[size], learning_rate=OLD_RATE,
                  seed=seed, batch=BATCHES.get(size, BATCH))


def linear(rows, seed, size):
    "The linear model beside them, on whole texts and on as much of them as the network reads"
    df, held = rows.train(size, seed), rows.validation
    found = {}
    for name, cut in (("accuracy", True), ("accuracy_whole_texts", False)):
        texts, others = (shown(some["text"], cut) for some in (df, held))
        proba = linear_baseline(texts, df["label"].to_numpy(), others, 4, seed)
        found[name] = float((proba.argmax(1) == held["label"].to_numpy()).mean())
    return found


def shown(texts, cut):
    "What the network reads of the texts, or all of it"
    if not cut:
        return texts.tolist()
    ids = TOKENIZER(texts.tolist(), truncation=True, max_length=LENGTH)["input_ids"]
    return TOKENIZER.batch_decode(ids, skip_special_tokens=True)


def line(rows, start, end):
    "Loss and accuracy along the line from one state to another, and a little beyond"
    begin, finish = read_state(start), read_state(end)
    found, model = [], pretrained(0)
    for t in np.linspace(-0.2, 1.2, 8):
        model.load_state_dict({n: begin[n] + float(t) * (finish[n] - begin[n]) for n in begin})
        found.append(dict(t=round(float(t), 2)) | evaluate(model, rows.held))
    far = sum(float((finish[n] - begin[n]).square().sum()) for n in begin) ** 0.5
    size = sum(float(p.square().sum()) for p in begin.values()) ** 0.5
    return dict(points=found, distance=round(far, 3), length=round(size, 3))


def keep_state(model, name):
    "Keep the weights for a line"
    save_file({n: p.contiguous() for n, p in model.state_dict().items()}, KEEP / f"{name}.st")


def read_state(name):
    "The weights kept under a name; start: MiniLM before its first step"
    return pretrained(1).state_dict() if name == "start" else load_file(KEEP / f"{name}.st")


def run(part, measure, rows, **settings):
    "Make a run, or read it where it was made before"
    path = KEEP / ("-".join([part, *map(str, settings.values())]) + ".json")
    if ARGS.so_far and not path.exists():
        return part, None
    if not path.exists():
        facts, start = circumstances(COMMAND), time.process_time()
        found = settings | measure(rows, **settings)
        seconds = round(time.process_time() - start, 1)
        path.write_text(json.dumps(dict(found=found, cpu_seconds=seconds, facts=facts)))
        said = {n: found[n] for n in ("loss", "accuracy") if n in found}
        print(path.stem, said, seconds, file=sys.stderr, flush=True)
    return part, json.loads(path.read_text())


def first_runs(rows, seed):
    "Learning rates, learning by heart"
    for rate in RATES:
        yield run("learning_rates", learning_rate, rows, seed=seed, rate=rate)
    for labels in ("true", "shuffled"):
        yield run("by_heart", by_heart, rows, seed=seed, labels=labels)


def size_runs(rows, seed, sizes):
    "Pre-trained and random"
    for size in sizes:
        yield run("pretrained", pretrained_weights, rows, seed=seed, size=size)
        yield run("random", random_weights, rows, seed=seed, size=size, rate=RANDOM_RATE)


def frozen_runs(rows, seed):
    "Frozen layers; that everything is trained, is among the sizes"
    ways = [("head", rate) for rate in HEAD_RATES]
    for trained, rate in [*ways, ("upper half", OLD_RATE)]:
        yield run("frozen", frozen, rows, seed=seed, trained=trained, rate=rate)


def regularised_runs(rows, seed):
    "Dropout and weight decay; the usual settings are among the sizes"
    for dropout, decay in [(0.0, 0.01), (0.3, 0.01), (0.1, 0.0), (0.1, 0.3)]:
        yield run("regularisation", regularised, rows, seed=seed, dropout=dropout,
                  weight_decay=decay)


def line_runs(rows, first, second):
    "Lines between two fine-tuned models, and between two that were trained from scratch"
    yield run("learning_rates", learning_rate, rows, seed=second, rate=OLD_RATE)
    yield run("lines", line, rows, start=f"tuned-{first}", end=f"tuned-{second}")
    yield from size_runs(rows, first, (512,))
    yield run("random", random_weights, rows, seed=second, size=512, rate=RANDOM_RATE)
    yield run("lines", line, rows, start=f"scratch-{first}", end=f"scratch-{second}")


def all_runs(rows):
    "Every run, the long ones last"
    first, second = SEEDS
    yield from first_runs(rows, first)
    for seed in SEEDS:
        for size in STEPS:
            yield run("linear", linear, rows, seed=seed, size=size)
    yield from size_runs(rows, first, (128, 32))
    yield from frozen_runs(rows, first)
    yield run("lines", line, rows, start="start", end=f"tuned-{first}")
    yield from size_runs(rows, first, (8,))
    yield from regularised_runs(rows, first)
    yield from line_runs(rows, first, second)
    yield from size_runs(rows, second, (128,))
    yield from regularised_runs(rows, second)
    yield from size_runs(rows, first, (2048, 8192))
    yield from size_runs(rows, second, (8, 32))


def collect(rows):
    "The runs by part, with the CPU seconds of each part"
    found, seconds, facts = {}, {}, {}
    for part, one in all_runs(rows):
        if one is None:
            continue
        facts = one["facts"]
        found.setdefault(part, []).append(one["found"])
        seconds[part] = round(seconds.get(part, 0) + one["cpu_seconds"], 1)
    setup = dict(validation_rows=HELD_OUT, max_length=LENGTH, batch_size=BATCH,
                 precision=PRECISION, pretrained_rate=OLD_RATE,
                 random_rate=RANDOM_RATE)
    return facts | dict(setup=setup, cpu_seconds=seconds) | found


def main():
    "Make all runs, print"
    print(json.dumps(collect(Rows(ARGS.data)), indent=None, separators=(", ", ": ")))


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("data", help="folder with train.csv of AG News")
    ap.add_argument("--keep", required=True, type=Path, help="folder for finished runs")
    ap.add_argument("--so-far", action="store_true", help="print what is there, make no runs")
    ARGS = ap.parse_args()
    KEEP = ARGS.keep
    KEEP.mkdir(parents=True, exist_ok=True)
    main()
