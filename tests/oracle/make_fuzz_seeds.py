#!/usr/bin/env python3
"""Makes tests/fuzz/corpus/model: whole models of a few kilobytes, one per architecture. Needs: pip install gguf numpy.

usage: tests/oracle/make_fuzz_seeds.py      the same files whenever it runs
"""

from pathlib import Path

import gguf
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "model"
HIDDEN, HEADS, KV_HEADS, FEED_FORWARD = 32, 2, 1, 32
TOKENS = ["<s>", "</s>", *(chr(c) for c in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))), "Hi", "ĠH"]
MERGES = ["H i", "Ġ H"]


def write(architecture, extra):
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(OUT / f"{architecture}.gguf", architecture)
    writer.add_name(f"seed of {architecture}")
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe" if architecture == "llama" else "qwen2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (len(TOKENS) - 2))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template("{% for message in messages %}<s>{{ message.role }}: {{ message.content }}</s>{% endfor %}")

    def add(name, *shape):
        values = random.standard_normal(shape, dtype=np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, values)
        else:
            kind = gguf.GGMLQuantizationType.Q4_0
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    head = HIDDEN // HEADS
    add("token_embd.weight", len(TOKENS), HIDDEN)
    add("output_norm.weight", HIDDEN)
    for name, out in [("attn_q", HEADS * head), ("attn_k", KV_HEADS * head), ("attn_v", KV_HEADS * head), ("attn_output", HIDDEN),
                      ("ffn_gate", FEED_FORWARD), ("ffn_up", FEED_FORWARD), ("ffn_down", HIDDEN)]:
        add(f"blk.0.{name}.weight", out, HIDDEN)
    for name in ["attn_norm", "ffn_norm"]:
        add(f"blk.0.{name}.weight", HIDDEN)
    for name, size in extra.items():
        add(f"blk.0.{name}", size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


OUT.mkdir(parents=True, exist_ok=True)
write("llama", {})
write("qwen2", {"attn_q.bias": HIDDEN, "attn_k.bias": HIDDEN // HEADS, "attn_v.bias": HIDDEN // HEADS})
