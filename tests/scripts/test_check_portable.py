"""scripts/check_portable finds paths of a machine and hosts of registries, and only those."""

import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_portable"


def check(content):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file").write_bytes(content)
        done = subprocess.run([SCRIPT, folder], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout


class CheckPortable(unittest.TestCase):
    def test_paths(self):
        # Written in two halves, for this file is looked at too.
        for path in (b"/wo" b"rk/main", b"/ho" b"me/somebody/x", b'"/tm' b'p/models/x.gguf"', b"/ro" b"ot/.cache"):
            code, out = check(b"one\ntwo " + path)
            self.assertEqual(code, 1, path)
            self.assertIn("file:2: path of a machine", out)

    def test_hosts(self):
        for host in (b"py" b"pi.org", b"files.python" b"hosted.org", b"registry.npm" b"js.org", b"deb.deb" b"ian.org"):
            code, out = check(b"\0https://" + host + b"/simple")
            self.assertEqual(code, 1, host)
            self.assertIn("host of a package registry", out)

    def test_what_is_fine(self):
        code, out = check(b"src/wo" b"rk/x $HOME/tm" b"p/x ~/ro" b"ot/x /usr/bin/env ../ho" b"me/x npm and Debian\n")
        self.assertEqual(code, 0, out)


if __name__ == "__main__":
    unittest.main()
