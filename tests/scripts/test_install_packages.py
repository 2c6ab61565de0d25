"""scripts/install_packages, with stand-ins for the system's own tools in PATH: nothing is installed."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
WANTED = [line for line in (SCRIPTS / "packages.debian").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
TOOLS = "bash env dirname grep comm awk sort mktemp rm cat true"


class InstallPackages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for tool in TOOLS.split():
            path = next(Path(part) / tool for part in ("/usr/bin", "/bin") if (Path(part) / tool).exists())
            (self.folder / tool).symlink_to(path)
        self.calls = self.folder / "calls"
        self.calls.write_text("", encoding="utf-8")
        self.stand_in("apt-get", f'echo "apt-get $*" >>{self.calls}')

    def stand_in(self, name, body):
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def installed(self, names):
        """dpkg-query: those installed, one that was removed but left its configuration, and silence on the rest."""
        lines = "".join(f"ii  {name}\\n" for name in names) + "rc  cmake\\n" * ("cmake" not in names)
        self.stand_in("dpkg-query", f'printf "{lines}"; exit 1')

    def user(self, number):
        self.stand_in("id", f"echo {number}")

    def run_script(self, *arguments):
        done = subprocess.run([SCRIPTS / "install_packages", *arguments], env={**os.environ, "PATH": str(self.folder)},
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stderr, self.calls.read_text(encoding="utf-8")

    def test_all_is_there(self):
        self.installed(WANTED)
        self.assertEqual(self.run_script(), (0, "", ""))

    def test_installs_what_is_missing(self):
        self.installed([name for name in WANTED if name not in ("cmake", "g++")])
        self.user(0)
        code, err, calls = self.run_script()
        self.assertEqual(code, 0, err)
        self.assertIn(" update\n", calls)
        self.assertTrue(calls.endswith(" --no-install-recommends cmake g++\n"), calls)

    def test_neither_root_nor_sudo(self):
        self.installed([name for name in WANTED if name != "g++"])
        self.user(1000)
        code, err, calls = self.run_script()
        self.assertEqual((code, calls), (1, ""))
        self.assertIn("neither root nor is there sudo", err)
        self.assertIn("apt-get install g++", err)

    def test_sudo(self):
        self.installed([name for name in WANTED if name != "g++"])
        self.user(1000)
        self.stand_in("sudo", f'echo "sudo" >>{self.calls}; "$@"')
        code, err, calls = self.run_script()
        self.assertEqual(code, 0, err)
        self.assertEqual(calls.count("sudo\napt-get"), 2)

    def test_apt_fails(self):
        self.installed([])
        self.user(0)
        self.stand_in("apt-get", 'echo "E: Unable to locate package"; exit 100')
        code, err, _ = self.run_script()
        self.assertEqual(code, 1)
        self.assertIn("E: Unable to locate package", err)
        self.assertIn("Is the network there?", err)

    def test_another_system(self):
        self.user(1000)
        code, err, _ = self.run_script()
        self.assertEqual(code, 1)
        self.assertIn("'cmake' is missing, and this is no Debian system", err)

    def test_wrong_usage(self):
        self.assertEqual(self.run_script("--everything")[0], 2)


if __name__ == "__main__":
    unittest.main()
