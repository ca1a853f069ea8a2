"""The model in the page nbs/live: a student of a run, small enough for a browser.

    python nbs/explanations/make_live.py teacher ag_news_csv --keep live

`teacher` is a run of newsclf on AG News, `ag_news_csv` a folder with train.csv and classes.txt.
The teacher classifies some training rows, whole and as headlines alone. The student is a BERT of
two layers: its vocabulary is cut to the pieces that news uses most, its embeddings are the
teacher's, reduced by principal components. It learns from the teacher's probabilities where it
has them, from the labels everywhere; the best epoch on held-out training rows is kept. A
temperature fitted on these rows is folded into the last layer. Weights are then rounded to 8 bits, each row with its own scale,
and written to nbs/live/weights.js. A step whose result lies in the folder --keep is not made again.
measure_live.py says how good it is.
"""
import argparse
import base64
import csv
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import BertConfig, BertForSequenceClassification

from newsclf import Predictor
from newsclf.core.provenance import circumstances
from newsclf.data.cleaning import clean_text

LIVE = Path(__file__).resolve().parent.parent / "live"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SIZES = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512)
POSITIONS, PIECES, HELD_OUT, TEMPERATURE = 128, 8000, 1000, 2.0
READ = 48 # pieces of a text while training; half of the texts are longer


def read_rows(data: Path) -> list:
    "(class index, headline, whole text) of each training row"
    with open(data / "train.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f))
    return [(int(c) - 1, clean_text(t), clean_text(f"{t} {d}")) for c, t, d in rows]


def ask_teacher(run: Path, texts: list, file: Path) -> np.ndarray:
    "The teacher's log-probabilities, kept in `file`"
    if not file.exists():
        predictor, found, start = Predictor(run, recheck=False), [], time.perf_counter()
        for i in range(0, len(texts), 1000):
            found.append(np.log(predictor.predict_proba(texts[i : i + 1000])))
            seconds = time.perf_counter() - start
            print(f"{file.stem}: {i + len(found[-1])} rows, {seconds:.0f} s", flush=True)
        np.save(file, np.concatenate(found).astype(np.float32))
    return np.load(file)


def cut_vocabulary(tokenizer, texts: list) -> list:
    "Special pieces, single characters that occur, then the pieces used most"
    whole = tokenizer.get_vocab()
    names = {i: piece for piece, i in whole.items()}
    used = np.zeros(len(whole), dtype=np.int64)
    for i in range(0, len(texts), 2000):
        for e in tokenizer.backend_tokenizer.encode_batch(texts[i : i + 2000]):
            np.add.at(used, e.ids, 1)
    single = [p for p in whole if len(p.removeprefix("##")) == 1]
    letters = {p for p in single if ord(p[-1]) < 128 or used[whole[p]]}
    ranked = [names[i] for i in np.argsort(-used, kind="stable") if used[i]]
    rest = [p for p in ranked if p not in letters and p not in tokenizer.all_special_tokens]
    kept = set(rest[: PIECES - len(SPECIAL) - len(letters)]) | letters
    return SPECIAL + sorted(kept, key=whole.__getitem__)


def cut_tokenizer(vocabulary: list):
    "BERT's tokenizer, uncased, with another vocabulary"
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    numbers = {piece: i for i, piece in enumerate(vocabulary)}
    made = Tokenizer(WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer, made.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    marks = [(p, numbers[p]) for p in ("[CLS]", "[SEP]")]
    made.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    made.enable_truncation(POSITIONS)
    return made


def new_student(vocabulary: list, names: list) -> BertForSequenceClassification:
    "The student before training; dropout as in the teacher"
    config = BertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=POSITIONS, type_vocab_size=1,
        hidden_act="gelu_new", attention_probs_dropout_prob=0.0, num_labels=len(names), pad_token_id=0,
        id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)}, **SIZES)
    return BertForSequenceClassification(config)


def reduce_embeddings(student, teacher, rows: list) -> None:
    "Start from the teacher's embeddings, along their principal components"
    theirs, mine = teacher.bert.embeddings, student.bert.embeddings
    with torch.no_grad():
        words = theirs.word_embeddings.weight[rows].float()
        middle = words.mean(0)
        axes = torch.linalg.svd(words - middle, full_matrices=False)[2][: SIZES["hidden_size"]].T
        places = theirs.position_embeddings.weight[:POSITIONS].float()
        mine.word_embeddings.weight.copy_((words - middle) @ axes)
        mine.position_embeddings.weight.copy_((places - places.mean(0)) @ axes)
        mine.token_type_embeddings.weight.zero_()


def batch_of(ids: list, pad: int = 0) -> tuple:
    "Token ids and mask of some texts, padded"
    width = max(map(len, ids))
    filled = torch.tensor([i + [pad] * (width - len(i)) for i in ids])
    mask = torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i in ids])
    return filled, mask


def shuffled_batches(lengths: np.ndarray, size: int, rng) -> list:
    "Batches of texts of about equal length, in random order"
    order = rng.permutation(len(lengths))
    pools = [order[i : i + 50 * size] for i in range(0, len(order), 50 * size)]
    ranked = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    batches = [pool[i : i + size] for pool in ranked for i in range(0, len(pool), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


@torch.no_grad()
def logits_of(model, ids: list) -> torch.Tensor:
    "Logits in float32, in the order of `ids`"
    model.eval()
    order = np.argsort([len(i) for i in ids], kind="stable")
    out = torch.empty(len(ids), model.config.num_labels)
    for part in np.array_split(order, max(1, len(ids) // 128)):
        filled, mask = batch_of([ids[i] for i in part])
        out[part] = model(input_ids=filled, attention_mask=mask).logits
    return out


def losses_of(z, log_p, labels) -> torch.Tensor:
    "Of each row: from the teacher's log-probabilities, where it has any, and from the label"
    taught = ~log_p[:, 0].isnan()
    p = (torch.where(taught[:, None], log_p, 0) / TEMPERATURE).softmax(-1)
    far = F.kl_div((z / TEMPERATURE).log_softmax(-1), p, reduction="none").sum(-1)
    share = 0.8 * taught
    return share * TEMPERATURE**2 * far + (1 - share) * F.cross_entropy(z, labels, reduction="none")


def optimizer_of(student, rate: float) -> torch.optim.Optimizer:
    "AdamW; weights decay, biases and norms do not"
    plain = [p for p in student.parameters() if p.ndim == 1]
    heavy = [p for p in student.parameters() if p.ndim > 1]
    groups = [dict(params=heavy, weight_decay=0.01), dict(params=plain, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def distil(student, data: dict, a) -> list:
    "Train; keep the weights of the epoch with the lowest loss on held-out rows"
    rng, optimizer = np.random.default_rng(a.seed), optimizer_of(student, a.rate)
    ids, held = data["ids"], data["held"]
    lengths = np.array([len(i) for i in ids])
    steps = a.epochs * -(-len(ids) // a.batch)
    pace = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / (0.06 * steps), max(0.0, 1 - s / steps)))
    history, best, start = [], (np.inf, None), time.perf_counter()
    for epoch in range(a.epochs):
        student.train()
        losses = []
        for part in shuffled_batches(lengths, a.batch, rng):
            filled, mask = batch_of([ids[i] for i in part])
            with torch.autocast("cpu", torch.bfloat16):
                z = student(input_ids=filled, attention_mask=mask).logits
            loss = losses_of(z.float(), data["log_p"][part], data["labels"][part]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            pace.step()
            losses.append(loss.item())
            if len(losses) % 50 == 0:
                print(f"step {len(losses)} of {steps // a.epochs}: {np.mean(losses[-50:]):.3f}, "
                      f"{time.perf_counter() - start:.0f} s", flush=True)
        z = logits_of(student, held["ids"])
        lost = F.cross_entropy(z, held["labels"]).item()
        right = (z.argmax(1) == held["labels"]).float().mean().item()
        history.append(dict(epoch=epoch + 1, loss=round(float(np.mean(losses)), 4),
                            held_out_loss=round(lost, 4), held_out_accuracy=round(right, 4)))
        print(history[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
        if lost < best[0]:
            best = lost, {k: v.clone() for k, v in student.state_dict().items()}
    student.load_state_dict(best[1])
    return history


def fold_temperature(student, held: dict) -> float:
    "Divide the last layer by the temperature that lowers the loss on held-out rows most"
    z = logits_of(student, held["ids"])
    tried = np.exp(np.linspace(np.log(0.5), np.log(2.0), 141))
    loss = [F.cross_entropy(z / t, held["labels"]).item() for t in tried]
    chosen = float(tried[int(np.argmin(loss))])
    with torch.no_grad():
        student.classifier.weight /= chosen
        student.classifier.bias /= chosen
    return round(chosen, 3)


def packed(student) -> tuple:
    "Bytes of all tensors and where each lies; matrices as 8 bits, each row with its scale"
    blob, places = bytearray(), []
    for name, t in student.state_dict().items():
        if "position_ids" in name or "token_type_ids" in name:
            continue
        values = t.float().numpy()
        place = dict(name=name, shape=list(values.shape))
        if values.ndim == 2:
            scale = (np.abs(values).max(1) / 127).clip(1e-12).astype("<f4")
            place["scales"] = len(blob)
            blob += scale.tobytes()
            values = np.rint(values / scale[:, None]).clip(-127, 127).astype(np.int8)
        place["at"] = len(blob)
        blob += values.tobytes() if values.dtype == np.int8 else values.astype("<f4").tobytes()
        blob += bytes(-len(blob) % 4)
        places.append(place)
    return bytes(blob), places


def write_weights(student, vocabulary: list, facts: dict) -> None:
    "weights.js: everything the page needs to know of the model"
    blob, places = packed(student)
    config = student.config
    model = dict(
        classes=[config.id2label[i] for i in range(config.num_labels)],
        heads=config.num_attention_heads, layers=config.num_hidden_layers,
        positions=POSITIONS, epsilon=config.layer_norm_eps, made=facts, tensors=places,
        vocabulary="\n".join(vocabulary), data=base64.b64encode(blob).decode())
    body = json.dumps(model, ensure_ascii=False, separators=(",", ":"))
    body = body.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    text = f"globalThis.liveWeights={body}\n"
    LIVE.mkdir(exist_ok=True)
    (LIVE / "weights.js").write_text(text, encoding="utf-8", newline="\n")
    print(f"weights.js: {len(text.encode()) / 1e6:.2f} MB, {len(blob) / 1e6:.2f} MB of weights")


def prepare(rows: list, teacher: Predictor, a) -> tuple:
    "Vocabulary, and the rows as the student reads them"
    chosen = np.random.default_rng(a.seed).permutation(len(rows))[: a.rows + HELD_OUT]
    held, used = chosen[:HELD_OUT], chosen[HELD_OUT:]
    vocabulary = cut_vocabulary(teacher.tokenizer, [rows[i][2] for i in used])
    tokenizer = cut_tokenizer(vocabulary)
    tokenizer.enable_truncation(READ)

    def ids(place, some):
        return [e.ids for e in tokenizer.encode_batch([rows[i][place] for i in some])]

    def said(place, number, name):
        found = torch.full((a.rows, 4), torch.nan)
        texts = [rows[i][place] for i in used[:number]]
        found[:number] = torch.tensor(ask_teacher(a.run, texts, a.keep / f"{name}-{number}.npy"))
        return found

    labels = torch.tensor([rows[i][0] for i in used])
    log_p = [said(2, a.texts, "texts"), said(1, a.headlines, "headlines")]
    data = dict(ids=ids(2, used) + ids(1, used), labels=labels.repeat(2), log_p=torch.cat(log_p))
    data["held"] = dict(ids=ids(2, held), labels=torch.tensor([rows[i][0] for i in held]))
    return vocabulary, data


def main() -> None:
    "Ask the teacher, train the student, write the weights"
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("run", type=Path, help="run of newsclf on AG News, the teacher")
    ap.add_argument("data", type=Path, help="folder with train.csv and classes.txt")
    ap.add_argument("--keep", type=Path, required=True, help="folder for what the teacher says")
    ap.add_argument("--rows", type=int, default=16000, help="to learn from by their labels")
    ap.add_argument("--texts", type=int, default=10000, help="of these the teacher reads whole")
    ap.add_argument("--headlines", type=int, default=16000, help="of which it reads the headline")
    ap.add_argument("--epochs", type=int, default=3)
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--rate", type=float, default=2e-3)
    ap.add_argument("--seed", type=int, default=1122)
    ap.add_argument("--from-scratch", action="store_true", help="random embeddings")
    ap.add_argument("--no-weights", action="store_true", help="train, but write nothing")
    a = ap.parse_args()
    a.keep.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(a.seed)
    facts = circumstances(f"python nbs/explanations/make_live.py {a.run.name} {a.data.name} "
                          f"--rows {a.rows} --texts {a.texts} --headlines {a.headlines} "
                          f"--epochs {a.epochs} --keep {a.keep.name}")
    teacher = Predictor(a.run, precision="float32")
    vocabulary, data = prepare(read_rows(a.data), teacher, a)
    student = new_student(vocabulary, teacher.names)
    if not a.from_scratch:
        numbers = teacher.tokenizer.get_vocab()
        reduce_embeddings(student, teacher.model, [numbers[p] for p in vocabulary])
    count = sum(p.numel() for p in student.parameters())
    print(f"{count:,} parameters, {len(vocabulary):,} pieces, {len(data['ids']):,} texts")
    start = time.perf_counter()
    history = distil(student, data, a)
    facts |= dict(
        seed=a.seed, rows=a.rows, texts=a.texts, headlines=a.headlines, held_out_rows=HELD_OUT, parameters=count, history=history,
        temperature=fold_temperature(student, data["held"]),
        training_seconds=round(time.perf_counter() - start))
    if not a.no_weights:
        write_weights(student, vocabulary, facts)


if __name__ == "__main__":
    main()
