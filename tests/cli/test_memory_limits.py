"""run, bench and inspect where memory is short: a sentence and exit code 5, and what the sentence says would fit does fit."""

import os
import re
import resource
import subprocess
import sys
import unittest
from pathlib import Path

from program import BINARY, LLAMA, TIMEOUT_S, ProgramTest

MIB = 1 << 20
SANITIZED = any(name.endswith("SAN_OPTIONS") for name in os.environ)


class Cgroup:
    """A cgroup below this process's own, of version 2 or 1, with a limit of memory; None from make() where that is not permitted."""

    def __init__(self, folder, limit_file, limit_bytes):
        self.folder = folder
        (folder / limit_file).write_text(str(limit_bytes), encoding="utf-8")

    @staticmethod
    def candidates():
        """(parent folder, name of its limit's file) by /proc/self: first that of version 1's memory controller, then version 2."""
        own = [line.strip().split(":", 2) for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()]
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
            before, after = (part.split() for part in line.split(" - "))
            shown, mount, kind, options = before[3], Path(before[4]), after[0], after[2].split(",")
            for _, controllers, path in own:
                below = path.removeprefix(shown).lstrip("/") if shown != "/" else path.lstrip("/")
                if kind == "cgroup" and "memory" in options and "memory" in controllers.split(","):
                    yield mount / below, "memory.limit_in_bytes"
                if kind == "cgroup2" and controllers == "":
                    yield mount / below, "memory.max"

    @staticmethod
    def make(limit_bytes):
        for parent, limit_file in Cgroup.candidates():
            folder = parent / f"megalith-test-{os.getpid()}"
            try:
                folder.mkdir()
            except OSError:
                continue
            try:
                return Cgroup(folder, limit_file, limit_bytes)
            except OSError:  # the controller is not handed down, or the limit may not be written
                folder.rmdir()
        return None

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()), encoding="utf-8")

    def remove(self):
        self.folder.rmdir()


@unittest.skipIf(SANITIZED, "a sanitizer itself takes more than these limits")
class CgroupTest(ProgramTest):
    def limited(self, limit_mib, *arguments):
        """(exit code, standard output, standard error) under a limit."""
        group = Cgroup.make(limit_mib * MIB)
        if group is None:
            self.skipTest("no cgroup with a limit of memory can be made here")
        try:
            done = subprocess.run([BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S,
                                  env=self.environment, preexec_fn=group.enter, check=False)
        finally:
            group.remove()
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def test_what_does_not_fit_is_refused_and_what_is_said_to_fit_runs(self):
        answer = ["run", LLAMA, "--raw", "Hi", "--temp", 0, "-n", 8]
        code, _, error = self.limited(400, *answer, "--ctx", 1 << 24)
        self.assertEqual(code, 5, error)
        fits = re.search(r"the largest that safely fits is --ctx (\d+)", error)
        self.assertTrue(fits, error)
        self.assertGreater(int(fits[1]), 0)
        code, text, error = self.limited(400, *answer, "--ctx", fits[1])
        self.assertEqual(code, 0, error)
        self.assertEqual(text, self.succeeds(*answer))

    def test_less_than_any_model_needs(self):
        for arguments in [["run", LLAMA, "Hi"], ["bench", LLAMA, "-p", 8, "-n", 8, "-r", 1]]:
            code, _, error = self.limited(64, *arguments)
            self.assertEqual(code, 5, error)
            self.assertIn("free memory or take a smaller model", error)
        code, text, error = self.limited(64, "inspect", LLAMA)
        self.assertEqual(code, 0, error)
        self.assertIn("llama", text)


@unittest.skipIf(SANITIZED, "a sanitizer maps terabytes of addresses")
class AddressSpaceTest(ProgramTest):
    """RLIMIT_AS: mmap, new and new threads fail at whatever point the limit is met."""

    def limited(self, limit_bytes, *arguments):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
        done = subprocess.run([BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S,
                              env=self.environment, preexec_fn=limit, check=False)
        return done.returncode, done.stderr.decode("utf-8", "replace")

    def test_every_limit_ends_with_a_sentence(self):
        # Below this the system cannot even start the program.
        step = MIB // 4
        least = next(size for size in range(MIB, 256 * MIB, step) if self.limited(size, "--version")[0] == 0)
        for arguments in [["run", LLAMA, "--raw", "Hi", "--temp", 0, "-n", 4, "-t", 3, "--ctx", 256],
                          ["bench", LLAMA, "-p", 8, "-n", 4, "-r", 1, "-t", 2], ["inspect", LLAMA, "--verify"]]:
            size, refused = least, 0
            while True:
                code, error = self.limited(size, *arguments)
                if code == 0:
                    break
                self.assertEqual(code, 5, f"{arguments} with {size} bytes of addresses: {error}")
                self.assertRegex(error, r"\Amegalith: |\nmegalith: ")
                refused += 1
                size += step
                self.assertLess(size, 4 << 30, error)
                step = max(step, size // 64)
            self.assertGreater(refused, 0, arguments)


if __name__ == "__main__":
    sys.exit(unittest.main())
