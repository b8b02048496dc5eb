"""Drives a headless Chromium over the pipe of its DevTools protocol, without a network and without a package.

https://chromedevtools.github.io/devtools-protocol/: messages are JSON, each ended by a zero byte; Chromium reads them from
descriptor 3 and writes to descriptor 4."""

import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find():
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A page of a browser; use it in a `with`."""

    def __init__(self, width=1280, height=900, phone=False, dark=False):
        self.width, self.height, self.phone, self.dark = width, height, phone, dark
        self.errors = []  # what the console was told, and exceptions
        self.requests = []  # addresses that were asked for
        self._number = 0
        self._received = b""
        self._events = []

    def __enter__(self):
        self._folder = tempfile.mkdtemp()
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def descriptors():  # in the child: 3 and 4, whatever numbers the pipes had
            first, second = os.dup(to_browser), os.dup(from_browser)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self._browser = subprocess.Popen(
            [find(), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", f"--user-data-dir={self._folder}", "about:blank"],
            preexec_fn=descriptors, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        target = next(t for t in self.call("Target.getTargets", browser=True)["targetInfos"] if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", browser=True, targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=self.width, height=self.height, deviceScaleFactor=2 if self.phone else 1,
                  mobile=self.phone)
        self.call("Emulation.setEmulatedMedia", features=[dict(name="prefers-color-scheme", value="dark" if self.dark else "light")])
        self.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close", browser=True, seconds=10)
            self._browser.wait(10)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            self._browser.kill()
            self._browser.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._folder, ignore_errors=True)  # a process of the browser may be writing there still

    def call(self, method, browser=False, seconds=120, **parameters):
        """Calls a method of the protocol and returns its result."""
        self._number += 1
        number = self._number
        message = dict(id=number, method=method, params=parameters)
        if not browser:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data):]
        end = time.monotonic() + seconds
        while True:
            answer = self._next(end)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self, end):
        while b"\0" not in self._received:
            if not select.select([self._read], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError(f"Chromium ended with {self._browser.wait()}")
            self._received += piece
        text, self._received = self._received.split(b"\0", 1)
        message = json.loads(text)
        self._note(message.get("method"), message.get("params"))
        return message

    def _note(self, method, parameters):
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.errors.append(str([argument.get("value") for argument in parameters["args"]]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method:
            self._events.append(method)

    def open(self, path):
        """Opens a file and waits until it is loaded."""
        self._events.clear()
        self.call("Page.navigate", url=f"file://{os.path.realpath(path)}")
        end = time.monotonic() + 60
        while "Page.loadEventFired" not in self._events:
            self._next(end)

    def evaluate(self, expression):
        """The value of JavaScript, after its promise where it is one."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def wait(self, expression, seconds=60):
        """Waits until JavaScript is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise TimeoutError(expression)
            time.sleep(0.05)

    def screenshot(self, full=True):
        """A PNG of the window, or of all of the page."""
        return self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)["data"]

    def printed(self):
        """The page as a PDF."""
        return self.call("Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69)["data"]
