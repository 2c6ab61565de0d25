"""Drives the built program for the tests of its commands: MEGALITH_BINARY names it."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
TINY = TESTS / "models" / "data"
LLAMA = TINY / "llama.gguf"
QWEN2 = TINY / "qwen2.gguf"
BINARY = os.environ["MEGALITH_BINARY"]
TIMEOUT_S = 240  # sanitizers are slow

TEMPLATE_KEY = "tokenizer.chat_template"
TEMPLATE = ("{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


class ProgramTest(unittest.TestCase):
    """A test with an empty home folder and a clean environment of its own."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="megalith-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.home = self.folder / "home"
        self.home.mkdir()
        self.environment = {name: value for name, value in os.environ.items()
                            if name in ("PATH", "LD_LIBRARY_PATH") or name.endswith("SAN_OPTIONS")}
        self.environment["HOME"] = str(self.home)

    def start(self, *arguments, **how):
        """The running program, its three streams as pipes."""
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
        return subprocess.Popen([BINARY, *map(str, arguments)], env=self.environment, **streams)

    def run_program(self, *arguments, given=b"", exit_code=0, **environment):
        """Standard output as text, and standard error, after checking the exit code."""
        done = subprocess.run([BINARY, *map(str, arguments)], input=given, capture_output=True, timeout=TIMEOUT_S,
                              env=self.environment | environment, check=False)
        error = done.stderr.decode("utf-8", "replace")
        self.assertEqual(done.returncode, exit_code, f"{arguments}: exit code {done.returncode}\n{error}")
        self.assertNotIn("Sanitizer", error)
        return done.stdout.decode("utf-8"), error

    def succeeds(self, *arguments, given=b"", **environment):
        return self.run_program(*arguments, given=given, **environment)[0]

    def json_of(self, *arguments, given=b""):
        """The one JSON document on standard output."""
        return json.loads(self.succeeds(*arguments, given=given))

    def fails(self, exit_code, fragments, *arguments, given=b"", **environment):
        """Checks a failure's exit code, and that its sentence holds all fragments."""
        _, error = self.run_program(*arguments, given=given, exit_code=exit_code, **environment)
        self.assertTrue(error.startswith("megalith: ") or "\nmegalith: " in error, error)
        for fragment in [fragments] if isinstance(fragments, str) else fragments:
            self.assertIn(fragment, error)
        return error

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else bytes(content))
        return path
