"""How long two epochs of 108,000 rows take on a GPU, with AG News' token lengths and a bert-base of random weights; needs this repository, torch and transformers. JSON.

    python nbs/explanations/measure_gpu.py                       # one GPU, batch 24, compiled
    python nbs/explanations/measure_gpu.py --batch 96 --eager
    python nbs/explanations/measure_gpu.py --device cpu --rows 96 --layers 2 --hidden 128   # does it run at all?

The lengths are drawn from figures/lengths.json. Compilation and the first steps are timed apart: every width of batch is met once before the clock starts.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent.parent))

import numpy as np
import torch
import transformers

from newsclf.core.machine import machine
from newsclf.model.classifier import BertForSequenceClassification
from newsclf.model.precision import cast_embeddings, to_bfloat16
from newsclf.train.batches import batch_order
from newsclf.train.losses import loss_function
from newsclf.train.optimizer import MasterAdamW, gradient_norm

ap = argparse.ArgumentParser()
ap.add_argument("--rows", type=int, default=108_000)
ap.add_argument("--epochs", type=int, default=2)
ap.add_argument("--batch", type=int, default=24)
ap.add_argument("--device", default="cuda")
ap.add_argument("--eager", action="store_true", help="without torch.compile")
ap.add_argument("--layers", type=int, default=12)
ap.add_argument("--hidden", type=int, default=768)
ap.add_argument("--seed", type=int, default=1122)
a = ap.parse_args()
if a.device == "cuda" and not torch.cuda.is_available():
    sys.exit("measure_gpu: no GPU here; expected one, or --device cpu")
wait = torch.cuda.synchronize if a.device == "cuda" else lambda: None


def batches(lengths, epoch):
    "Widths of the batches of an epoch, in order: rounded up to eight, so that few widths are met"
    order = batch_order(lengths, a.batch, a.seed, epoch)
    whole = len(order) // a.batch * a.batch
    for b in lengths[order[:whole]].reshape(-1, a.batch):
        yield -(-b.max() // 8) * 8, b


def make_batch(rng, width, b):
    "Random tokens in rows of the given lengths, padded; a mask where there is padding"
    ids = torch.from_numpy(rng.integers(1000, 30000, (len(b), width)))
    mask = torch.from_numpy((np.arange(width) < b[:, None]).astype(np.int64))
    batch = dict(input_ids=ids * mask, attention_mask=mask)
    if a.device == "cuda":
        batch = {k: v.pin_memory().to("cuda", non_blocking=True) for k, v in batch.items()}
    return batch, torch.from_numpy(rng.integers(0, 4, len(b))).to(a.device)


histogram = json.loads((here / "figures" / "lengths.json").read_text())
rng = np.random.default_rng(a.seed)
lengths = rng.choice(
    histogram["tokens"], a.rows, p=np.array(histogram["rows"]) / sum(histogram["rows"])
)
torch.manual_seed(a.seed)
config = transformers.BertConfig(
    vocab_size=30522,
    num_labels=4,
    num_hidden_layers=a.layers,
    hidden_size=a.hidden,
    num_attention_heads=a.hidden // 64,
    intermediate_size=4 * a.hidden,
)
model = BertForSequenceClassification(config).to(a.device).train()
masters = to_bfloat16(model)
cast_embeddings(model)
plain = [n for n, p in model.named_parameters() if p.ndim == 1]
optimizer = MasterAdamW(
    [
        dict(params=[p for n, p in model.named_parameters() if n not in plain], weight_decay=0.01),
        dict(params=[p for n, p in model.named_parameters() if n in plain], weight_decay=0.0),
    ],
    masters,
    lr=5e-5,
    fused=True,
)
loss_of, run = loss_function(), model if a.eager else torch.compile(model, dynamic=True)


def step(width, b):
    batch, labels = make_batch(rng, width, b)
    loss = loss_of(dict(logits=run(**batch).logits), labels)
    loss.backward()
    optimizer.grad_scale = (gradient_norm(model.parameters()) + 1e-6).clamp(min=1)
    optimizer.step()
    model.zero_grad()
    return loss.detach()


wait()
start, met = time.perf_counter(), set()
for width, b in batches(lengths, 0):
    if width not in met:
        step(width, b)
        met.add(width)
wait()
first = time.perf_counter() - start
start, steps, losses = time.perf_counter(), 0, []
for epoch in range(a.epochs):
    for width, b in batches(lengths, epoch):
        losses.append(step(width, b))
        steps += 1
wait()
seconds = time.perf_counter() - start
tokens = a.epochs * int(lengths.sum())
layer = 4 * a.hidden**2 + 8 * a.hidden**2
needed = 6.0 * (
    tokens * (layer * (a.layers - 1) + 2 * a.hidden**2)
) # weights only; attention's products are a few per cent
x = (
    torch.randn(8192, 8192, device=a.device, dtype=torch.bfloat16)
    if a.device == "cuda"
    else torch.randn(256, 256)
)
times = []
for _ in range(10):
    wait()
    t = time.perf_counter()
    x @ x
    wait()
    times.append(time.perf_counter() - t)
peak = 2.0 * len(x) ** 3 / min(times)
print(
    json.dumps(
        dict(
            seconds=round(seconds, 2),
            first_steps_and_compilation=round(first, 2),
            rows_per_s=round(steps * a.batch / seconds, 1),
            tokens_per_s=round(tokens / seconds),
            share_of_measured_peak=round(needed / seconds / peak, 3),
            peak_gflops=round(peak / 1e9),
            steps=steps,
            widths=len(met),
            batch=a.batch,
            rows=a.rows,
            epochs=a.epochs,
            compiled=not a.eager,
            parameters=sum(p.numel() for p in model.parameters()),
            last_loss=float(losses[-1]),
            seed=a.seed,
            command="python nbs/explanations/" + " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            torch=torch.__version__,
            transformers=transformers.__version__,
            machine=asdict(machine()),
        ),
        indent=1,
    )
)
