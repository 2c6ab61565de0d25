"""scripts/what_runs makes README's table of the goldens that tests name, and of their models' own files."""

import json
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "scripts" / "what_runs"
MARKERS = ("<!-- what runs: written by scripts/what_runs -->", "<!-- what runs: end -->")
GOLDEN = json.dumps({"prompt": [1], "greedy": [2]})


class WhatRunsTest(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="megalith-what-runs-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.write("README.md", "before\n{}\nold\n{}\nafter\n".format(*MARKERS))
        self.write("tests/models/data/rope.json", "[]")
        self.write("tests/models/golden.h", 'std::array{"llama", "qwen3-gptq", "qwen3-mlx", "gemma"};')

    def write(self, path, content):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def folder(self, name, config, dtype):
        self.write(f"tests/models/data/{name}.json", GOLDEN)
        self.write(f"tests/models/data/{name}/config.json", json.dumps(config))
        header = json.dumps({"__metadata__": {}, "w": {"dtype": dtype, "shape": [1], "data_offsets": [0, 4]}}).encode()
        self.write(f"tests/models/data/{name}/model.safetensors", struct.pack("<Q", len(header)) + header + bytes(4))

    def run_script(self, *options):
        done = subprocess.run([SCRIPT, "--root", self.root, *options], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_each_kind_of_file(self):
        shutil.copy(ROOT / "tests/models/data/llama-q4_0.gguf", self.root / "tests/models/data/llama.gguf")
        self.write("tests/models/data/llama.json", GOLDEN)
        self.folder("gemma", {"model_type": "gemma3_text"}, "BF16")
        self.folder("qwen3-mlx", {"model_type": "qwen3", "quantization": {"bits": 4, "group_size": 32}}, "U32")
        self.folder("qwen3-gptq", {"model_type": "qwen3", "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True}}, "I32")
        code, out, error = self.run_script()
        self.assertEqual((code, error), (0, ""))
        self.assertEqual(out.splitlines(), [
            "| family | GGUF | safetensors | MLX | GPTQ |", "|---|---|---|---|---|",
            "| Gemma 3 | - | BF16 | - | - |", "| Llama | F32 Q4_0 Q8_0 | - | - | - |",
            "| Qwen3 | - | - | 4 bits, groups of 32 | 4 bits, groups of 128, act-order |"])

    def test_write_makes_check_pass(self):
        self.folder("gemma", {"model_type": "gemma3_text"}, "BF16")
        self.assertEqual(self.run_script("--check")[0], 1)
        self.assertEqual(self.run_script("--write")[0], 0)
        self.assertEqual(self.run_script("--check")[0], 0)
        readme = (self.root / "README.md").read_text(encoding="utf-8")
        self.assertTrue(readme.startswith("before\n") and readme.endswith("\nafter\n") and "| Gemma 3 | BF16 |" in readme, readme)
        self.assertNotIn("old", readme)
        self.folder("qwen3-mlx", {"model_type": "qwen3", "quantization": {"bits": 4, "group_size": 32}}, "U32")
        code, _, error = self.run_script("--check")
        self.assertEqual(code, 1)
        self.assertIn("scripts/what_runs --write", error)

    def test_a_golden_that_no_test_names_does_not_count(self):
        self.folder("unused", {"model_type": "llama"}, "F32")
        code, out, error = self.run_script()
        self.assertEqual(code, 0)
        self.assertNotIn("Llama", out)
        self.assertIn("unused.json is left out", error)

    def test_readme_without_markers(self):
        self.write("README.md", "nothing")
        code, _, error = self.run_script("--write")
        self.assertEqual(code, 1)
        self.assertIn(MARKERS[0], error)


if __name__ == "__main__":
    sys.exit(unittest.main())
