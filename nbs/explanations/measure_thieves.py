"""What each change to the training step gains on this machine: every variant in a process of its own, in turn, three times; the median step counts. JSON for the tutorial.

python nbs/explanations/measure_thieves.py ag_news_csv > nbs/explanations/figures/thieves.json
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

VARIANTS = [
    "the chapter's method",
    "rows of like length",
    "cheap dropout",
    "[CLS] alone in the last layer",
    "clipping in the optimizer",
    "tried: memory kept from the system",
    "tried: torch.compile",
]
STEPS = 16


def run_variant(name, data):
    "Seconds of a step for 24 rows of 53 tokens, and page faults a step, after the first eight steps"
    from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, TrainerCallback

    from newsclf.core.config import make_config
    from newsclf.core.machine import set_seed
    from newsclf.model.classifier import new_classifier
    from newsclf.run.bench_training import bench_rows
    from newsclf.run.speed import chapter_arguments, chapter_model
    from newsclf.train.batches import batch_order
    from newsclf.train.more_options import Training
    from newsclf.train.trainer import FastTrainer
    from newsclf.train.training import fine_tune

    class Steps(TrainerCallback):
        taken, faults = [], []

        def on_step_begin(self, *args, **kwargs):
            self.start = time.perf_counter()

        def on_step_end(self, *args, **kwargs):
            self.taken.append(time.perf_counter() - self.start)
            self.faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)

    at, silent = VARIANTS.index(name), lambda line: None
    cfg = make_config(
        data=data,
        epochs=1.0,
        precision="float32",
        trainer=dict(
            eval_strategy="no", max_steps=STEPS, torch_compile=name.endswith("torch.compile")
        ),
    )
    with tempfile.TemporaryDirectory() as tmp:
        bench = bench_rows(cfg, 960)
        base, names, tokens, tokenizer = bench.base, bench.names, bench.tokens, bench.tokenizer
        set_seed(cfg.seed)
        lengths = tokens["train"]["length"][:]
        start = time.perf_counter()
        if at == 0:
            args = chapter_arguments(cfg, tmp)
            args.max_steps = STEPS
            trainer = Trainer(
                chapter_model(base, names),
                args,
                train_dataset=tokens["train"].select_columns(["input_ids", "label"]),
                data_collator=DataCollatorWithPadding(tokenizer),
                processing_class=tokenizer,
            )
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(Steps)
            trainer.train()
            rows = [24 * sum(lengths) / len(lengths)] * STEPS
        else:

            class Watched(FastTrainer):
                def __init__(self, *args, **kwargs):
                    super().__init__(*args, **kwargs)
                    self.add_callback(Steps)

            if at < 4:
                Watched._clip_grad_norm = Trainer._clip_grad_norm
            model = (
                new_classifier(base, names, say=silent) if at >= 3 else chapter_model(base, names)
            )
            with (
                mock.patch("newsclf.train.training.fast_dropout", lambda model: nullcontext())
                if at == 1
                else nullcontext()
            ):
                given = model, tokenizer, tokens, cfg, Path(tmp)
                fine_tune(Training(*given, say=silent), kind=Watched)
            order = batch_order(lengths, 24, cfg.seed)[: 24 * STEPS].reshape(-1, 24)
            rows = [sum(lengths[i] for i in batch) for batch in order]
    per_token = [t / r for t, r in zip(Steps.taken, rows, strict=False)][8:]
    pace = (
        statistics.fmean(Steps.taken[8:]) / statistics.fmean(rows[8:])
        if at == 0
        else statistics.median(per_token)
    )
    return dict(
        milliseconds=1000 * pace * 24 * 53,
        faults=(Steps.faults[-1] - Steps.faults[7]) / (STEPS - 8),
        whole=time.perf_counter() - start,
        first=Steps.taken[0],
    )


if len(sys.argv) > 2:
    print(json.dumps(run_variant(sys.argv[2], sys.argv[1])))
    sys.exit()

from newsclf.core.provenance import circumstances

KEEP = dict(
    MALLOC_MMAP_THRESHOLD_=str(2**30), MALLOC_TRIM_THRESHOLD_=str(2**31 - 1)
) # glibc's names
found = {name: [] for name in VARIANTS}
for turn in range(3):
    for name in VARIANTS:
        done = subprocess.run(
            [sys.executable, __file__, sys.argv[1], name],
            capture_output=True,
            text=True,
            env=os.environ | (KEEP if "memory" in name else {}),
        )
        found[name].append(
            json.loads(done.stdout.splitlines()[-1])
            if done.returncode == 0
            else dict(failed=done.stderr.strip().splitlines()[-1])
        )
        print(turn, name, found[name][-1], file=sys.stderr)
circumstance = circumstances("python " + " ".join([sys.argv[0], Path(sys.argv[1]).name]))
print(json.dumps(dict(steps=STEPS, turns=found, seed=1122) | circumstance, indent=1))
