"""Just enough GGUF to make damaged and changed copies of a checkpoint: finds what lies where, and edits it."""

import struct

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
ALIGNMENT = 32


class GgufFile:
    """`data`: the whole file. `keys`: key -> its offset. `values`: key -> (offset of the value, type). `tensors`: name -> offsets and shape."""

    def __init__(self, path):
        self.data = bytearray(path if isinstance(path, bytes) else path.read_bytes())
        self.at = 24
        tensor_count, value_count = struct.unpack_from("<QQ", self.data, 8)
        self.keys, self.values, self.tensors = {}, {}, {}
        for _ in range(value_count):
            key_at = self.at + 8
            key = self._string()
            kind = self._number("<I")
            self.values[key] = (self.at, kind)
            self.keys[key] = key_at
            self._skip(kind)
        self.end_of_values = self.at
        for _ in range(tensor_count):
            name_at = self.at + 8
            name = self._string()
            dimensions = self._number("<I")
            shape_at = self.at
            shape = [self._number("<Q") for _ in range(dimensions)]
            type_at = self.at
            kind = self._number("<I")
            offset = self._number("<Q")
            self.tensors[name] = {"name_at": name_at, "shape_at": shape_at, "shape": shape, "type_at": type_at,
                                  "type": kind, "offset": offset}
        self.end_of_header = self.at
        self.data_at = -(-self.at // ALIGNMENT) * ALIGNMENT

    def _number(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def _string(self):
        length = self._number("<Q")
        text = bytes(self.data[self.at:self.at + length])
        self.at += length
        return text.decode("utf-8")

    def _skip(self, kind):
        if kind == STRING:
            self._string()
        elif kind == ARRAY:
            element, count = self._number("<I"), self._number("<Q")
            for _ in range(count):
                self._skip(element)
        else:
            self._number(SCALARS[kind])

    def put(self, form, at, value):
        struct.pack_into(form, self.data, at, value)

    def set_text(self, key, text):
        """Replaces a string value by one of the same length."""
        at, kind = self.values[key]
        (length,) = struct.unpack_from("<Q", self.data, at)
        encoded = text.encode()
        assert kind == STRING and len(encoded) == length, f"{key} has {length} bytes"
        self.data[at + 8:at + 8 + length] = encoded

    def hide(self, key):
        """Gives a key a name that means nothing, so that the file is as if it were not there."""
        at = self.keys[key]
        self.data[at:at + len(key)] = key.encode()[::-1]
        return self

    def rename_tensor(self, name, new_name):
        assert len(name) == len(new_name)
        at = self.tensors[name]["name_at"]
        self.data[at:at + len(name)] = new_name.encode()

    def tensor_at(self, name):
        return self.data_at + self.tensors[name]["offset"]

    def set_floats(self, name, values):
        """Replaces a whole tensor of F32."""
        encoded = struct.pack(f"<{len(values)}f", *values)
        at = self.tensor_at(name)
        self.data[at:at + len(encoded)] = encoded

    def with_text(self, key, text):
        """The file with one more string among its metadata."""
        return self._with_value(key, struct.pack("<I", STRING) + self._encoded(text))

    def with_list(self, key, values):
        """The file with one more list among its metadata, of strings or of 32-bit integers."""
        kind = 5 if values and isinstance(values[0], int) else STRING
        elements = b"".join(self._encoded(value) if kind == STRING else struct.pack("<i", value) for value in values)
        return self._with_value(key, struct.pack("<IIQ", ARRAY, kind, len(values)) + elements)

    @staticmethod
    def _encoded(text):
        encoded = text.encode()
        return struct.pack("<Q", len(encoded)) + encoded

    def _with_value(self, key, typed_value):
        header = self.data[:self.end_of_values] + self._encoded(key) + typed_value
        header += self.data[self.end_of_values:self.end_of_header]
        (count,) = struct.unpack_from("<Q", header, 16)
        struct.pack_into("<Q", header, 16, count + 1)
        return bytes(header) + bytes(-len(header) % ALIGNMENT) + bytes(self.data[self.data_at:])
