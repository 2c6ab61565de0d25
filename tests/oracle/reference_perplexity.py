#!/usr/bin/env python3
"""What transformers says of tests/data/prose.txt with a real model's weights, dequantised to float32.

Writes tests/models/data/reference/NAME.json: the token ids of the reference tokenizer, the log probability of each token
given those before it (from the second on), their perplexity, and a greedy continuation of a short prompt.

    python tests/oracle/reference_perplexity.py DIR [NAME ...]     DIR holds the files that scripts/fetch_model fetches

Needs torch, transformers and gguf, and memory for the float32 weights (1.5B: about 10 GB while loading).
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TESTS = Path(__file__).resolve().parent.parent
TEXT = TESTS / "data" / "prose.txt"
OUT = TESTS / "models" / "data" / "reference"
MODELS = {
    "smollm2": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "qwen2.5-coder-0.5b": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "qwen2.5-coder-1.5b": "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    "gemma3-270m": "gemma-3-270m-q4_k_m.gguf",
}
NEEDS_BOS = {"gemma3-270m"}  # without the token of beginning before it, a text means nothing to them
PROMPT = "The capital of France is"
GREEDY_TOKENS = 16
PRECISE, PRECISE_TOKENS = "smollm2", 32  # also in float64 (where transformers allows it), to know how much float32 rounds
ROWS = 64  # logits computed at a time: the vocabulary is large


@torch.no_grad()
def token_logprobs(model, tokens):
    hidden = model.model(torch.tensor([tokens])).last_hidden_state[0]
    values = []
    for begin in range(0, len(tokens) - 1, ROWS):
        end = min(begin + ROWS, len(tokens) - 1)
        logprobs = torch.log_softmax(model.lm_head(hidden[begin:end]).double(), dim=-1)
        values += logprobs[torch.arange(end - begin), torch.tensor(tokens[begin + 1:end + 1])].tolist()
    return values


@torch.no_grad()
def greedy(model, tokens):
    tokens = list(tokens)
    for _ in range(GREEDY_TOKENS):
        tokens.append(int(torch.argmax(model(torch.tensor([tokens]), logits_to_keep=1).logits[0, -1])))
    return tokens[-GREEDY_TOKENS:]


def measure(name, folder):
    file = MODELS[name]
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
    text = TEXT.read_text(encoding="utf-8")
    start = [tokenizer.bos_token_id] if name in NEEDS_BOS else []
    tokens = start + tokenizer.encode(text, add_special_tokens=False)
    values = token_logprobs(model, tokens)
    prompt = start + tokenizer.encode(PROMPT, add_special_tokens=False)
    continuation = greedy(model, prompt)
    result = {
        "file": file,
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "perplexity": math.exp(-sum(values) / len(values)),
        "greedy_prompt": prompt, "greedy": continuation, "greedy_text": tokenizer.decode(continuation),
        "tokens": tokens,
        "token_logprobs": [round(value, 4) for value in values],
    }
    if name == PRECISE:
        precise = token_logprobs(model.double(), tokens[:PRECISE_TOKENS])
        difference = [(a - b) ** 2 for a, b in zip(precise, values)]
        result["precise"] = {"token_logprobs": precise, "rounding_error": math.sqrt(sum(difference) / len(difference))}
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{name}: {len(tokens)} tokens, perplexity {result['perplexity']:.4f}, {PROMPT!r} -> {result['greedy_text']!r}", flush=True)


if __name__ == "__main__":
    for chosen in sys.argv[2:] or MODELS:
        measure(chosen, sys.argv[1])
