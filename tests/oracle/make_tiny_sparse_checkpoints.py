#!/usr/bin/env python3
"""Builds the tiny checkpoints of the sparse and hybrid families, and what transformers says they compute.

As make_tiny_checkpoints.py, whose form of goldens it keeps: NAME.gguf, NAME.json and NAME.f32 in tests/models/data. Here
the weights are made under transformers' names and turned into what llama.cpp's converter writes. A seed is taken whose
greedy choices and whose choices of experts are clear: rounding cannot change either.

    python tests/oracle/make_tiny_sparse_checkpoints.py [NAME ...]
"""

import json
import math
import sys
from dataclasses import dataclass, field

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from transformers import (DeepseekV3Config, DeepseekV3ForCausalLM, GptOssConfig, GptOssForCausalLM, Qwen3_5MoeForCausalLM,
                          Qwen3_5MoeTextConfig, Qwen3MoeConfig, Qwen3MoeForCausalLM)

from make_tiny_checkpoints import CONTEXT, LOGIT_ROWS, OUT, PROMPT_TOKENS, PROSE, VOCABULARY, greedy, make_tokenizer, write_tokenizer

ROUTING_MARGIN = 3e-4
F32 = gguf.GGMLQuantizationType.F32


@dataclass
class Family:
    name: str
    architecture: str  # of the GGUF file
    config: object
    model: type
    convert: object  # (config, state) -> yields (GGUF name, values)
    write_keys: object  # (writer, config)
    format: str = "F16"  # of matrices that nobody names below
    formats: dict = field(default_factory=dict)  # by the end of transformers' names
    tolerance: dict = field(default_factory=dict)  # sizes that tests derive their tolerance from


COMMON = dict(vocab_size=VOCABULARY, hidden_size=64, max_position_embeddings=CONTEXT, rms_norm_eps=1e-6, attn_implementation="eager",
              experts_implementation="eager", tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=0)


def array(tensor):
    return tensor.detach().numpy().astype(np.float32)


# ---- Values ------------------------------------------------------------------------------------------------------------------

def round_along(values, axis, kind):
    """To a block format's values, blocks along `axis`."""
    moved = np.moveaxis(values, axis, -1)
    flat = np.ascontiguousarray(moved).reshape(-1, moved.shape[-1])
    exact = dequantize(quantize(flat, kind), kind).reshape(moved.shape)
    return np.ascontiguousarray(np.moveaxis(exact, -1, axis)).astype(np.float32)


def round_to(values, name, format_name):
    if format_name == "F32":
        return values
    kind = gguf.GGMLQuantizationType[format_name]
    # transformers keeps the experts of gpt-oss as [in, out].
    transposed = name.endswith(("gate_up_proj", "down_proj")) and format_name == "MXFP4"
    return round_along(values, 1 if transposed else -1, kind)


def random_values(generator, name, shape):
    """Gains that keep the residual stream of order one, scores of order 1.5 and choices of experts apart."""
    normal = generator.standard_normal(shape)
    if name.endswith("A_log"):
        return np.log(generator.uniform(0.05, 2.0, shape))
    if name.endswith(("dt_bias", "e_score_correction_bias", "sinks")):
        return 0.3 * normal
    if name.endswith("bias") or "_bias" in name:
        return 0.1 * normal
    if len(shape) == 1:  # gains; those that the model keeps less one are handled where they are added
        return 1.0 + 0.1 * normal
    if "conv1d" in name:
        return 0.6 * normal
    if "embed_tokens" in name:
        return normal
    fan_in = shape[-1]
    gain = 1.0
    if name.endswith("lm_head.weight"):
        gain = 2.0
    elif name.endswith(("gate.weight", "router.weight")):
        gain = 1.5
    elif "q_proj" in name or "q_b_proj" in name:
        gain = 1.5
    elif name.endswith(("down_proj", "down_proj.weight")):
        gain = 1.5
    return gain / math.sqrt(fan_in) * normal


def format_of(family, name, shape):
    if len(shape) == 1 or name.endswith("bias") or "conv1d" in name or name.endswith(("gate.weight", "router.weight")):
        return "F32"
    return next((kind for end, kind in family.formats.items() if name.endswith(end)), family.format)


def make_model(family, attempt):
    generator = np.random.Generator(np.random.PCG64([sum(map(ord, family.name)), attempt]))
    model = family.model(family.config)
    state = {}
    for name, tensor in model.state_dict().items():
        values = random_values(generator, name, tuple(tensor.shape))
        if len(tensor.shape) == 1 and name.endswith("norm.weight") and is_offset_norm(family, name):
            values = np.round((values - 1.0) * 1024) / 1024  # 1 + w is exact
        values = round_to(values.astype(np.float32), name, format_of(family, name, tuple(tensor.shape)))
        state[name] = torch.from_numpy(values.copy())
    model.load_state_dict(state, strict=True)
    return model.float().eval(), state


def is_offset_norm(family, name):
    """Norms of Qwen3.5 keep their gains less one, but for the delta net's."""
    return family.architecture == "qwen35moe" and "linear_attn" not in name


# ---- Conversion --------------------------------------------------------------------------------------------------------------

def split_experts(values, ours):
    half = values.shape[1] // 2
    yield ours + "ffn_gate_exps.weight", values[:, :half]
    yield ours + "ffn_up_exps.weight", values[:, half:]


def renamed(state, theirs, ours, names):
    for name, our_name in names.items():
        if theirs + name in state:
            yield ours + our_name, array(state[theirs + name])


def ends(state):
    yield "token_embd.weight", array(state["model.embed_tokens.weight"])
    yield "output.weight", array(state["lm_head.weight"])


ATTENTION = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output"}
ATTENTION = {f"{theirs}.{end}": f"{ours}.{end}" for theirs, ours in ATTENTION.items() for end in ("weight", "bias")}


def convert_qwen3moe(config, state):
    yield from ends(state)
    yield "output_norm.weight", array(state["model.norm.weight"])
    for i in range(config.num_hidden_layers):
        theirs, ours = f"model.layers.{i}.", f"blk.{i}."
        yield from renamed(state, theirs, ours, ATTENTION | {
            "input_layernorm.weight": "attn_norm.weight", "post_attention_layernorm.weight": "ffn_norm.weight",
            "self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight",
            "mlp.gate.weight": "ffn_gate_inp.weight", "mlp.experts.down_proj": "ffn_down_exps.weight"})
        yield from split_experts(array(state[theirs + "mlp.experts.gate_up_proj"]), ours)


def tiled(values, config, width, axis=0):
    """Value heads in the order that GGUF keeps: the first of every key head, then the second, ..."""
    keys = config.linear_num_key_heads
    each = config.linear_num_value_heads // keys
    shape = values.shape
    split = values.reshape(*shape[:axis], keys, each, width, *shape[axis + 1:])
    return np.ascontiguousarray(np.swapaxes(split, axis, axis + 1)).reshape(shape)


def convert_qwen35moe(config, state):
    yield from ends(state)
    yield "output_norm.weight", 1.0 + array(state["model.norm.weight"])
    key_size = config.linear_num_key_heads * config.linear_key_head_dim
    width = config.linear_value_head_dim

    def reorder_values(values):
        return np.concatenate([values[:2 * key_size], tiled(values[2 * key_size:], config, width)])

    for i in range(config.num_hidden_layers):
        theirs, ours = f"model.layers.{i}.", f"blk.{i}."
        yield from renamed(state, theirs, ours, ATTENTION | {
            "mlp.gate.weight": "ffn_gate_inp.weight", "mlp.experts.down_proj": "ffn_down_exps.weight",
            "mlp.shared_expert.gate_proj.weight": "ffn_gate_shexp.weight", "mlp.shared_expert.up_proj.weight": "ffn_up_shexp.weight",
            "mlp.shared_expert.down_proj.weight": "ffn_down_shexp.weight"})
        yield from split_experts(array(state[theirs + "mlp.experts.gate_up_proj"]), ours)
        yield ours + "ffn_gate_inp_shexp.weight", array(state[theirs + "mlp.shared_expert_gate.weight"]).reshape(-1)
        for name, our_name in {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm",
                               "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}.items():
            if f"{theirs}{name}.weight" in state:
                yield f"{ours}{our_name}.weight", 1.0 + array(state[f"{theirs}{name}.weight"])
        if config.layer_types[i] == "full_attention":
            continue
        linear = {name.removeprefix(theirs + "linear_attn."): array(value) for name, value in state.items()
                  if name.startswith(theirs + "linear_attn.")}
        yield ours + "attn_qkv.weight", reorder_values(linear["in_proj_qkv.weight"])
        yield ours + "attn_gate.weight", tiled(linear["in_proj_z.weight"], config, width)
        yield ours + "ssm_alpha.weight", tiled(linear["in_proj_a.weight"], config, 1)
        yield ours + "ssm_beta.weight", tiled(linear["in_proj_b.weight"], config, 1)
        yield ours + "ssm_conv1d.weight", reorder_values(linear["conv1d.weight"].squeeze(1))
        yield ours + "ssm_a", tiled(array(-torch.exp(torch.from_numpy(linear["A_log"]))), config, 1)
        yield ours + "ssm_dt.bias", tiled(linear["dt_bias"], config, 1)
        yield ours + "ssm_norm.weight", linear["norm.weight"]
        yield ours + "ssm_out.weight", tiled(linear["out_proj.weight"], config, width, axis=1)


def convert_gpt_oss(config, state):
    yield from ends(state)
    yield "output_norm.weight", array(state["model.norm.weight"])
    for i in range(config.num_hidden_layers):
        theirs, ours = f"model.layers.{i}.", f"blk.{i}."
        yield from renamed(state, theirs, ours, ATTENTION | {
            "input_layernorm.weight": "attn_norm.weight", "post_attention_layernorm.weight": "post_attention_norm.weight",
            "self_attn.sinks": "attn_sinks.weight", "mlp.router.weight": "ffn_gate_inp.weight", "mlp.router.bias": "ffn_gate_inp.bias",
            "mlp.experts.down_proj_bias": "ffn_down_exps.bias"})
        gate_up = np.swapaxes(array(state[theirs + "mlp.experts.gate_up_proj"]), 1, 2)
        gate_up_bias = array(state[theirs + "mlp.experts.gate_up_proj_bias"])
        yield ours + "ffn_gate_exps.weight", gate_up[:, ::2]
        yield ours + "ffn_up_exps.weight", gate_up[:, 1::2]
        yield ours + "ffn_gate_exps.bias", gate_up_bias[:, ::2]
        yield ours + "ffn_up_exps.bias", gate_up_bias[:, 1::2]
        yield ours + "ffn_down_exps.weight", np.swapaxes(array(state[theirs + "mlp.experts.down_proj"]), 1, 2)


def convert_deepseek2(config, state):
    yield from ends(state)
    yield "output_norm.weight", array(state["model.norm.weight"])
    for i in range(config.num_hidden_layers):
        theirs, ours = f"model.layers.{i}.", f"blk.{i}."
        names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_a_proj": "attn_q_a",
                 "self_attn.q_a_layernorm": "attn_q_a_norm", "self_attn.q_b_proj": "attn_q_b",
                 "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa", "self_attn.kv_a_layernorm": "attn_kv_a_norm",
                 "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
                 "mlp.gate": "ffn_gate_inp", "mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp",
                 "mlp.shared_experts.down_proj": "ffn_down_shexp"}
        names = {f"{name}.weight": f"{our_name}.weight" for name, our_name in names.items()}
        yield from renamed(state, theirs, ours, names | {"mlp.gate.e_score_correction_bias": "exp_probs_b.bias",
                                                         "mlp.experts.down_proj": "ffn_down_exps.weight"})
        if theirs + "mlp.experts.gate_up_proj" in state:
            yield from split_experts(array(state[theirs + "mlp.experts.gate_up_proj"]), ours)
        kv_b = array(state[theirs + "self_attn.kv_b_proj.weight"]).reshape(
            config.num_attention_heads, config.qk_nope_head_dim + config.v_head_dim, config.kv_lora_rank)
        yield ours + "attn_k_b.weight", np.swapaxes(kv_b[:, :config.qk_nope_head_dim], 1, 2)
        yield ours + "attn_v_b.weight", kv_b[:, config.qk_nope_head_dim:]


# ---- Keys --------------------------------------------------------------------------------------------------------------------

def write_yarn(writer, rope):
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(rope["factor"])
    writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def write_heads(writer, config):
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)


def keys_qwen3moe(writer, config):
    write_heads(writer, config)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_expert_count(config.num_experts)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)


def keys_qwen35moe(writer, config):
    write_heads(writer, config)
    writer.add_expert_count(config.num_experts)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)
    writer.add_ssm_conv_kernel(config.linear_conv_kernel_dim)
    writer.add_ssm_state_size(config.linear_key_head_dim)
    writer.add_ssm_group_count(config.linear_num_key_heads)
    writer.add_ssm_time_step_rank(config.linear_num_value_heads)
    writer.add_ssm_inner_size(config.linear_num_value_heads * config.linear_value_head_dim)
    writer.add_full_attention_interval(4)
    rotary = int(config.head_dim * config.rope_parameters["partial_rotary_factor"])
    writer.add_rope_dimension_count(rotary)
    writer.add_rope_dimension_sections([2, 1, 1, 0])


def keys_gpt_oss(writer, config):
    write_heads(writer, config)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_expert_count(config.num_local_experts)
    writer.add_expert_feed_forward_length(config.intermediate_size)
    writer.add_sliding_window(config.sliding_window)
    write_yarn(writer, config.rope_parameters)


def keys_deepseek2(writer, config):
    writer.add_head_count_kv(1)
    writer.add_vocab_size(VOCABULARY)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_leading_dense_block_count(config.first_k_dense_replace)
    writer.add_q_lora_rank(config.q_lora_rank)
    writer.add_kv_lora_rank(config.kv_lora_rank)
    writer.add_key_length(config.kv_lora_rank + config.qk_rope_head_dim)
    writer.add_value_length(config.kv_lora_rank)
    writer.add_key_length_mla(config.qk_nope_head_dim + config.qk_rope_head_dim)
    writer.add_value_length_mla(config.v_head_dim)
    writer.add_rope_dimension_count(config.qk_rope_head_dim)
    writer.add_expert_count(config.n_routed_experts)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_expert_shared_count(config.n_shared_experts)
    writer.add_expert_weights_scale(config.routed_scaling_factor)
    writer.add_expert_weights_norm(config.norm_topk_prob)
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_expert_group_count(config.n_group)
    writer.add_expert_group_used_count(config.topk_group)
    write_yarn(writer, config.rope_parameters)
    writer.add_rope_scaling_yarn_log_mul(0.1 * config.rope_parameters["mscale_all_dim"])


def write_gguf(family, state, tokenizer):
    config = family.config
    writer = gguf.GGUFWriter(OUT / f"{family.name}.gguf", family.architecture)
    writer.add_name(f"tiny {family.name}")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    family.write_keys(writer, config)
    write_tokenizer(writer, tokenizer, "qwen2")
    for name, values in family.convert(config, state):
        values = np.ascontiguousarray(values, dtype=np.float32)
        kind = gguf_kind(family, name, values)
        if kind == F32:
            writer.add_tensor(name, values)
            continue
        raw = quantize(values, kind)
        assert np.array_equal(dequantize(raw, kind).reshape(values.shape), values), name
        writer.add_tensor(name, raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_kind(family, name, values):
    if values.ndim == 1 or name.endswith(".bias") or "ssm_conv1d" in name or "ffn_gate_inp" in name:
        return F32
    if name.endswith("_exps.weight"):
        experts = next((kind for end, kind in family.formats.items() if end == "experts.down_proj"), family.format)
        return gguf.GGMLQuantizationType[experts]
    # Its columns are reordered: no format of blocks survives that.
    return gguf.GGMLQuantizationType["F16" if name.endswith("ssm_out.weight") else family.format]


# ---- Goldens -----------------------------------------------------------------------------------------------------------------

def choice_margins(router, output):
    """Distances between the last chosen and the first not chosen: of experts, and of groups where there are any."""
    logits = output[0].detach()
    chosen = router.top_k
    scores = logits
    if hasattr(router, "e_score_correction_bias"):
        scores = logits.sigmoid() + router.e_score_correction_bias
        grouped = scores.view(len(scores), router.num_group, -1)
        worth = grouped.topk(2, dim=-1)[0].sum(dim=-1)
        best = worth.topk(router.topk_group + 1, dim=-1)
        yield float((best.values[:, -2] - best.values[:, -1]).min())
        allowed = torch.zeros_like(worth).scatter_(1, best.indices[:, :-1], 1.0).bool()
        scores = grouped.masked_fill(~allowed.unsqueeze(-1), -math.inf).view(len(scores), -1)
    best = scores.topk(chosen + 1, dim=-1).values
    yield float((best[:, -2] - best[:, -1]).min())


@torch.no_grad()
def routing_margin(model, tokens):
    margins = []
    hooks = [module.register_forward_hook(lambda router, _, output: margins.extend(choice_margins(router, output)))
             for module in model.modules() if type(module).__name__.lower().endswith("topkrouter")]
    model(torch.tensor([tokens]))
    for hook in hooks:
        hook.remove()
    return min(margins, default=math.inf)


def prompt_of(tokenizer):
    start = PROSE.index("The island came up")
    return next((PROSE[start:end], ids) for end in range(start + 100, start + 400)
                if len(ids := tokenizer.encode(PROSE[start:end]).ids) == PROMPT_TOKENS)


@torch.no_grad()
def find_clear(family, make):
    """The first model of make(attempt) whose choices are all clear, and what is known of its golden."""
    text, prompt = prompt_of(make_tokenizer("qwen2"))
    for attempt in range(200):
        model = make(attempt)
        if routing_margin(model, prompt) < ROUTING_MARGIN:
            continue
        continuation, margin = greedy(model, prompt)
        routing = routing_margin(model, prompt + continuation)
        if margin > 0.05 and len(set(continuation)) >= 8 and routing >= ROUTING_MARGIN:
            break
    else:
        raise SystemExit(f"{family.name}: no seed with clear choices")
    golden = {"text": text, "prompt": prompt, "greedy": continuation, "greedy_margin": round(margin, 4)}
    if math.isfinite(routing):
        golden["routing_margin"] = round(routing, 6)
    print(f"{family.name:16} seed {attempt:3}  margin {margin:.3f}  routing {routing:.1e}  distinct greedy tokens {len(set(continuation))}")
    return model, golden


@torch.no_grad()
def write_golden(family, model, golden):
    prompt = golden["prompt"]
    logits = model(torch.tensor([prompt])).logits[0]
    logprobs = torch.log_softmax(logits.double(), dim=-1)
    precise = model.double()(torch.tensor([prompt])).logits[0]
    (logits[-LOGIT_ROWS:].numpy().astype("<f4")).tofile(OUT / f"{family.name}.f32")
    golden = golden | {
        "logit_rows": LOGIT_ROWS, "vocabulary": VOCABULARY, "layers": family.config.num_hidden_layers, "hidden": 64,
        **family.tolerance, "oracle_rounding_error": float((logits.double() - precise).abs().max()),
        "token_logprobs": [round(float(logprobs[i, token]), 7) for i, token in enumerate(prompt[1:])],
    }
    (OUT / f"{family.name}.json").write_text(json.dumps(golden, indent=None, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{family.name:16} rms {float(logits.square().mean().sqrt()):.2f}  oracle error {golden['oracle_rounding_error']:.1e}", flush=True)


def make_family(family):
    states = []

    def make(attempt):
        model, state = make_model(family, attempt)
        states[:] = [state]
        return model

    model, golden = find_clear(family, make)
    write_golden(family, model, golden)
    write_gguf(family, states[0], make_tokenizer("qwen2"))
    print(f"{family.name:16} bytes {(OUT / f'{family.name}.gguf').stat().st_size}", flush=True)


DEFAULT_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0,
        "original_max_position_embeddings": 64}

FAMILIES = [
    Family("qwen3moe", "qwen3moe",
           Qwen3MoeConfig(**COMMON, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=96,
                          moe_intermediate_size=32, num_experts=8, num_experts_per_tok=2, norm_topk_prob=True, rope_parameters=DEFAULT_ROPE),
           Qwen3MoeForCausalLM, convert_qwen3moe, keys_qwen3moe,
           tolerance={"heads": 4, "head_width": 16, "intermediate": 64}),
    Family("qwen35moe", "qwen35moe",
           Qwen3_5MoeTextConfig(**COMMON, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
                                linear_conv_kernel_dim=4, linear_key_head_dim=16, linear_value_head_dim=16, linear_num_key_heads=2,
                                linear_num_value_heads=4, moe_intermediate_size=32, shared_expert_intermediate_size=32, num_experts=4,
                                num_experts_per_tok=2,
                                rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25,
                                                 "mrope_section": [2, 1, 1], "mrope_interleaved": True}),
           Qwen3_5MoeForCausalLM, convert_qwen35moe, keys_qwen35moe,
           format="Q8_0", formats={"linear_attn.out_proj.weight": "F16"},
           tolerance={"heads": 4, "head_width": 32, "intermediate": 96}),
    Family("gpt-oss", "gpt-oss",
           GptOssConfig(**COMMON, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=64,
                        num_local_experts=4, num_experts_per_tok=2, sliding_window=24, rope_parameters=YARN | {"truncate": False}),
           GptOssForCausalLM, convert_gpt_oss, keys_gpt_oss,
           formats={"experts.gate_up_proj": "MXFP4", "experts.down_proj": "MXFP4"},
           tolerance={"heads": 4, "head_width": 16, "intermediate": 128}),
    Family("deepseek2", "deepseek2",
           DeepseekV3Config(**COMMON, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, intermediate_size=96,
                            moe_intermediate_size=32, n_routed_experts=8, num_experts_per_tok=3, n_group=4, topk_group=2,
                            n_shared_experts=1, routed_scaling_factor=1.5, kv_lora_rank=32, q_lora_rank=48, qk_rope_head_dim=8,
                            qk_nope_head_dim=16, v_head_dim=16, first_k_dense_replace=1, norm_topk_prob=True,
                            rope_parameters=YARN | {"mscale": 1.0, "mscale_all_dim": 1.0}),
           DeepseekV3ForCausalLM, convert_deepseek2, keys_deepseek2,
           formats={"experts.gate_up_proj": "Q8_0", "experts.down_proj": "Q8_0"},
           tolerance={"heads": 4, "head_width": 24, "intermediate": 128}),
]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in FAMILIES:
        if not sys.argv[1:] or chosen.name in sys.argv[1:]:
            make_family(chosen)
