#!/usr/bin/env python3
"""Builds the tiny checkpoints of tests/models/data, and what transformers says they compute.

Each row of VARIANTS becomes NAME.gguf or the folder NAME (config.json and safetensors, as transformers writes them), NAME.json
(prompt, greedy continuation, log probabilities, sizes) and NAME.f32 (logits of the last positions of the prompt, little-endian
float32, row-major). Weights come from a fixed seed and are rounded to
the file's own formats before transformers sees them, so both sides hold the same numbers. rope.json holds transformers'
inverse frequencies for every scaling.

    python tests/oracle/make_tiny_checkpoints.py [NAME ...]        needs torch, transformers, tokenizers, safetensors, gguf, numpy
"""

import json
import math
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from safetensors.torch import save_file
from transformers import (Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

TESTS = Path(__file__).resolve().parent.parent
OUT = TESTS / "models" / "data"
PROSE = (TESTS / "data" / "prose.txt").read_text(encoding="utf-8")

VOCABULARY = 300
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PROMPT_TOKENS = 100  # more than one KV page of 64
LOGIT_ROWS = 4
GREEDY_TOKENS = 32
CONTEXT = 512
CHAT_TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
                 "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
QWEN2_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 64,
            "short_factor": [1.0 + 0.05 * i for i in range(12)], "long_factor": [1.0 + 0.7 * i for i in range(12)]}


@dataclass
class Folder:
    """How a folder is written."""

    shards: int = 1
    old_config: bool = False  # rope_theta and rope_scaling, as before transformers 5
    with_vision: bool = False  # the text as a part of a model that sees


@dataclass
class Variant:
    """`formats`: by tensor kind ("q", "k", "v", "o", "gate", "up", "down", "embedding", "head"), "" for the others; a
    folder has one format for all."""

    name: str
    formats: dict
    architecture: str = "llama"
    hidden: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_width: int = 16
    intermediate: int = 96
    layers: int = 2
    tied: bool = True
    biases: bool = False
    epsilon: float = 1e-5
    rope: dict = field(default_factory=lambda: {"rope_type": "default", "rope_theta": 10000.0})
    folder: Folder | None = None  # instead of a GGUF file
    window: int = 0
    local_layers: list | None = None  # that see the window only; all of them without
    output_gain: float = 3.0  # of the norms after attention and MLP, where there are such
    query_scalar: int = 0  # Gemma's query_pre_attn_scalar; head_width without

    def is_local(self, layer):
        return self.window > 0 and (self.local_layers is None or layer in self.local_layers)

    def layer_types(self):
        return ["sliding_attention" if self.is_local(i) else "full_attention" for i in range(self.layers)]

    @property
    def has_head_norms(self):
        return self.architecture in ("qwen3", "gemma3")


VARIANTS = [
    Variant("llama", {"": "F32"}, tied=False),
    Variant("llama-linear", {"": "F16"}, rope={"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}),
    Variant("llama-llama3", {"": "BF16"}, rope=LLAMA3, hidden=96, heads=6),
    Variant("llama-yarn", {"": "F16"}, rope=YARN, tied=False),
    Variant("llama-longrope", {"": "BF16"}, rope=LONGROPE, head_width=24),
    Variant("llama-biases", {"": "F16"}, biases=True, epsilon=1e-2),
    Variant("llama-q4_0", {"": "Q4_0", "embedding": "Q8_0"}),
    Variant("llama-q4_1", {"": "Q4_1", "embedding": "Q8_0"}),
    Variant("llama-q5_1", {"": "Q5_1", "v": "Q8_0"}),
    Variant("llama-q8_0", {"": "Q8_0"}, tied=False),
    Variant("llama-k", {"": "Q4_K", "o": "Q5_K", "up": "Q5_K", "v": "Q6_K", "down": "Q6_K", "embedding": "Q6_K"},
            hidden=256, kv_heads=1, head_width=64, intermediate=256, layers=1),
    Variant("qwen2", {"": "F32"}, architecture="qwen2"),
    Variant("qwen2-q5_0", {"": "Q5_0", "v": "Q8_0", "head": "Q8_0"}, architecture="qwen2", hidden=96, heads=6,
            kv_heads=1, tied=False),
    Variant("qwen2-yarn", {"": "F16"}, architecture="qwen2", rope=YARN | {"rope_theta": 1000000.0}),
    Variant("qwen3", {"": "F16"}, architecture="qwen3", head_width=24),
    # Layers by turns: the window of 24 is shorter than the prompt. Only what sees everything is scaled.
    Variant("gemma3", {"": "F16"}, architecture="gemma3", hidden=48, heads=2, kv_heads=1, intermediate=64, layers=4, window=24,
            local_layers=[0, 2], rope={"rope_type": "linear", "rope_theta": 1000000.0, "factor": 8.0}),
    Variant("llama-folder", {"": "BF16"}, rope=LLAMA3, folder=Folder(old_config=True), tied=False, intermediate=64),
    Variant("mistral-folder", {"": "F16"}, architecture="mistral", folder=Folder(), window=40, hidden=48, heads=3, kv_heads=1),
    Variant("qwen2-folder", {"": "F16"}, architecture="qwen2", folder=Folder(shards=2), window=70, local_layers=[1], hidden=48,
            heads=3, kv_heads=3),
    Variant("qwen3-folder", {"": "BF16"}, architecture="qwen3", folder=Folder(), rope=YARN, hidden=48, heads=2),
    Variant("gemma3-folder", {"": "BF16"}, architecture="gemma3", folder=Folder(shards=2, with_vision=True), hidden=48, heads=2,
            kv_heads=1, intermediate=64, layers=3, window=65, local_layers=[0, 1], query_scalar=20, output_gain=8.0,
            rope={"rope_type": "default", "rope_theta": 1000000.0}),
]


def make_sentencepiece():
    """Gemma's kind in small: bytes for what has no piece, merges over the whole text with its spaces made visible."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>"]
    pieces = Tokenizer(models.BPE())
    pieces.normalizer = normalizers.Replace(" ", "\u2581")
    pieces.train_from_iterator([PROSE], trainers.BpeTrainer(vocab_size=VOCABULARY - len(specials) - 256, limit_alphabet=25, show_progress=False))
    model = json.loads(pieces.to_str())["model"]
    names = specials + [f"<0x{byte:02X}>" for byte in range(256)] + sorted(model["vocab"], key=model["vocab"].get)
    vocabulary = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [tuple(pair) for pair in model["merges"]], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    assert tokenizer.get_vocab_size() == VOCABULARY
    return tokenizer


def make_tokenizer(architecture):
    if architecture == "gemma3":
        return make_sentencepiece()
    tokenizer = Tokenizer(models.BPE())
    if architecture in ("qwen2", "qwen3"):
        tokenizer.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated", invert=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[AddedToken(t, special=True) for t in SPECIALS],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([PROSE], trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY
    return tokenizer


def random_k_blocks(generator, name, rows, columns, deviation):
    """Random codes and sub-scales, with block scales that give the weights about this standard deviation."""
    kind = gguf.GGMLQuantizationType[name]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = generator.integers(0, 256, (rows * columns // block, size), dtype=np.uint8)
    # Measured over random codes: deviation of the weights for d = 1 (and dmin half the range of the codes).
    spread, half_range = {"Q4_K": (250, 7.5), "Q5_K": (500, 15.5), "Q6_K": (1366, None)}[name]
    d = np.float16(deviation / spread) * generator.uniform(0.5, 1.5, len(blocks)).astype(np.float16)
    if half_range is None:
        blocks[:, 208:210] = d.view(np.uint8).reshape(-1, 2)
    else:
        blocks[:, 0:2] = d.view(np.uint8).reshape(-1, 2)
        blocks[:, 2:4] = (d * np.float16(half_range)).view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1), kind


def encode(generator, name, values, deviation):
    """The file's bytes of a tensor, and the float32 values they stand for. Vectors stay F32, as converters write them."""
    if values.ndim == 1 or name == "F32":
        values = values.astype(np.float32)
        return values, gguf.GGMLQuantizationType.F32, values
    if name.endswith("_K"):
        raw, kind = random_k_blocks(generator, name, *values.shape, deviation)
    else:
        kind = gguf.GGMLQuantizationType[name]
        raw = quantize(values.astype(np.float32), kind)
    return raw, kind, dequantize(raw, kind).astype(np.float32).reshape(values.shape)


def permute(weight, heads):
    """Rows of Q and K in the order of GGUF's Llama family: rotated pairs side by side."""
    shape = weight.shape
    return weight.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def make_tensors(variant, generator):
    """Yields (GGUF name, transformers name, kind, values, deviation, heads whose rows are permuted or 0)."""
    v = variant
    query, key_value = v.heads * v.head_width, v.kv_heads * v.head_width
    permuted = v.architecture == "llama"

    def matrix(rows, columns, gain):
        deviation = gain / math.sqrt(columns)
        return deviation * generator.standard_normal((rows, columns)), deviation

    def vector(size, mean):
        return mean + 0.1 * generator.standard_normal(size), 0.1

    embedding_gain = 2.0 if v.tied else math.sqrt(v.hidden)
    yield "token_embd.weight", "model.embed_tokens.weight", "embedding", *matrix(VOCABULARY, v.hidden, embedding_gain), 0
    for layer in range(v.layers):
        ours, theirs = f"blk.{layer}.", f"model.layers.{layer}."
        attention = [("attn_q", "self_attn.q_proj", "q", query, v.hidden, 1.5, v.heads),
                     ("attn_k", "self_attn.k_proj", "k", key_value, v.hidden, 1.0, v.kv_heads),
                     ("attn_v", "self_attn.v_proj", "v", key_value, v.hidden, 1.0, 0),
                     ("attn_output", "self_attn.o_proj", "o", v.hidden, query, 1.0, 0)]
        mlp = [("ffn_gate", "mlp.gate_proj", "gate", v.intermediate, v.hidden, 1.0, 0),
               ("ffn_up", "mlp.up_proj", "up", v.intermediate, v.hidden, 1.0, 0),
               ("ffn_down", "mlp.down_proj", "down", v.hidden, v.intermediate, 1.5, 0)]
        yield ours + "attn_norm.weight", theirs + "input_layernorm.weight", "norm", *vector(v.hidden, 1.0), 0
        if v.architecture == "gemma3":
            # What the layers add must outweigh the scaled embedding, or the tied head would repeat the last token.
            for name, their_name, mean in (("post_attention_norm", "post_attention_layernorm", v.output_gain),
                                           ("ffn_norm", "pre_feedforward_layernorm", 1.0),
                                           ("post_ffw_norm", "post_feedforward_layernorm", v.output_gain)):
                yield f"{ours}{name}.weight", f"{theirs}{their_name}.weight", "norm", *vector(v.hidden, mean), 0
        else:
            yield ours + "ffn_norm.weight", theirs + "post_attention_layernorm.weight", "norm", *vector(v.hidden, 1.0), 0
        if v.has_head_norms:  # what is normalised has no gain of its own: scores get their size from here
            yield ours + "attn_q_norm.weight", theirs + "self_attn.q_norm.weight", "norm", *vector(v.head_width, 1.5), 0
            yield ours + "attn_k_norm.weight", theirs + "self_attn.k_norm.weight", "norm", *vector(v.head_width, 1.0), 0
        for name, their_name, kind, rows, columns, gain, heads in attention + mlp:
            heads = heads if permuted else 0
            yield f"{ours}{name}.weight", f"{theirs}{their_name}.weight", kind, *matrix(rows, columns, gain), heads
            if v.biases or (v.architecture == "qwen2" and kind in "qkv"):
                yield f"{ours}{name}.bias", f"{theirs}{their_name}.bias", "bias", *vector(rows, 0.0), heads
    yield "output_norm.weight", "model.norm.weight", "norm", *vector(v.hidden, 1.0), 0
    if not v.tied:
        yield "output.weight", "lm_head.weight", "head", *matrix(VOCABULARY, v.hidden, 2.0), 0


def make_model(variant, state):
    common = dict(vocab_size=VOCABULARY, hidden_size=variant.hidden, intermediate_size=variant.intermediate,
                  num_hidden_layers=variant.layers, num_attention_heads=variant.heads, num_key_value_heads=variant.kv_heads,
                  head_dim=variant.head_width, max_position_embeddings=CONTEXT, rms_norm_eps=variant.epsilon,
                  tie_word_embeddings=variant.tied, rope_parameters=dict(variant.rope), attn_implementation="eager",
                  bos_token_id=1, eos_token_id=2, pad_token_id=0)
    if variant.architecture == "qwen2":
        if variant.window:
            common |= dict(use_sliding_window=True, sliding_window=variant.window, layer_types=variant.layer_types())
        model = Qwen2ForCausalLM(Qwen2Config(**common))
    elif variant.architecture == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(**common))
    elif variant.architecture == "mistral":
        model = MistralForCausalLM(MistralConfig(sliding_window=variant.window, **common))
    elif variant.architecture == "gemma3":
        common["rope_parameters"] = {"full_attention": dict(variant.rope),
                                     "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}
        model = Gemma3ForCausalLM(Gemma3TextConfig(sliding_window=variant.window, layer_types=variant.layer_types(),
                                                   query_pre_attn_scalar=variant.query_scalar or variant.head_width, **common))
    else:
        model = LlamaForCausalLM(LlamaConfig(attention_bias=variant.biases, mlp_bias=variant.biases, **common))
    state = {name: torch.from_numpy(values.copy()) for name, values in state.items()}
    if variant.tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)
    return model.float().eval()


def write_sentencepiece(writer, tokenizer):
    names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    kinds = [gguf.TokenType.CONTROL if name in ("<pad>", "<eos>", "<bos>") else gguf.TokenType.UNKNOWN if name == "<unk>"
             else gguf.TokenType.BYTE if name.startswith("<0x") else gguf.TokenType.NORMAL for name in names]
    # A merge is worth the more the earlier it was learnt; what no merge makes stands last.
    ranks = {left + right: rank for rank, (left, right) in enumerate(json.loads(tokenizer.to_str())["model"]["merges"])}
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(names)
    writer.add_token_scores([-float(ranks[name]) if name in ranks else -1000.0 for name in names])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(3)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def write_tokenizer(writer, tokenizer, architecture):
    if architecture == "gemma3":
        write_sentencepiece(writer, tokenizer)
        return
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2" if architecture in ("qwen2", "qwen3") else "smollm")
    writer.add_token_list([token for token, _ in vocabulary])
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in SPECIALS else normal for token, _ in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def write_rope(writer, variant):
    rope = variant.rope
    kind = rope["rope_type"]
    writer.add_rope_freq_base(rope["rope_theta"])
    if variant.architecture == "llama":
        writer.add_rope_dimension_count(variant.head_width)
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    elif kind == "longrope":
        original = rope["original_max_position_embeddings"]
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(CONTEXT / original) / math.log(original)))
        writer.add_tensor("rope_factors_long.weight", np.array(rope["long_factor"], dtype=np.float32))
        writer.add_tensor("rope_factors_short.weight", np.array(rope["short_factor"], dtype=np.float32))
    elif kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(rope, variant.head_width))


def llama3_factors(rope, width):
    """By how much each frequency is divided: what converters store for the Llama 3 scaling."""
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    original = rope["original_max_position_embeddings"]
    factors = []
    for frequency in rope["rope_theta"] ** -(np.arange(0, width, 2) / width):
        length = 2 * math.pi / frequency
        smooth = min(1.0, max(0.0, (original / length - low) / (high - low)))
        factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def write_gguf(path, variant, tensors, tokenizer):
    writer = gguf.GGUFWriter(path, variant.architecture)
    writer.add_name(f"tiny {variant.name}")
    writer.add_block_count(variant.layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(variant.hidden)
    writer.add_feed_forward_length(variant.intermediate)
    writer.add_head_count(variant.heads)
    writer.add_head_count_kv(variant.kv_heads)
    writer.add_layer_norm_rms_eps(variant.epsilon)
    if variant.architecture == "llama":
        writer.add_vocab_size(VOCABULARY)
    if variant.head_width * variant.heads != variant.hidden:
        writer.add_key_length(variant.head_width)
        writer.add_value_length(variant.head_width)
    if variant.window:
        writer.add_sliding_window(variant.window)
        if variant.local_layers is not None:
            writer.add_sliding_window_pattern([variant.is_local(i) for i in range(variant.layers)])
    write_rope(writer, variant)
    write_tokenizer(writer, tokenizer, variant.architecture)
    for name, raw, kind in tensors:
        writer.add_tensor(name, raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def folder_config(variant, model):
    """config.json as transformers writes it, or as it and other libraries did before."""
    config = model.config.to_dict() | {"architectures": [type(model).__name__], "dtype": DTYPES[variant.formats[""]][1]}
    if variant.folder.old_config:
        rope = dict(config.pop("rope_parameters"))
        config |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope, "torch_dtype": config.pop("dtype")}
    if variant.folder.with_vision:
        config = {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": config,
                  "vision_config": {"hidden_size": 4, "model_type": "siglip_vision_model"}}
    return config


DTYPES = {"F32": (torch.float32, "float32"), "F16": (torch.float16, "float16"), "BF16": (torch.bfloat16, "bfloat16")}


def write_folder(path, variant, model, state, tokenizer):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    (path / "config.json").write_text(json.dumps(folder_config(variant, model), indent=2, sort_keys=True) + "\n")
    (path / "generation_config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": [2], "pad_token_id": 0}) + "\n")
    tokenizer.save(str(path / "tokenizer.json"), pretty=False)
    names = {"bos_token": 1, "eos_token": 2, "pad_token": 0}
    (path / "tokenizer_config.json").write_text(json.dumps(
        {key: tokenizer.id_to_token(i) for key, i in names.items()} | {"chat_template": CHAT_TEMPLATE}) + "\n")
    dtype = DTYPES[variant.formats[""]][0]
    tensors = {name: torch.from_numpy(values.copy()).to(dtype).contiguous() for name, values in state.items()}
    if variant.folder.with_vision:
        tensors = {name.replace("model.", "model.language_model.", 1): tensor for name, tensor in tensors.items()}
        tensors["model.vision_tower.vision_model.embeddings.position_embedding.weight"] = torch.zeros(2, 4, dtype=dtype)
    if variant.folder.shards == 1:
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
        return
    files, names = {}, sorted(tensors)
    for i in range(variant.folder.shards):
        file = f"model-{i + 1:05}-of-{variant.folder.shards:05}.safetensors"
        part = names[len(names) * i // variant.folder.shards:len(names) * (i + 1) // variant.folder.shards]
        save_file({name: tensors[name] for name in part}, path / file, metadata={"format": "pt"})
        files |= {name: file for name in part}
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    (path / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": size}, "weight_map": files}, indent=2) + "\n")


@torch.no_grad()
def greedy(model, prompt):
    """Greedy continuation, and the smallest distance between the best and the second-best logit on the way."""
    tokens, margin = list(prompt), math.inf
    for _ in range(GREEDY_TOKENS):
        logits = model(torch.tensor([tokens])).logits[0, -1]
        best, second = torch.topk(logits, 2).values.tolist()
        margin = min(margin, best - second)
        tokens.append(int(torch.argmax(logits)))
    return tokens[len(prompt):], margin


def generate(variant, attempt):
    generator = np.random.Generator(np.random.PCG64([sum(map(ord, variant.name)), attempt]))
    state, tensors = {}, []
    for name, their_name, kind, values, deviation, heads in make_tensors(variant, generator):
        # transformers' Gemma keeps the gains of norms less one, its GGUF files do not.
        offset = 1.0 if variant.architecture == "gemma3" and kind == "norm" else 0.0
        if variant.folder:
            exact = torch.from_numpy(values - offset).to(DTYPES[variant.formats[""]][0]).float().numpy()
            state[their_name] = exact
            continue
        raw, storage, exact = encode(generator, variant.formats.get(kind, variant.formats[""]), values, deviation)
        state[their_name] = exact - np.float32(offset)
        # Blocks lie inside a row, so permuting rows of bytes permutes the rows of weights.
        tensors.append((name, permute(raw, heads) if heads else raw, storage))
    return make_model(variant, state), state, tensors


@torch.no_grad()
def make_variant(variant):
    tokenizer = make_tokenizer(variant.architecture)
    start = PROSE.index("The island came up")
    text = next(PROSE[start:end] for end in range(start + 100, start + 400)
                if len(tokenizer.encode(PROSE[start:end]).ids) == PROMPT_TOKENS)
    prompt = tokenizer.encode(text).ids
    # The first seed whose greedy choices are clear (rounding cannot change them) and do not only repeat themselves.
    for attempt in range(100):
        model, state, tensors = generate(variant, attempt)
        continuation, margin = greedy(model, prompt)
        if margin > 0.05 and len(set(continuation)) >= 8:
            break
    else:
        raise SystemExit(f"{variant.name}: no seed with clear choices")
    logits = model(torch.tensor([prompt])).logits[0]
    logprobs = torch.log_softmax(logits.double(), dim=-1)
    if variant.folder:
        write_folder(OUT / variant.name, variant, model, state, tokenizer)
    else:
        write_gguf(OUT / f"{variant.name}.gguf", variant, tensors, tokenizer)
    precise = model.double()(torch.tensor([prompt])).logits[0]
    (logits[-LOGIT_ROWS:].numpy().astype("<f4")).tofile(OUT / f"{variant.name}.f32")
    golden = {
        "text": text, "prompt": prompt, "greedy": continuation, "greedy_margin": round(margin, 4),
        "logit_rows": LOGIT_ROWS, "vocabulary": VOCABULARY, "layers": variant.layers, "hidden": variant.hidden,
        "heads": variant.heads, "head_width": variant.head_width, "intermediate": variant.intermediate,
        "oracle_rounding_error": float((logits.double() - precise).abs().max()),
        "token_logprobs": [round(float(logprobs[i, token]), 7) for i, token in enumerate(prompt[1:])],
    }
    # Norms beyond the two of every layer, in roundings of a value that passes a layer.
    head_norms, output_norms = variant.head_width + 5, variant.hidden + 5
    if variant.has_head_norms:
        golden["extra_roundings"] = 2 * head_norms + (2 * output_norms if variant.architecture == "gemma3" else 0)
    (OUT / f"{variant.name}.json").write_text(json.dumps(golden, indent=None, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{variant.name:16} seed {attempt:2}  margin {margin:.3f}  rms {float(logits.square().mean().sqrt()):.2f}"
          f"  oracle error {golden['oracle_rounding_error']:.1e}  distinct greedy tokens {len(set(continuation))}")


def make_rope_goldens():
    cases = []
    for width, theta in ((16, 10000.0), (64, 500000.0), (128, 1000000.0)):
        half = width // 2
        for rope in (
            {"rope_type": "default"},
            {"rope_type": "linear", "factor": 2.5},
            {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
             "original_max_position_embeddings": 8192},
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
            {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 4096, "beta_fast": 16.0, "beta_slow": 2.0,
             "attention_factor": 0.75},
            {"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 4096, "mscale": 1.0, "mscale_all_dim": 0.5},
            {"rope_type": "longrope", "original_max_position_embeddings": 4096,
             "short_factor": [1.0 + 0.125 * i for i in range(half)], "long_factor": [1.0 + 0.5 * i for i in range(half)]},
        ):
            rope = rope | {"rope_theta": theta}
            lengths = (None,)
            if rope["rope_type"] == "longrope":
                lengths = (4096, 131072)
            for length in lengths:
                config = LlamaConfig(hidden_size=width, num_attention_heads=1, head_dim=width,
                                     max_position_embeddings=131072, rope_parameters=dict(rope))
                if rope["rope_type"] == "default":
                    frequencies, magnitude = LlamaRotaryEmbedding.compute_default_rope_parameters(config)
                elif length:
                    frequencies, magnitude = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config, seq_len=length)
                else:
                    frequencies, magnitude = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config)
                cases.append({"width": width, "context": length or 131072, "trained_context": 131072, "rope": rope,
                              "magnitude": float(magnitude),
                              "inverse_frequency_bits": frequencies.numpy().astype(np.float32).view(np.uint32).tolist()})
    (OUT / "rope.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for chosen in VARIANTS:
        if not sys.argv[1:] or chosen.name in sys.argv[1:]:
            make_variant(chosen)
    make_rope_goldens()
