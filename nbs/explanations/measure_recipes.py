"""Recipes one by one: accuracy on validation rows beside the base recipe, and minutes.

python nbs/explanations/measure_recipes.py DATA --keep recipes [RECIPE...] [--rows 16000]

DATA is a folder in AG News' format. All recipes train on the same rows, drawn by the first seed, and
answer the same held-out rows of train.csv; test.csv decides nothing. What a run answered
lies in the folder --keep and is not computed again, so that a screening can be stopped and gone on
with, also beside other work: its clock does not count. With --pace, some steps of each recipe that
is there are timed, which needs a machine that does nothing else. With --list, the recipes are listed;
with --report, figures/recipes.json is written from what is there: accuracy, difference from --base
with a 95% interval over rows (and seeds, where both have several), and seconds, which are steps of
the training by the time of one. Another --output keeps a report of other sizes beside it.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import DatasetDict, concatenate_datasets
from torch import nn
from torch.nn.functional import cross_entropy, kl_div
from transformers import BertModel, TrainerCallback
from transformers.modeling_outputs import SequenceClassifierOutput

from newsclf.core.config import make_config
from newsclf.core.machine import choose_device, choose_precision, processor_units, set_seed
from newsclf.core.provenance import circumstances
from newsclf.data.cleaning import clean_text
from newsclf.data.duplicates import near_copies
from newsclf.data.linear import linear_baseline
from newsclf.data.tokens import tokenize_parts
from newsclf.evaluate.paired import compare_seeds, paired_difference
from newsclf.model.classifier import BertForSequenceClassification, new_classifier
from newsclf.model.logits import id_logits
from newsclf.model.tokenizers import load_tokenizer
from newsclf.model.weights import find_model
from newsclf.run.budget import _marking
from newsclf.run.dataset import load_rows
from newsclf.train.batches import LengthSampler
from newsclf.train.more_options import Training
from newsclf.train.optimizer import bare_optimizer
from newsclf.train.trainer import FastTrainer
from newsclf.train.training import fine_tune

STORED = Path(__file__).resolve().parent / "figures/recipes.json"
RATE = 1e-4 # Learning rate of the learning curves


class MeanPooled(BertForSequenceClassification):
    "The mean of all last states in place of that of [CLS]"

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, **kwargs):
        states = BertModel.forward(self.bert, input_ids, attention_mask).last_hidden_state
        if attention_mask is None:
            pooled = states.mean(1)
        else:
            real = attention_mask.unsqueeze(-1).to(states.dtype)
            pooled = (states * real).sum(1) / real.sum(1)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


class RDrop(FastTrainer):
    "Each row twice, with other dropout; the two answers are drawn together (arXiv 2106.14448)"

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels").repeat(2)
        logits = model(**{k: t.repeat(2, 1) for k, t in inputs.items()}).logits.float()
        one, two = logits.log_softmax(-1).chunk(2)
        apart = kl_div(one, two, log_target=True, reduction="batchmean")
        apart += kl_div(two, one, log_target=True, reduction="batchmean")
        loss = cross_entropy(logits, labels) + 0.5 * apart
        return (loss, None) if return_outputs else loss


class Average(TrainerCallback):
    "An exponential moving average of the weights, which replaces them at the end"

    def __init__(self, trainer, decay: float = 0.995):
        self.trainer, self.decay, self.kept = trainer, decay, {}

    def weights(self) -> list:
        return [self.trainer.masters.get(p, p) for p in self.trainer.model.parameters()]

    @torch.no_grad()
    def on_step_end(self, args, state, control, **kwargs):
        decay = min(self.decay, (1 + state.global_step) / (10 + state.global_step))
        for i, w in enumerate(self.weights()):
            self.kept.setdefault(i, w.clone()).lerp_(w, 1 - decay)

    @torch.no_grad()
    def on_train_end(self, args, state, control, **kwargs):
        for i, w in enumerate(self.weights()):
            w.copy_(self.kept[i])


class Averaged(FastTrainer):
    "With a moving average of the weights"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.add_callback(Average(self))


def depth(name: str, layers: int) -> int:
    "How far up a parameter is: 0 for embeddings, 1 for the first layer"
    if ".embeddings." in name:
        return 0
    return int(name.split(".layer.")[1].split(".")[0]) + 1 if ".layer." in name else layers + 1


class LayerDecay(FastTrainer):
    "Lower layers learn more slowly (arXiv 1905.05583)"

    decay = 0.9

    def create_optimizer(self, *args, **kwargs):
        made = super().create_optimizer(*args, **kwargs)
        names = {id(self.masters.get(p, p)): n for n, p in self.model.named_parameters()}
        top, groups = self.model.config.num_hidden_layers, []
        for group in bare_optimizer(self.optimizer).param_groups:
            for p in group["params"]:
                slower = self.decay ** (top + 1 - depth(names[id(p)], top))
                groups.append(group | dict(params=[p], lr=group["lr"] * slower))
        bare_optimizer(self.optimizer).param_groups[:] = groups
        return made


class ShortFirst(LengthSampler):
    "Batches of short rows come first in the first epoch"

    def order(self, epoch):
        rows = super().order(epoch)
        if epoch:
            return rows
        whole = rows[: len(rows) // self.batch_size * self.batch_size]
        batches = whole.reshape(-1, self.batch_size)
        easy = np.argsort(self.lengths[batches].mean(1), kind="stable")
        return np.concatenate([batches[easy].ravel(), rows[len(whole) :]])


class Curriculum(FastTrainer):
    "Short rows first"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sampler.__class__ = ShortFirst


def joined(rows) -> list[str]:
    "Title and description as one text, as everywhere"
    return rows["text"][:]


def apart(rows) -> list[str]:
    "Title and description with [SEP] between them"
    pairs = zip(rows["title"][:], rows["description"][:], strict=True)
    return [" [SEP] ".join(clean_text(t, ("backslashes",)) for t in pair) for pair in pairs]


def mean_pooled(model):
    model.__class__ = MeanPooled
    return model


@torch.no_grad()
def mean_layer(model):
    "One more layer, whose attention begins as a mean of all states: a plain BERT, pooled"
    layer = type(model.bert.encoder.layer[0])(model.config)
    for module in layer.modules():
        model._init_weights(module)
    attention = layer.attention.self
    attention.key.weight.zero_() # all tokens count the same
    attention.value.weight.copy_(8 * torch.eye(model.config.hidden_size)) # [CLS] counts little
    layer.attention.output.dense.weight.copy_(torch.eye(model.config.hidden_size))
    layer.output.dense.weight.zero_() # nothing is added to it yet
    model.bert.encoder.layer.append(layer)
    model.config.num_hidden_layers += 1
    return model


def frozen(layers: int) -> Callable:
    "Embeddings and the lower layers stay as they are"

    def freeze(model):
        for name, p in model.named_parameters():
            p.requires_grad_(depth(name, 99) > layers)
        return model

    return freeze


def lowest(layers: int) -> Callable:
    "Only the lower layers of the encoder"

    def cut(model):
        del model.bert.encoder.layer[layers:]
        model.config.num_hidden_layers = layers
        return model

    return cut


def without_contradictions(rows):
    "Leave out near-duplicates under different labels"
    labels = np.asarray(rows["label"][:])
    i, j, _ = near_copies(rows["text"][:])
    bad = np.unique(np.concatenate([x[labels[i] != labels[j]] for x in (i, j)]))
    return rows.select(np.setdiff1d(np.arange(len(rows)), bad))


def further(rows, model, tokenizer, seed: int):
    "Train the encoder on the texts alone, words masked, for an epoch (arXiv 2004.10964)"
    from transformers import (
        BertForMaskedLM,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainingArguments,
    )

    masked = BertForMaskedLM(model.config)
    state = {k: v for k, v in model.bert.state_dict().items() if "pooler" not in k}
    masked.bert.load_state_dict(state, strict=False)
    how = dict(num_train_epochs=1, per_device_train_batch_size=24, learning_rate=1e-4, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder, save_strategy="no", report_to="none", disable_tqdm=True, **how
        )
        ids = rows.select_columns(["input_ids"])
        Trainer(
            masked, args, train_dataset=ids, data_collator=DataCollatorForLanguageModeling(tokenizer)
        ).train()
    model.bert.load_state_dict(masked.bert.state_dict(), strict=False)


@dataclass(frozen=True)
class Recipe:
    "What differs from the base recipe"

    says: str
    settings: dict[str, Any] = field(default_factory=dict)
    text: Callable = joined
    rows: Callable = lambda rows: rows
    model: Callable = lambda model: model
    kind: type[FastTrainer] = FastTrainer
    pretrain: bool = False


def lr(rate: float, **more) -> dict:
    return dict(learning_rate=rate, **more)


UNSURE = dict(choose_rows="uncertain")
RECIPES = {
    "base": Recipe("two epochs, learning rate 5e-5, linear: the chapter's"),
    "lr-1e-4": Recipe("learning rate 1e-4", lr(1e-4)),
    "lr-2e-4": Recipe("learning rate 2e-4", lr(2e-4)),
    "lr-2e-4-warmup": Recipe("learning rate 2e-4, 10% warm-up", lr(2e-4, warmup=0.1)),
    "cosine": Recipe("cosine schedule, learning rate 1e-4", lr(1e-4, schedule="cosine")),
    "one-epoch": Recipe("one epoch, learning rate 1e-4", lr(1e-4, epochs=1.0)),
    "three-epochs": Recipe("three epochs, learning rate 1e-4", lr(1e-4, epochs=3.0)),
    "four-epochs": Recipe("four epochs", dict(epochs=4.0)),
    "batch-48": Recipe("batches of 48, learning rate 2e-4", lr(2e-4, batch_size=48)),
    "batch-12": Recipe("batches of 12", dict(batch_size=12)),
    "smoothing": Recipe("label smoothing 0.1", dict(label_smoothing=0.1)),
    "no-dropout": Recipe("no dropout", dict(dropout=0.0)),
    "mean": Recipe("mean of all states in place of [CLS]", model=mean_pooled),
    "mean-1e-4": Recipe("mean of all states, learning rate 1e-4", lr(1e-4), model=mean_pooled),
    "mean-layer": Recipe("one more layer that begins as that mean, 1e-4", lr(1e-4), model=mean_layer),
    "separator": Recipe("title [SEP] description", text=apart),
    "frozen-embeddings": Recipe("embeddings frozen", model=frozen(0)),
    "frozen-3": Recipe("embeddings and three layers frozen, 1e-4", lr(1e-4), model=frozen(3)),
    "four-layers": Recipe("the lower four layers only, 1e-4", lr(1e-4), model=lowest(4)),
    "cut-40": Recipe("texts cut after 40 tokens, 1e-4", lr(1e-4, max_length=40)),
    "layer-decay": Recipe("learning rate x 0.9 a layer down, 1e-4", lr(1e-4), kind=LayerDecay),
    "r-drop": Recipe("R-Drop, weight 0.5", kind=RDrop),
    "average": Recipe("moving average of the weights, constant rate",
                      lr(1e-4, schedule="constant"), kind=Averaged),
    "consistent": Recipe("without contradictory near-duplicates", rows=without_contradictions),
    "short-first": Recipe("short rows first in the first epoch", kind=Curriculum),
    "further": Recipe("one epoch of masked words before", pretrain=True),
    "uncertain": Recipe("rows that a linear model is unsure of, 1e-4", lr(1e-4, **UNSURE)),
    "uncertain-once": Recipe("the same, one epoch", lr(1e-4, epochs=1.0, **UNSURE)),
} | {f"curve-{n}": Recipe(f"{n} epochs, for learning curves", lr(RATE, epochs=float(n)))
     for n in (1, 2, 4, 8)}


def fit(name: str, seed: int, given, rows: int, marks: list[float] | None = None) -> dict:
    "Train by one recipe; with a list for its clock, one epoch"
    recipe = RECIPES[name]
    quiet = dict(eval_strategy="no")
    settings = recipe.settings | (dict(epochs=1.0) if marks is not None else {})
    cfg = make_config(
        data=given.data, train_rows=rows, model=given.model, **settings, trainer=quiet
    )
    news = load_rows(cfg, lambda line: None)
    held = concatenate_datasets([news.parts["validation"], news.parts["calibration"]])
    train, base = recipe.rows(news.parts["train"]), find_model(cfg.model)
    tokenizer = load_tokenizer(base, cfg.max_length)

    def texts(rows):
        return rows.remove_columns("text").add_column("text", recipe.text(rows))

    parts = DatasetDict(train=texts(train), validation=texts(held))
    tokens = tokenize_parts(parts, tokenizer, tokenizer.model_max_length)
    device = choose_device(cfg.device).name
    precision = choose_precision(cfg.precision, device).name
    set_seed(seed)
    model = recipe.model(new_classifier(base, news.names, cfg.dropout, lambda line: None))
    began = time.perf_counter()
    if recipe.pretrain:
        further(tokens["train"], model, tokenizer, seed)
    before = time.perf_counter() - began
    cfg = make_config(**(settings | dict(seed=seed, trainer=quiet)))
    kind = recipe.kind if marks is None else _marking(marks, recipe.kind)
    with tempfile.TemporaryDirectory() as out:
        what = (model, tokenizer, tokens, cfg, Path(out), device, precision)
        result = fine_tune(Training(*what, say=lambda line: None), kind=kind)
    return dict(
        model=model.eval(), pad=tokenizer.pad_token_id, ids=tokens["validation"]["input_ids"][:],
        labels=np.asarray(held["label"][:]), rows=len(train), steps=result.steps, before=before,
    )


def run(name: str, seed: int, given) -> dict:
    "Train by one recipe, and answer the held-out rows"
    done = fit(name, seed, given, given.rows)
    z = id_logits(done["model"], done["ids"], done["pad"])
    return dict(logits=z, labels=done["labels"], rows=done["rows"], steps=done["steps"])


def pace(name: str, given) -> dict:
    "Time some steps of a recipe, on a machine that does nothing else"
    marks: list[float] = []
    done = fit(name, given.seeds[0], given, 480, marks)
    return dict(step=float(np.median(np.diff(marks))), before=done["before"] / 480)


def place(name: str, seed: int, given) -> Path:
    "The file of one run"
    return Path(given.keep) / f"{name}-{given.rows}-{seed}.npz"


def found_runs(given) -> dict[str, dict[int, Any]]:
    "Runs that are there: by recipe and seed"
    out = {}
    for name in RECIPES:
        seeds = {}
        for path in sorted(Path(given.keep).glob(f"{name}-{given.rows}-*.npz")):
            with np.load(path) as stored: # arrays only: numpy refuses objects
                seeds[int(path.stem.rsplit("-", 1)[1])] = dict(stored)
        if seeds:
            out[name] = seeds
    return out


def paced(given) -> dict[str, dict[str, float]]:
    "What --pace has found, by recipe"
    found = sorted(Path(given.keep).glob("pace-*.json"))
    return {path.stem.removeprefix("pace-"): json.loads(path.read_text()) for path in found}


def beside(base: dict[int, Any], other: dict[int, Any], pace: dict[str, float] | None) -> dict:
    "Accuracy of a recipe, and its difference from the base recipe on the same seeds"
    seeds = sorted(base.keys() & other.keys())
    labels = base[seeds[0]]["labels"]
    said = [[runs[s]["logits"].argmax(1) for s in seeds] for runs in (base, other)]
    if len(seeds) > 1:
        d = compare_seeds(*([s == labels for s in side] for side in said))
    else:
        d = paired_difference(labels, said[0][0], said[1][0], 4).accuracy
    rows, steps = (int(other[seeds[0]][what]) for what in ("rows", "steps"))
    return dict(
        accuracy=d.b, difference=d.difference, interval_95=list(d.interval_95), seeds=seeds, rows=rows,
        seconds=pace and round(steps * pace["step"] + rows * pace["before"], 1),
    )


def with_linear(given, base: dict[str, Any]) -> dict[str, dict]:
    "A linear model on the same rows, and its probabilities averaged with those of the base recipe"
    cfg = make_config(data=given.data, train_rows=given.rows)
    news = load_rows(cfg, lambda line: None)
    held = concatenate_datasets([news.parts["validation"], news.parts["calibration"]])
    train, labels, began = news.parts["train"], base["labels"], time.perf_counter()
    what = (train["text"][:], np.asarray(train["label"][:]), held["text"][:])
    p = linear_baseline(*what, len(news.names), cfg.seed)
    took = time.perf_counter() - began
    both = p + torch.tensor(base["logits"]).softmax(-1).numpy()
    said = {"linear": "a linear model on words", "with-linear": "base and it, averaged"}
    out = {}
    for name, q in (("linear", p), ("with-linear", both)):
        d = paired_difference(labels, base["logits"].argmax(1), q.argmax(1), 4).accuracy
        out[name] = dict(
            accuracy=d.b, difference=d.difference, interval_95=list(d.interval_95), says=said[name],
            seeds=[given.seeds[0]], rows=len(train),
            seconds=round(took, 1), # for the second, the base recipe's are still to be added
        )
    return out


def report(given) -> dict:
    "Compare all runs that are there with the base recipe"
    runs, pace = found_runs(given), paced(given)
    several = runs[given.base]
    found = {
        n: beside(several, r, pace.get(n)) | dict(says=RECIPES[n].says)
        for n, r in runs.items() if n == given.base or not n.startswith("curve-")
    }
    found |= with_linear(given, several[given.seeds[0]])
    if alone := found[given.base]["seconds"]:
        found["with-linear"]["seconds"] += alone
    if len(several) > 1: # an ensemble costs nothing more to try
        labels = next(iter(several.values()))["labels"]
        p = sum(torch.tensor(r["logits"]).softmax(-1) for r in several.values())
        accuracy = float((p.argmax(1).numpy() == labels).mean())
        told = f"{len(several)} runs of {given.base}, probabilities averaged"
        found["ensemble"] = dict(accuracy=accuracy, says=told)
    return found


def main():
    "Run what is not there yet, or report"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="a folder in AG News' format")
    parser.add_argument("recipes", nargs="*", help="names of recipes [all]")
    parser.add_argument("--keep", required=True, help="folder for what runs answered")
    parser.add_argument("--rows", type=int, default=16_000, help="training rows [16000]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1122], help="[1122]")
    parser.add_argument("--model", default="minilm", help="encoder [minilm]")
    parser.add_argument("--list", action="store_true", help="list the recipes")
    parser.add_argument("--pace", action="store_true", help="time some steps of each recipe")
    parser.add_argument("--report", action="store_true", help="write --output")
    parser.add_argument("--base", default="base", help="the recipe that others are held against")
    parser.add_argument("--output", type=Path, default=STORED, help="[figures/recipes.json]")
    given = parser.parse_intermixed_args()
    if given.list:
        print("\n".join(f"{name:<20}{r.says}" for name, r in RECIPES.items()))
        return
    Path(given.keep).mkdir(parents=True, exist_ok=True)
    if given.report:
        record = circumstances() | dict(units=processor_units(), recipes=report(given))
        given.output.write_text(json.dumps(record, indent=1) + "\n")
        print(json.dumps(record["recipes"], indent=1))
        return
    if given.pace:
        for name in found_runs(given):
            found = pace(name, given)
            (Path(given.keep) / f"pace-{name}.json").write_text(json.dumps(found))
            print(f"{name:<20}{1000 * found['step']:.0f} ms a step", flush=True)
        return
    for seed in given.seeds:
        for name in given.recipes or RECIPES:
            if not (path := place(name, seed, given)).exists():
                found = run(name, seed, given)
                with path.with_suffix(".part").open("wb") as file:
                    np.savez_compressed(file, **found)
                path.with_suffix(".part").rename(path)
                right = (found["logits"].argmax(1) == found["labels"]).mean()
                print(f"{name:<20}{right:.2%}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
