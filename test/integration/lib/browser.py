"""A headless Chromium, driven by its DevTools protocol over a pair of pipes
(--remote-debugging-pipe): JSON texts that end with a NUL byte."""
import base64
import json
import os
import select
import shutil
import tempfile
import time

from . import proc
from .wait import patience

_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
          "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync",
          "--disable-dev-shm-usage", "--hide-scrollbars",
          "--remote-debugging-pipe", "about:blank"]


class Browser:
    """Starts at once; stop() ends it."""

    def __init__(self):
        self._profile = tempfile.mkdtemp(prefix="specman-chromium-")
        self._log = os.path.join(self._profile, "stderr.log")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        for fd in (theirs_in, theirs_out):
            os.set_inheritable(fd, True)
        # The protocol's descriptors are 3 and 4.
        with open(self._log, "wb") as log:
            self._process = proc.spawn(
                ["bash", "-c", f"exec 210<&{theirs_in} 211>&{theirs_out} "
                 '3<&210 4>&211 210<&- 211>&- chromium "$@"', "bash",
                 f"--user-data-dir={self._profile}", *_FLAGS],
                pass_fds=(theirs_in, theirs_out),
                stdout=log, stderr=log)
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer = b""
        self._number = 0
        self.events = []

    def stop(self):
        proc.end(self._process)
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _receive(self, deadline):
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise AssertionError("Chromium does not answer: "
                                     + self._said())
            data = os.read(self._in, 1 << 20)
            if not data:
                raise AssertionError("Chromium has ended: " + self._said())
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def _said(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return f"{self._process.poll()}\n{file.read()[-3000:]}"

    def call(self, method, session=None, seconds=60, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        try:
            os.write(self._out, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise AssertionError("Chromium is gone: " + self._said()) from None
        deadline = time.monotonic() + patience(seconds)
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_event(self, method, session, seconds=60):
        deadline = time.monotonic() + patience(seconds)
        while True:
            for event in self.events:
                if event.get("method") == method and \
                        event.get("sessionId") == session:
                    self.events.remove(event)
                    return event["params"]
            self.events.append(self._receive(deadline))

    def page(self, width=1280, height=900, dark=False):
        return Page(self, width, height, dark)


class Page:
    """A tab of a width."""

    def __init__(self, browser, width, height, dark):
        self.browser = browser
        self.width, self.height = width, height
        target = browser.call("Target.createTarget", url="about:blank")
        self._target = target["targetId"]
        self._session = browser.call("Target.attachToTarget", flatten=True,
                                     targetId=self._target)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme",
             "value": "dark" if dark else "light"}])

    def call(self, method, **parameters):
        return self.browser.call(method, self._session, **parameters)

    def open(self, url):
        self.browser.events.clear()
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise AssertionError(f"{url}: {answer['errorText']}")
        self.browser.wait_event("Page.loadEventFired", self._session)

    def requests(self):
        """The addresses that were asked for since open()."""
        return [e["params"]["request"]["url"] for e in self.browser.events
                if e.get("method") == "Network.requestWillBeSent"]

    def complaints(self):
        """What the console says since open(): errors, refused resources."""
        return [e["params"]["entry"]["text"] for e in self.browser.events
                if e.get("method") == "Log.entryAdded"]

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression,
                           returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self, path):
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": self.width,
                               "height": max(size["height"], 1), "scale": 1})
        with open(path, "wb") as file:
            file.write(base64.b64decode(data["data"]))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self._target)
