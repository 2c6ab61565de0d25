"""A tiny model that always gives the same answer: made of llama.gguf with weights written by hand."""

from gguf_file import GgufFile
from program import LLAMA, TEMPLATE, TEMPLATE_KEY

WIDTH = 64
VOCABULARY = 300
FIRST_FREE = 259  # the tokens before are special ones and bytes
CONTROL, USER_DEFINED = 3, 4
END = 2
# The byte-to-unicode alphabet of byte-level BPE; "\n" is the last byte of the prompts of TEMPLATE.
BYTES = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))


def byte_text(byte):
    return chr(byte) if byte in BYTES else chr(256 + [b for b in range(256) if b not in BYTES].index(byte))


def scripted_model(pieces, controls=(), template=TEMPLATE, begins_over=False):
    """The bytes of a file whose model answers, after a line end, with these pieces, one token each, and ends, or begins over.

    A layer adds nothing to its input, so that the next token depends on the last one alone: each embedding is a unit
    vector, and the row of the output that belongs to the next token has its one in the same place."""
    assert len(set(pieces)) == len(pieces) < WIDTH - 1
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    texts = special + [byte_text(byte) for byte in range(256)] + list(pieces)
    texts += [f"<unused {i}>" for i in range(VOCABULARY - len(texts))]
    types = [CONTROL] * 3 + [1] * 256 + [CONTROL if piece in controls else USER_DEFINED for piece in pieces]
    types += [CONTROL] * (VOCABULARY - len(types))

    line_end = 3 + ord("\n")
    chain = [line_end] + [FIRST_FREE + i for i in range(len(pieces))]
    following = chain[1:] + [chain[1] if begins_over else END]
    embedding, output = [0.0] * (VOCABULARY * WIDTH), [0.0] * (VOCABULARY * WIDTH)
    for place, (token, next_token) in enumerate(zip(chain, following)):
        embedding[token * WIDTH + place] = 1.0
        output[next_token * WIDTH + place] = 1.0

    file = GgufFile(LLAMA)
    for layer in range(2):
        for name in ("attn_output", "ffn_down"):
            tensor = f"blk.{layer}.{name}.weight"
            shape = file.tensors[tensor]["shape"]
            file.set_floats(tensor, [0.0] * (shape[0] * shape[1]))
    file.set_floats("output_norm.weight", [1.0] * WIDTH)
    file.set_floats("token_embd.weight", embedding)
    file.set_floats("output.weight", output)
    for key, values in (("tokenizer.ggml.tokens", texts), ("tokenizer.ggml.token_type", types),
                        ("tokenizer.ggml.merges", [])):
        file = GgufFile(file.hide(key).with_list(key, values))
    return file.hide(TEMPLATE_KEY).with_text(TEMPLATE_KEY, template)
