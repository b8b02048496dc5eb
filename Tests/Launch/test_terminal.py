"""What a terminal shows of a training: one line of progress at any width, gone before anything else is written."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest
from pathlib import Path

from test_benchmarks import write_images

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("GAN_DIST_BINARY", ROOT / ".build" / "release" / "gan-dist"))
LIMIT = 120  # seconds
CLEAR = "\x1b[K"


def train(columns, until, *arguments):
    """The exit code and all output of a training on a terminal, interrupted once `until` has been shown."""
    with tempfile.TemporaryDirectory() as folder:
        write_images(folder)
        terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command = [BINARY, "--preset", "mlp", "--data", folder, "--outdir", f"{folder}/runs", *map(str, arguments)]
        process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, start_new_session=True)
        os.close(end)
        output, deadline, is_asked = "", time.monotonic() + LIMIT, False
        while time.monotonic() < deadline:
            try:
                piece = os.read(terminal, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            output += piece.decode()
            if not is_asked and until in output:
                process.send_signal(signal.SIGINT)
                is_asked = True
        else:
            process.kill()
        os.close(terminal)
        return process.wait(), output


class Terminal(unittest.TestCase):
    def test_progress_is_one_line_and_gone_before_the_next(self):
        for columns in (200, 60, 30, 9):
            with self.subTest(columns=columns):
                code, output = train(columns, "%", "--steps", 10**6, "--log-interval", 500)
                self.assertEqual(code, 75, output)
                bars = re.findall(r"\r([^\r\n]*%[^\r\n]*?)" + re.escape(CLEAR), output)
                self.assertTrue(bars, output)
                for bar in bars:
                    self.assertLess(len(bar), columns)
                # What is left of each line once it is erased to its end.
                lines = [line.rpartition(CLEAR)[2] for line in output.replace("\r\n", "\n").split("\n")]
                self.assertFalse([line for line in lines if "%" in line and "images/s" in line and "Epoch" not in line], lines)
                self.assertTrue(lines[-2].startswith("Stopped after step "), lines[-3:])


if __name__ == "__main__":
    unittest.main()
