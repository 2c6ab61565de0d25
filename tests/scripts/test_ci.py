"""What the end of .ci/run's output says of parts that failed: .ci/run in a copy whose parts are stand-ins, with a real ctest."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CI = Path(__file__).resolve().parent.parent.parent / ".ci"
REPORT = "WARNING: ThreadSanitizer: data race (pid=1)"
PROJECT = f"""cmake_minimum_required(VERSION 3.25)
project(stand_in LANGUAGES NONE)
enable_testing()
add_test(NAME base/quiet COMMAND sh -c "echo nothing to see")
add_test(NAME engine/racy COMMAND sh -c "echo '{REPORT}'; seq 1 5000; exit 66")
add_test(NAME base/other COMMAND sh -c "echo nothing to see")
add_test(NAME engine/dies COMMAND sh -c "echo last words; kill -SEGV $$")
"""
CTEST = "cmake -G Ninja -S project -B project/build >/dev/null && exec ctest --test-dir project/build --output-on-failure -j 2"


class CiTest(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="megalith-ci-"))
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copytree(CI, self.root / ".ci")
        (self.root / "src").mkdir()
        (self.root / "project").mkdir()
        (self.root / "project/CMakeLists.txt").write_text(PROJECT, encoding="utf-8")
        for name in ["install_packages", "format", "check_rooms", "fuzz"]:
            self.script(f"scripts/{name}", "true")
        for name in ["shellcheck", "clang-tidy-22"]:
            self.script(f"bin/{name}", "true")
        self.select("", "")

    def script(self, path, body):
        file = self.root / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/usr/bin/env bash\n{body}\n", encoding="utf-8")
        file.chmod(0o755)

    def select(self, tsan, main):
        """Stand-ins for the thread sanitizer's tests and for the main ones: which of the project's they select."""
        self.script("scripts/test", f"case $1 in tsan) {CTEST} {tsan or '-R quiet'} ;; ci) {CTEST} {main or '-R base'} ;; esac")

    def run_ci(self):
        done = subprocess.run([self.root / ".ci/run"], capture_output=True, text=True, check=False,
                              env={"PATH": f"{self.root}/bin:/usr/local/bin:/usr/bin:/bin"})
        return done.returncode, done.stdout

    def test_all_passes_and_the_test_runner_has_the_last_word(self):
        code, output = self.run_ci()
        self.assertEqual(code, 0, output)
        self.assertIn("100% tests passed, 0 tests failed out of 2", output[-200:])
        self.assertNotIn("FAILED", output)

    def test_a_failed_part_is_shown_again_at_the_end(self):
        self.select("-R .", "")
        code, output = self.run_ci()
        self.assertEqual(code, 1, output)
        end = output[-5000:]
        for wanted in [REPORT, "engine/racy", "last words", "engine/dies", "=== FAILED: thread sanitizer (g++)",
                       "100% tests passed, 0 tests failed out of 2"]:
            self.assertIn(wanted, end)
        self.assertNotIn("base/quiet", end.split("=== what failed in", 1)[1])
        self.assertLess(len(end.split("=== what failed in", 1)[1]), 4500)

    def test_a_part_that_is_no_test_run_shows_its_end(self):
        self.script("scripts/format", "seq 1 9000; echo 'src/a.cpp is not formatted'; exit 1")
        code, output = self.run_ci()
        self.assertEqual(code, 1, output)
        self.assertIn("src/a.cpp is not formatted\n=== FAILED: format\n", output[-4000:])

    def test_failing_main_tests_fail_all(self):
        self.select("", "-R .")
        code, output = self.run_ci()
        self.assertEqual(code, 1, output)
        self.assertIn(REPORT, output[-5000:])
        self.assertIn("50% tests passed, 2 tests failed out of 4", output[-300:])


if __name__ == "__main__":
    sys.exit(unittest.main())
