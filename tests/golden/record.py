"""Records the golden numbers of this folder with transformers on PyTorch; see README.md."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys

import fixed_weights
import masked_texts
import numpy as np
import sources
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
# Every 24th of 384 channels and every 61st of 30,522 vocabulary entries are stored.
CHANNEL_STRIDE = 24
VOCABULARY_STRIDE = 61
HIDDEN_STATES_OF = (4, 20, 36, 41)
ATTENTIONS_OF = 3
MASKED_LM_OF = (4, 9, 14, 19, 24, 29, 36, 40)


def save(name: str, **arrays: np.ndarray) -> None:
    """Writes one file of golden numbers, compressed; floats are stored as float32."""
    stored = {
        key: value.astype(np.float32) if value.dtype == np.float64 else value
        for key, value in arrays.items()
    }
    np.savez_compressed(HERE / f"{name}.npz", **stored)
    print(f"{name}.npz: {(HERE / f'{name}.npz').stat().st_size:,} bytes")


def tokenize(assets: pathlib.Path) -> dict[str, np.ndarray]:
    """All examples as flat ids and segments with row splits, whole, without padding."""
    tokenizer = transformers.BertTokenizerFast.from_pretrained(
        assets / "weights" / "all-MiniLM-L6-v2", model_max_length=512
    )
    reader = sources.Sources(assets / "data")
    encoded = [tokenizer(*reader.text(reference)) for reference in sources.REFERENCES]
    lengths = [len(one["input_ids"]) for one in encoded]
    return {
        "references": np.array(sources.REFERENCES),
        "row_splits": np.cumsum([0, *lengths]).astype(np.int32),
        "token_ids": np.concatenate([one["input_ids"] for one in encoded]).astype(np.int32),
        "segment_ids": np.concatenate([one["token_type_ids"] for one in encoded]).astype(np.int32),
    }


def rows(examples: dict[str, np.ndarray]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The ids and segments [1, length] of each example."""
    splits = examples["row_splits"][1:-1]
    ids = np.split(examples["token_ids"].astype(np.int64), splits)
    segments = np.split(examples["segment_ids"].astype(np.int64), splits)
    return [
        (torch.tensor(i)[None], torch.tensor(s)[None]) for i, s in zip(ids, segments, strict=True)
    ]


@torch.no_grad()
def record_encoder(assets: pathlib.Path, examples: dict[str, np.ndarray]) -> None:
    """all-MiniLM-L6-v2 in float32, each example by itself, so without any padding."""
    model = transformers.BertModel.from_pretrained(
        assets / "weights" / "all-MiniLM-L6-v2", attn_implementation="eager"
    ).eval()
    found: dict[str, list[np.ndarray]] = {
        name: [] for name in ("channels", "mean", "max", "pooled", "embedding")
    }
    extra = {}
    for number, (ids, segments) in enumerate(rows(examples)):
        output = model(
            ids, token_type_ids=segments, output_hidden_states=True, output_attentions=True
        )
        sequence = output.last_hidden_state[0]  # [length, hidden]
        mean = sequence.mean(0)
        found["channels"].append(sequence[:, ::CHANNEL_STRIDE].numpy())
        found["mean"].append(mean[None].numpy())
        found["max"].append(sequence.max(0).values[None].numpy())
        found["pooled"].append(output.pooler_output.numpy())
        found["embedding"].append(torch.nn.functional.normalize(mean, dim=0)[None].numpy())
        if number in HIDDEN_STATES_OF:
            states = torch.stack(output.hidden_states)[:, 0, :, ::CHANNEL_STRIDE]
            extra[f"hidden_states_{number}"] = states.numpy()
        if number == ATTENTIONS_OF:
            extra[f"attentions_{number}"] = torch.stack(output.attentions)[:, 0].numpy()
    whole = {f"sequence_{name}": found.pop(name) for name in ("channels", "mean", "max")}
    save("minilm", **{k: np.concatenate(v) for k, v in (whole | found).items()}, **extra)


@torch.no_grad()
def record_masked_lm(assets: pathlib.Path, examples: dict[str, np.ndarray]) -> None:
    """bert-tiny-mlm with its head: logits where the third and the middle token are masked."""
    model = transformers.BertForMaskedLM.from_pretrained(
        assets / "weights" / "bert-tiny-mlm", attn_implementation="eager"
    ).eval()
    all_rows = rows(examples)
    positions, logits = [], []
    for number in MASKED_LM_OF:
        ids, segments = all_rows[number]
        places = [2, ids.shape[1] // 2]
        masked = ids.clone()
        masked[0, places] = 103
        positions.append(places)
        logits.append(model(masked, token_type_ids=segments).logits[0, places])
    stacked = torch.stack(logits)  # [examples, 2, vocabulary]
    save(
        "masked_lm",
        example_numbers=np.array(MASKED_LM_OF, np.int32),
        mask_positions=np.array(positions, np.int32),
        logits=stacked[..., ::VOCABULARY_STRIDE].numpy(),
        argmax=stacked.argmax(-1).numpy().astype(np.int32),
        logsumexp=stacked.double().logsumexp(-1).numpy(),
    )


def record_fill_mask(assets: pathlib.Path) -> None:
    """What the fill-mask pipeline finds for bert-tiny-mlm: the five likeliest tokens."""
    pipeline = transformers.pipeline(
        "fill-mask", str(assets / "weights" / "bert-tiny-mlm"), top_k=5, device="cpu"
    )
    splits, rows = [0], []
    for text in masked_texts.TEXTS:
        found = pipeline(text)
        # Of a single mask the pipeline gives its tokens, of several a list of these.
        rows += found if isinstance(found[0], list) else [found]
        splits.append(len(rows))
    save(
        "fill_mask",
        mask_splits=np.array(splits, np.int32),
        token_ids=np.array([[one["token"] for one in row] for row in rows], np.int32),
        scores=np.array([[one["score"] for one in row] for row in rows]),
    )


def build(
    kind: type, shapes: dict[str, tuple[int, ...]], activation: str
) -> transformers.BertPreTrainedModel:
    """A transformers model with the weights of fixed_weights.py, in float64."""
    config = transformers.BertConfig(
        **fixed_weights.CONFIG,
        hidden_act=activation,
        num_labels=fixed_weights.NUM_LABELS,
        attn_implementation="eager",
    )
    model = kind(config)
    state = {name: torch.tensor(value) for name, value in fixed_weights.state(shapes).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    # The decoder's matrix and bias are other names of tensors that are loaded.
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    if unexpected or set(missing) - tied:
        raise RuntimeError(f"missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model.double().eval()


def gradients(model: torch.nn.Module, loss: torch.Tensor) -> dict[str, np.ndarray]:
    """The loss, its gradient's norm for every parameter, and two gradients in full."""
    model.zero_grad()
    loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    full = (
        "bert.embeddings.word_embeddings.weight",
        "bert.encoder.layer.0.attention.self.query.weight",
    )
    return {
        "loss": loss.detach().numpy(),
        "gradient_names": np.array(list(grads)),
        "gradient_norms": np.array([grad.norm().item() for grad in grads.values()]),
        "gradient_word_embeddings": grads[full[0]].numpy(),
        "gradient_query": grads[full[1]].numpy(),
    }


def record_fixed(activation: str) -> dict[str, np.ndarray]:
    """Outputs, losses and gradients of the small BERT with one activation."""
    inputs = {k: torch.tensor(v.astype(np.int64)) for k, v in fixed_weights.features().items()}
    arguments = {
        "input_ids": inputs["token_ids"],
        "token_type_ids": inputs["segment_ids"],
        "attention_mask": inputs["padding_mask"],
    }
    targets = {k: torch.tensor(v.astype(np.int64)) for k, v in fixed_weights.labels().items()}
    model = build(transformers.BertForPreTraining, fixed_weights.pretraining_shapes(), activation)
    encoded = model.bert(**arguments)
    words = torch.full((5, 20), -100).scatter(1, targets["mask_positions"], targets["mask_ids"])
    output = model(**arguments, labels=words, next_sentence_label=targets["next_sentence"])
    real = inputs["padding_mask"].bool()
    found = {
        "sequence_output": encoded.last_hidden_state[real].detach().numpy(),
        "pooled_output": encoded.pooler_output.detach().numpy(),
        "mlm_logits": output.prediction_logits[real].detach().numpy(),
        "nsp_logits": output.seq_relationship_logits.detach().numpy(),
    }
    found |= {f"pretraining_{k}": v for k, v in gradients(model, output.loss).items()}
    cross_entropy = torch.nn.functional.cross_entropy
    of_words = cross_entropy(output.prediction_logits.flatten(0, 1), words.flatten())
    of_pairs = cross_entropy(output.seq_relationship_logits, targets["next_sentence"])
    found |= {"mlm_loss": of_words.detach().numpy(), "nsp_loss": of_pairs.detach().numpy()}
    model = build(
        transformers.BertForSequenceClassification, fixed_weights.classifier_shapes(), activation
    )
    output = model(**arguments, labels=targets["classes"])
    found["class_logits"] = output.logits.detach().numpy()
    found |= {f"classifier_{k}": v for k, v in gradients(model, output.loss).items()}
    return {f"{activation}/{name}": value for name, value in found.items()}


def create_classifier(assets: pathlib.Path) -> transformers.BertForSequenceClassification:
    """MiniLM with a head of two classes by the formula of fixed_weights.py, without dropout."""
    model = transformers.BertForSequenceClassification.from_pretrained(
        assets / "weights" / "all-MiniLM-L6-v2",
        num_labels=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )
    head = fixed_weights.state(fixed_weights.training_head_shapes())
    model.load_state_dict({k: torch.tensor(v) for k, v in head.items()}, strict=False)
    return model.train()


def record_training(assets: pathlib.Path) -> None:
    """Twelve updates on the first rows of MRPC, in the file's order, float32."""
    tokenizer = transformers.BertTokenizerFast.from_pretrained(
        assets / "weights" / "all-MiniLM-L6-v2"
    )
    table = sources.read_table(assets / "data" / "mrpc" / "train.tsv")
    model = create_classifier(assets)
    exempt = ("bias", "LayerNorm.weight")
    groups = [
        {
            "params": [p for n, p in model.named_parameters() if n.endswith(exempt) != decays],
            "weight_decay": 0.01 * decays,
        }
        for decays in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.999), eps=1e-6)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 2, 12)
    losses = []
    for step in range(12):
        rows = table[16 * step : 16 * step + 16]
        batch = tokenizer(
            [row[3] for row in rows], [row[4] for row in rows], padding=True, return_tensors="pt"
        )
        loss = model(**batch, labels=torch.tensor([int(row[0]) for row in rows])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        losses.append(loss.item())
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    save("training", losses=np.array(losses))


def adamw_problem() -> dict[str, np.ndarray]:
    """Starting values, five gradients each, and learning rates.

    The gradients of `bias` are about 1e-6, where the place of epsilon in the formula shows.
    """
    generator = np.random.Generator(np.random.Philox(key=11))
    problem = {
        "kernel": generator.standard_normal((4, 3)),
        "bias": generator.standard_normal(3),
        "kernel_gradients": generator.standard_normal((5, 4, 3)),
        "bias_gradients": 1e-6 * generator.standard_normal((5, 3)),
        "learning_rates": np.array([0.005, 0.01, 0.0075, 0.005, 0.0025]),
    }
    return {name: value.astype(np.float32) for name, value in problem.items()}


def adamw_torch(problem: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """torch.optim.AdamW in float64; decay 0.01 on the kernel, none on the bias."""
    kernel, bias = (
        torch.nn.Parameter(torch.tensor(problem[name]).double()) for name in ("kernel", "bias")
    )
    optimizer = torch.optim.AdamW(
        [{"params": [kernel], "weight_decay": 0.01}, {"params": [bias], "weight_decay": 0.0}],
        betas=(0.9, 0.999),
        eps=1e-6,
    )
    kernels, biases = [], []
    for step, rate in enumerate(problem["learning_rates"]):
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        kernel.grad = torch.tensor(problem["kernel_gradients"][step]).double()
        bias.grad = torch.tensor(problem["bias_gradients"][step]).double()
        optimizer.step()
        kernels.append(kernel.detach().numpy().copy())
        biases.append(bias.detach().numpy().copy())
    return {"corrected_kernel": np.stack(kernels), "corrected_bias": np.stack(biases)}


def adamw_published(problem: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """BERT's own optimizer: Adam without bias correction, decay outside the moments, float64."""
    found = {}
    for name, decay in (("kernel", 0.01), ("bias", 0.0)):
        value, first, second = problem[name].astype(np.float64), 0.0, 0.0
        after = []
        for step, rate in enumerate(problem["learning_rates"].astype(np.float64)):
            gradient = problem[f"{name}_gradients"][step].astype(np.float64)
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            value = value - rate * (first / (np.sqrt(second) + 1e-6) + decay * value)
            after.append(value)
        found[f"uncorrected_{name}"] = np.stack(after)
    return found


def record_real(wanted: list[str]) -> None:
    """The files that need real weights and data."""
    if "BERT_KERAS_ASSETS" not in os.environ:
        sys.exit("BERT_KERAS_ASSETS must name the folder with data/ and weights/")
    assets = pathlib.Path(os.environ["BERT_KERAS_ASSETS"])
    examples = tokenize(assets)
    save("examples", **examples)
    if "minilm" in wanted:
        record_encoder(assets, examples)
    if "masked_lm" in wanted:
        record_masked_lm(assets, examples)
    if "fill_mask" in wanted:
        record_fill_mask(assets)
    if "training" in wanted:
        record_training(assets)


def main() -> None:
    """Records the files named on the command line, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "files", nargs="*", help="minilm, masked_lm, fill_mask, training, fixed, adamw"
    )
    real = ["minilm", "masked_lm", "fill_mask", "training"]
    wanted = parser.parse_args().files or [*real, "fixed", "adamw"]
    torch.set_num_threads(2)
    if set(real) & set(wanted):
        record_real(wanted)
    if "fixed" in wanted:
        found: dict[str, np.ndarray] = {}
        for activation in fixed_weights.ACTIVATIONS:
            found |= record_fixed(activation)
        save("fixed", **found)
    if "adamw" in wanted:
        problem = adamw_problem()
        save("adamw", **problem, **adamw_torch(problem), **adamw_published(problem))


if __name__ == "__main__":
    main()
