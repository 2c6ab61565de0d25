"""scripts/check_rooms finds wrong includes, and only those."""

import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_rooms"


def check(files):
    """Runs the script over a source folder with these files: path -> text."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_text(text, encoding="utf-8")
        done = subprocess.run([SCRIPT, folder], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout


class CheckRooms(unittest.TestCase):
    def assert_right(self, path, text):
        code, out = check({path: text})
        self.assertEqual(code, 0, out)

    def assert_wrong(self, path, text, *words):
        code, out = check({path: text})
        self.assertEqual(code, 1, out)
        for word in words:
            self.assertIn(word, out)

    def test_own_room_rooms_above_and_system_headers(self):
        self.assert_right("ops/a.cpp", '#include "ops/b.h"\n#include "base/error.h"\n#include <vector>\n#include <fmt/core.h>\n#include "beside.h"\n')

    def test_room_below(self):
        self.assert_wrong("base/a.h", '// one\n#include "formats/b.h"\n', "base/a.h:2:", "below 'base'")
        self.assert_wrong("text/jinja/a.cpp", '  #  include <ops/ops.h>\n', "below 'text'")

    def test_a_model_sees_ops_but_no_backend(self):
        self.assert_right("models/a.cpp", '#include "ops/ops.h"\n')
        self.assert_wrong("models/a.cpp", '#include "backends/registry.h"\n', "hidden from 'models'")

    def test_engine_has_one_door(self):
        for room in ("eval", "plan", "server", "swarm"):
            self.assert_right(f"{room}/a.cpp", '#include "engine/engine.h"\n')
            self.assert_wrong(f"{room}/a.cpp", '#include "engine/scheduler.h"\n', "only door")
        self.assert_right("engine/a.cpp", '#include "engine/scheduler.h"\n#include "backends/registry.h"\n')
        self.assert_right("cli/a.cpp", '#include "engine/scheduler.h"\n#include "backends/registry.h"\n')

    def test_way_out_of_a_folder(self):
        self.assert_wrong("ops/a.cpp", '#include "../base/error.h"\n', "'..'")

    def test_folder_that_is_no_room(self):
        self.assert_wrong("utilities/a.h", "", "lies in no room")
        self.assert_wrong("a.h", "", "lies in no room")

    def test_no_such_folder(self):
        self.assertEqual(subprocess.run([SCRIPT, "no/such/folder"], capture_output=True, check=False).returncode, 2)


if __name__ == "__main__":
    unittest.main()
