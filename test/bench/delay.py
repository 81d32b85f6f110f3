"""A link that takes its time: a TCP relay whose answers arrive later.

Bytes go to the server at once and come back after a delay, each block for
itself: connections, and requests within one, don't wait for each other. What
passes is counted, not changed.
"""
import asyncio
import re
import threading
import time

_REQUEST = re.compile(rb"([A-Z]+) (/\S*) HTTP/1\.1\r\n")
_BLOCK = 1 << 16


class Link:
    """Relays from a port of its own to a server on loopback."""

    def __init__(self, port, seconds):
        self.seconds = seconds
        self.requests = []  # (method, path)
        self.sent = self.received = self.connections = 0
        self.cpu_seconds = 0.0
        self._server_port = port
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._relay, "127.0.0.1", 0, backlog=128))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def reset(self):
        """Counts anew. Only while nothing passes."""
        self.requests.clear()
        self.sent = self.received = self.connections = 0
        self._started = self._clock()

    def cpu(self):
        """Seconds that the relay itself has computed since reset()."""
        return self._clock() - self._started

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _clock(self):
        clock = time.pthread_getcpuclockid(self._thread.ident)
        return time.clock_gettime(clock)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _relay(self, reader, writer):
        self.connections += 1
        server_reader, server_writer = await asyncio.open_connection(
            "127.0.0.1", self._server_port)
        await asyncio.gather(self._there(reader, server_writer),
                             self._back(server_reader, writer))

    async def _there(self, reader, writer):
        """Requests, which have no body here: a poll only asks."""
        rest = b""
        while block := await reader.read(_BLOCK):
            self.sent += len(block)
            writer.write(block)
            rest += block
            end = 0
            for found in _REQUEST.finditer(rest):
                self.requests.append((found[1].decode(), found[2].decode()))
                end = found.end()
            rest = rest[end:][-8192:]
        writer.close()

    async def _back(self, reader, writer):
        while block := await reader.read(_BLOCK):
            self.received += len(block)
            self._loop.call_later(self.seconds, writer.write, block)
        self._loop.call_later(self.seconds, writer.close)
