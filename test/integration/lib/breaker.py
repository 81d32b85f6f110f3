"""A wire that breaks: relays bytes to a port of loopback, and cuts connections."""
import socket
import threading


class Breaker:
    """`cuts` holds, for one connection after the other that carries that much, how
    many bytes of the client's pass before both sides are cut."""

    def __init__(self, port, cuts):
        self.cuts = list(cuts)
        self.done = 0  # cuts so far
        self._port = port
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self):
        while True:
            try:
                near = self._server.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            for one, other, up in (near, far, True), (far, near, False):
                threading.Thread(target=self._relay, args=(one, other, up),
                                 daemon=True).start()

    def _relay(self, source, sink, is_up):
        passed = 0
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
                passed += len(data)
                if is_up and self._is_due(passed):
                    break
        except OSError:
            pass
        for end in source, sink:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _is_due(self, passed):
        with self._lock:
            if not self.cuts or passed < self.cuts[0]:
                return False
            self.cuts.pop(0)
            self.done += 1
            return True
