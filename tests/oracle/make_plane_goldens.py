#!/usr/bin/env python3
"""Writes the goldens of the formats of several planes: tests/formats/data/<FORMAT>.bin.

A file is a row of cases. A case is nine int64: rows, columns, group, scale type (0 F32, 1 F16, 2 BF16), what is added
to stored zero points, and the bytes of four planes; then the planes; then the decoded weights, float32 [rows, columns].

MLX weights are decoded by mlx itself, in float32, FP8 by torch; AWQ and GPTQ by the formulas that their authors
document, over whole arrays: first unpack everything to integers, then w = (q - z) * s.

Needs: numpy, mlx, torch. Fixed seeds: running it again gives the same bytes.
"""
import pathlib

import mlx.core as mx
import numpy as np
import torch

DATA = pathlib.Path(__file__).resolve().parent.parent / "formats" / "data"
SCALE_TYPES = [torch.float32, torch.float16, torch.bfloat16]
MLX_TYPES = [mx.float32, mx.float16, mx.bfloat16]


def case(expected, planes, group, scale_type, shift=0):
    rows, columns = expected.shape
    parts = [np.ascontiguousarray(plane).tobytes() for plane in planes] + [b""] * (4 - len(planes))
    header = np.array([rows, columns, group, scale_type, shift] + [len(part) for part in parts], dtype="<i8")
    return header.tobytes() + b"".join(parts) + np.ascontiguousarray(expected, dtype="<f4").tobytes()


def write(name, cases):
    path = DATA / f"{name}.bin"
    path.write_bytes(b"".join(cases))
    print(path.name, len(cases), "cases,", path.stat().st_size, "bytes")


def stored(values, scale_type):
    """The float32 values as a file holds them: their bytes, and the float32 values that these are."""
    narrow = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(SCALE_TYPES[scale_type])
    return narrow.view(torch.uint8).numpy(), narrow.to(torch.float32).numpy()


def random_scales(rng, shape, scale_type):
    return stored(rng.standard_normal(shape) * np.exp2(rng.integers(-10, 3, shape)), scale_type)


def mlx_cases(bits):
    rng = np.random.default_rng(100 + bits)
    for group, scale_type in ((32, 1), (64, 2), (128, 0), (64, 1), (32, 0), (128, 2)):
        rows, columns = 2, 3 * group if group < 128 else 256
        weights = mx.array((rng.standard_normal((rows, columns)) * 0.1).astype(np.float32)).astype(MLX_TYPES[scale_type])
        packed, scales, biases = mx.quantize(weights, group_size=group, bits=bits)
        if group == 32:  # any codes, any scales
            packed = mx.array(rng.integers(0, 2**32, packed.shape, dtype=np.uint32))
            scales = mx.array(rng.standard_normal(scales.shape).astype(np.float32)).astype(MLX_TYPES[scale_type])
            biases = mx.array(rng.standard_normal(scales.shape).astype(np.float32)).astype(MLX_TYPES[scale_type])
        wide = [array.astype(mx.float32) for array in (scales, biases)]
        expected = np.array(mx.dequantize(packed, *wide, group_size=group, bits=bits))
        planes = [np.array(packed)] + [stored(np.array(w), scale_type)[0] for w in wide]
        yield case(expected, planes, group, scale_type)


def unpack_columns(packed, bits, order):
    """[lines, words] -> [lines, words * 32 / bits]; field order[i] of a word is its element i."""
    shifts = np.array(order) * bits
    fields = (packed.view(np.uint32)[:, :, None] >> shifts[None, None, :]) & (2**bits - 1)
    return fields.reshape(packed.shape[0], -1).astype(np.int64)


def awq_cases():
    rng = np.random.default_rng(200)
    unpacking_order = [0, 4, 1, 5, 2, 6, 3, 7]
    for group, columns, scale_type in ((32, 96, 1), (64, 128, 1), (128, 256, 2), (64, 96, 0)):
        rows, groups = 16, -(-columns // group)
        qweight = rng.integers(-(2**31), 2**31, (columns, rows // 8)).astype(np.int32)
        qzeros = rng.integers(-(2**31), 2**31, (groups, rows // 8)).astype(np.int32)
        scale_bytes, scales = random_scales(rng, (groups, rows), scale_type)
        group_of = np.arange(columns) // group
        q = unpack_columns(qweight, 4, unpacking_order)
        z = unpack_columns(qzeros, 4, unpacking_order)[group_of]
        expected = (q - z).astype(np.float32) * scales[group_of]
        yield case(expected.T, [qweight, qzeros, scale_bytes], group, scale_type)


def gptq_cases(bits):
    rng = np.random.default_rng(300 + bits)
    in_order = list(range(32 // bits))
    # group, columns, scale type, zero points less 1, how columns meet their groups
    for group, columns, scale_type, shift, grouping in (
        (32, 96, 1, 1, "none"), (64, 128, 1, 0, "trivial"), (32, 128, 1, 1, "act-order"), (128, 256, 2, 0, "act-order"),
        (96, 96, 1, 1, "none"), (64, 96, 0, 1, "act-order"),
    ):  # fmt: skip
        rows, groups = 16, -(-columns // group)
        qweight = rng.integers(-(2**31), 2**31, (columns * bits // 32, rows)).astype(np.int32)
        qzeros = rng.integers(-(2**31), 2**31, (groups, rows * bits // 32)).astype(np.int32)
        qzeros[0, 0] = -1  # stored all ones: in the older files the zero point 0
        scale_bytes, scales = random_scales(rng, (groups, rows), scale_type)
        g_idx = (np.arange(columns) // group).astype(np.int32)
        if grouping == "act-order":
            g_idx = rng.permutation(g_idx)
        q = unpack_columns(np.ascontiguousarray(qweight.T), bits, in_order)  # [rows, columns]
        z = (unpack_columns(qzeros, bits, in_order) + shift) % 2**bits  # [groups, rows]
        expected = (q - z[g_idx].T).astype(np.float32) * scales[g_idx].T
        planes = [qweight, qzeros, scale_bytes] + ([] if grouping == "none" else [g_idx])
        yield case(expected, planes, group, scale_type, shift)


def fp8_cases():
    rng = np.random.default_rng(400)
    for rows, columns, scale_type in ((3, 300, 0), (140, 20, 2), (1, 256, 0)):
        codes = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
        codes[(codes & 0x7F) == 0x7F] ^= 1  # not a number
        if rows == 1:
            codes[0] = np.where(np.arange(256) % 128 == 127, 0, np.arange(256))
        scale_bytes, scales = random_scales(rng, (-(-rows // 128), -(-columns // 128)), scale_type)
        values = torch.from_numpy(codes).view(torch.float8_e4m3fn).to(torch.float32)
        wide = torch.from_numpy(scales)
        spread = wide.repeat_interleave(128, 0)[:rows].repeat_interleave(128, 1)[:, :columns]
        yield case((values * spread).numpy(), [codes, scale_bytes], 0, scale_type)


def mxfp4_cases():
    rng = np.random.default_rng(500)
    packed = rng.integers(0, 2**32, (4, 16), dtype=np.uint32)  # 128 columns
    scales = rng.integers(60, 190, (4, 4), dtype=np.uint8)
    decoded = mx.dequantize(mx.array(packed), mx.array(scales), group_size=32, bits=4, mode="mxfp4")
    yield case(np.array(decoded.astype(mx.float32)), [packed, scales], 0, 0)


if __name__ == "__main__":
    for n_bits in (2, 3, 4, 5, 6, 8):
        write(f"MLX_{n_bits}BIT", list(mlx_cases(n_bits)))
    write("AWQ_4BIT", list(awq_cases()))
    for n_bits in (4, 8):
        write(f"GPTQ_{n_bits}BIT", list(gptq_cases(n_bits)))
    write("FP8_BLOCK", list(fp8_cases()))
    write("MXFP4_PLANES", list(mxfp4_cases()))
