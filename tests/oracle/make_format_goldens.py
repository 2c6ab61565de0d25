#!/usr/bin/env python3
"""Writes the goldens of the scalar codecs: tests/formats/data/<FORMAT>.bin and tests/base/data/half.bin.

A format's file holds its blocks, then the float32 values to which the `gguf` package decodes them. Half of the blocks
are random bytes with finite scales, half were encoded by the package, where it can encode.
half.bin holds records of a float32 and the half and bfloat16 that it rounds to (numpy, gguf package).

Needs: numpy, gguf. Fixed seeds: running it again gives the same bytes.
"""
import pathlib

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

TESTS = pathlib.Path(__file__).resolve().parent.parent
# Where the half-precision scales of a block lie, in bytes.
SCALES = {
    "F16": [0], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "Q2_K": [80, 82], "Q3_K": [108], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [], "NVFP4": [],
}
# How many leading bytes are 8-bit float scales: they count up through 255 and 0, so that both ends occur.
BYTE_SCALES = {"MXFP4": 1, "NVFP4": 4}
MAX_FILE_BYTES = 48 * 1024


def random_blocks(rng, name, n_blocks, block_bytes):
    blocks = rng.integers(0, 256, (n_blocks, block_bytes), dtype=np.uint8)
    for offset in SCALES[name]:
        halves = rng.integers(0, 65536, n_blocks, dtype=np.uint16)
        halves[(halves & 0x7C00) == 0x7C00] &= 0xBFFF  # no infinity, no NaN; subnormals, zeros and signs stay
        special = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0x7BFF, 0xFBFF]
        halves[: len(special)] = rng.permutation(special)
        blocks[:, offset : offset + 2] = halves.view(np.uint8).reshape(-1, 2)
    if name in BYTE_SCALES:
        n_scales = BYTE_SCALES[name]
        counted = np.arange(n_blocks * n_scales) - n_blocks * n_scales // 2
        blocks[:, :n_scales] = counted.astype(np.uint8).reshape(n_blocks, n_scales)
    if name == "BF16":
        values = blocks.view(np.uint16)
        values[(values & 0x7F80) == 0x7F80] &= 0xBFFF
    return blocks


def encoded_blocks(rng, qtype, n_blocks, block_weights):
    values = rng.standard_normal((n_blocks, block_weights)).astype(np.float32)
    values *= np.exp2(rng.integers(-12, 8, (n_blocks, 1))).astype(np.float32)
    values[0] = 0
    try:
        return quantize(values, qtype).view(np.uint8).reshape(n_blocks, -1)
    except NotImplementedError:
        return None


def write_format(name):
    qtype = GGMLQuantizationType[name]
    block_weights, block_bytes = GGML_QUANT_SIZES[qtype]
    n_blocks = min(2048, MAX_FILE_BYTES // (block_bytes + 4 * block_weights)) // 2 * 2
    rng = np.random.default_rng(int(qtype) + 1)
    encoded = encoded_blocks(rng, qtype, n_blocks // 2, block_weights)
    n_random = n_blocks if encoded is None else n_blocks // 2
    parts = [random_blocks(rng, name, n_random, block_bytes)]
    if encoded is not None:
        parts.append(encoded)
    blocks = np.ascontiguousarray(np.concatenate(parts))
    with np.errstate(over="ignore"):  # MXFP4's largest scales
        decoded = dequantize(blocks.reshape(-1), qtype).astype(np.float32)
    path = TESTS / "formats" / "data" / f"{name}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blocks.tobytes() + decoded.tobytes())
    print(path.name, n_blocks, "blocks,", path.stat().st_size, "bytes")


def write_halves():
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2**32, 2000, dtype=np.uint32)
    # Around every half: the value itself, the ties on both sides, and their neighbours.
    halves = rng.integers(0, 0x7C00, 700, dtype=np.uint16)
    halves[:6] = [0, 1, 0x3FF, 0x400, 0x7BFF, 0x7BFE]
    exact = halves.view(np.float16).astype(np.float32)
    ties = (exact.astype(np.float64) + (halves + 1).astype(np.uint16).view(np.float16).astype(np.float64)) / 2
    ties[4] = 65520.0  # half way to what would be the next half: rounds to infinity
    tie_bits = ties.astype(np.float32).view(np.uint32)
    bfloat_ties = rng.integers(0, 2**15, 300, dtype=np.uint32) << 16 | 0x8000
    bits = np.concatenate([bits, exact.view(np.uint32), tie_bits, tie_bits - 1, tie_bits + 1, bfloat_ties, bfloat_ties + 1])
    bits = bits.astype(np.uint32)
    values = bits.view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        to_half = values.astype(np.float16).view(np.uint16)
    to_bfloat = quantize(values.reshape(-1, 1), GGMLQuantizationType.BF16).view(np.uint16).reshape(-1)
    records = np.zeros(len(bits), dtype=[("value", "<u4"), ("half", "<u2"), ("bfloat16", "<u2")])
    records["value"], records["half"], records["bfloat16"] = bits, to_half, to_bfloat
    path = TESTS / "base" / "data" / "half.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(records.tobytes())
    print(path.name, len(records), "records,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    for format_name in SCALES:
        write_format(format_name)
    write_halves()
