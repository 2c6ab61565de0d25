"""The program at a terminal: keys in, a screen out."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

from program import BINARY, TIMEOUT_S


class Terminal:
    """A running program whose three streams are a pseudo-terminal. `screen`: all that it has written so far."""

    def __init__(self, arguments, environment, columns=100):
        self.screen = b""
        self.seen = 0
        self.fd, inner = pty.openpty()
        self.resize(columns)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.fd)
            os.login_tty(inner)
            os.execve(BINARY, [BINARY, *map(str, arguments)], environment)
        os.close(inner)

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def type(self, keys):
        keys = keys.encode() if isinstance(keys, str) else keys
        while keys:
            keys = keys[os.write(self.fd, keys):]

    def _read(self, until):
        deadline = time.monotonic() + TIMEOUT_S
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing more came after:\n{self.screen.decode('utf-8', 'replace')}")
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            try:
                got = os.read(self.fd, 1 << 16)
            except OSError:  # Linux: the other side is closed
                got = b""
            if not got:
                return False
            self.screen += got
        return True

    def expect(self, text):
        """Waits for `text` after what was seen before; returns what came with it and before it."""
        text = text.encode() if isinstance(text, str) else text
        if not self._read(lambda: text in self.screen[self.seen:]):
            raise AssertionError(f"ended without {text}:\n{self.screen.decode('utf-8', 'replace')}")
        end = self.screen.index(text, self.seen) + len(text)
        came, self.seen = self.screen[self.seen:end], end
        return came.decode("utf-8", "replace")

    def wait(self):
        """The exit code, after the program has ended."""
        self._read(lambda: False)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
