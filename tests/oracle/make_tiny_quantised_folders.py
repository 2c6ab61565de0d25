#!/usr/bin/env python3
"""Builds the tiny folders of quantised safetensors, and what transformers computes from their dequantised weights.

qwen3moe-mlx: Qwen3-MoE, converted by mlx-lm to 4 bits in groups of 32. qwen2-gptq: Qwen2 in AutoGPTQ's layout with
act-order, packed here by its formulas (QuantLinear): random codes, zero points and a random order of each matrix's
columns. Goldens as make_tiny_checkpoints.py writes them: NAME.json and NAME.f32 beside the folder NAME.

    python tests/oracle/make_tiny_quantised_folders.py [NAME ...]   needs mlx and mlx-lm besides
"""

import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch
from mlx_lm import convert
from safetensors.numpy import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from make_tiny_checkpoints import OUT, make_tokenizer
from make_tiny_sparse_checkpoints import COMMON, DEFAULT_ROPE, FAMILIES, Family, find_clear, make_model, random_values, write_golden

GROUP = 32
PER_WORD = 8  # codes of 4 bits in 32


# ---- MLX ---------------------------------------------------------------------------------------------------------------------

def write_hugging_face(model, folder):
    model.half().save_pretrained(folder)
    # mlx-lm reads the keys that the families' own files have.
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["num_experts"] = config.pop("num_local_experts", model.config.num_experts)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    make_tokenizer("qwen2").save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")


def dequantised(folder):
    """The folder's modules under mlx-lm's names, as float32."""
    weights = mx.load(str(folder / "model.safetensors"))
    said = json.loads((folder / "config.json").read_text())["quantization"]
    values = {}
    for name, weight in weights.items():
        if name.endswith((".scales", ".biases")):
            continue
        module = name.removesuffix(".weight")
        if module + ".scales" in weights:
            own = said.get(module, said)
            weight = mx.dequantize(weight, weights[module + ".scales"].astype(mx.float32), weights[module + ".biases"].astype(mx.float32),
                                   group_size=own["group_size"], bits=own["bits"])
        values[name] = torch.from_numpy(np.array(weight.astype(mx.float32)))
    return values


def make_mlx(family, attempt, folder):
    shutil.rmtree(folder, ignore_errors=True)
    model, _ = make_model(family, attempt)
    with tempfile.TemporaryDirectory() as plain:
        write_hugging_face(model, Path(plain))
        convert(plain, str(folder), quantize=True, q_group_size=GROUP, q_bits=4)
    for extra in ("README.md", "model.safetensors.index.json", "chat_template.jinja"):
        (folder / extra).unlink(missing_ok=True)
    state = dequantised(folder)
    for i in range(family.config.num_hidden_layers):
        mlp = f"model.layers.{i}.mlp."
        parts = {part: state.pop(f"{mlp}switch_mlp.{part}_proj.weight") for part in ("gate", "up", "down")}
        state[mlp + "experts.gate_up_proj"] = torch.cat([parts["gate"], parts["up"]], dim=1)
        state[mlp + "experts.down_proj"] = parts["down"]
    model = family.model(family.config)
    model.load_state_dict(state, strict=True)
    return model.float().eval()


# ---- GPTQ --------------------------------------------------------------------------------------------------------------------

def pack(codes):
    """[n, 8 m] codes to [n, m] words, the first in the lowest bits."""
    shifts = np.arange(PER_WORD, dtype=np.uint32) * 4
    words = (codes.reshape(len(codes), -1, PER_WORD).astype(np.uint32) << shifts).sum(axis=-1, dtype=np.uint32)
    return words.view(np.int32)


def gptq_planes(generator, rows, columns, deviation):
    """Planes of a random weight [rows, columns], and its values."""
    groups = columns // GROUP
    codes = generator.integers(0, 16, (columns, rows))
    zeros = generator.integers(1, 16, (groups, rows))
    scales = (deviation / 4.6 * generator.uniform(0.5, 1.5, (groups, rows))).astype(np.float16)
    group_of = generator.permutation(np.repeat(np.arange(groups), GROUP)).astype(np.int32)
    values = scales.astype(np.float32)[group_of] * (codes - zeros[group_of]).astype(np.float32)
    # Codes are packed along the columns (K), zero points along the rows (N), less one.
    planes = {"qweight": np.ascontiguousarray(pack(codes.T).T), "qzeros": pack(zeros - 1), "scales": scales, "g_idx": group_of}
    return planes, np.ascontiguousarray(values.T)


def make_gptq(family, attempt, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    generator = np.random.Generator(np.random.PCG64([sum(map(ord, family.name)), attempt]))
    model = family.model(family.config)
    state, tensors = {}, {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        values = random_values(generator, name, shape).astype(np.float16).astype(np.float32)
        if name.startswith("model.layers.") and len(shape) == 2:
            planes, values = gptq_planes(generator, *shape, float(values.std()))
            tensors |= {name.removesuffix("weight") + plane: content for plane, content in planes.items()}
        else:
            tensors[name] = values.astype(np.float16)
        state[name] = torch.from_numpy(values.copy())
    model.load_state_dict(state, strict=True)
    config = family.config.to_dict() | {
        "architectures": ["Qwen2ForCausalLM"], "torch_dtype": "float16",
        "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": True, "sym": False,
                                "checkpoint_format": "gptq"}}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    make_tokenizer("qwen2").save(str(folder / "tokenizer.json"))
    return model.float().eval()


QWEN3MOE = next(family for family in FAMILIES if family.name == "qwen3moe")
FOLDERS = [
    (replace(QWEN3MOE, name="qwen3moe-mlx"), make_mlx),
    (Family("qwen2-gptq", "qwen2",
            Qwen2Config(**{key: value for key, value in COMMON.items() if key != "experts_implementation"}, num_hidden_layers=2,
                        num_attention_heads=4, num_key_value_heads=2, intermediate_size=96, rope_parameters=DEFAULT_ROPE),
            Qwen2ForCausalLM, None, None, tolerance={"heads": 4, "head_width": 16, "intermediate": 96}), make_gptq),
]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen, make in FOLDERS:
        if sys.argv[1:] and chosen.name not in sys.argv[1:]:
            continue
        with torch.no_grad():
            model, golden = find_clear(chosen, lambda attempt, family=chosen, build=make: build(family, attempt, OUT / family.name))
            write_golden(chosen, model, golden)
        assert load_file(OUT / chosen.name / "model.safetensors")
