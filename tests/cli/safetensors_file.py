"""Just enough safetensors to write small folders of Hugging Face's kind."""

import json
import struct

FORMS = {"F32": "f", "I64": "q"}


def safetensors(tensors):
    """The bytes of a file. `tensors`: name -> (dtype, shape, numbers)."""
    header, data = {}, b""
    for name, (dtype, shape, numbers) in tensors.items():
        content = struct.pack(f"<{len(numbers)}{FORMS[dtype]}", *numbers)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
