"""A stub of the platform's console, as far as deploy/scar-endpoint.sh calls it.

As a program for the bats tests: scar.py FOLDER. It writes ca.pem, other-ca.pem
and url into FOLDER, does what the file `mode` says ("CALL=STATUS", "CALL=hang", "CALL=body:JSON", or
"CALL=then CALL=…": a failure, and from then on another line; ` once` behind it is
for one call), keeps the setting in setting.json, and
appends each call to calls and each place where the password is to be seen to
leaks.
"""
import glob
import json
import os
import signal
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, TOKEN = "admin", "eyJhbGciOi.J9.session-token_of-the=test"
SETTING = "/v1/system/config/scar"
JOBS = ["/v1/jobs/internal/syncCloudInstanceTypesData/run",
        "/v1/jobs/internal/syncCloudStorageTypesData/run"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.owner.answer(self)

    do_PUT = do_POST = do_GET

    def log_message(self, *arguments):
        pass

    def reply(self, status, value=None):
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients hang up on certificates that they don't trust


class Console:
    def __init__(self, folder, authority, password, setting):
        self.folder, self.password = folder, password
        self.stopping = threading.Event()
        self._write("setting.json", json.dumps(setting))
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.owner = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue())
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True,
            do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def stop(self):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def setting(self):
        with open(self._path("setting.json"), encoding="utf-8") as file:
            return json.load(file)

    def calls(self):
        with open(self._path("calls"), encoding="utf-8") as file:
            return file.read().splitlines()

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _write(self, name, text, mode="w"):
        with open(self._path(name), mode, encoding="utf-8") as file:
            file.write(text)

    def _wish(self, call):
        """What the file `mode` wants of this call."""
        if not os.path.exists(self._path("mode")):
            return None
        with open(self._path("mode"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        for line in lines:
            name, _, wish = line.partition("=")
            if name == call:
                if wish.endswith(" once"):
                    lines.remove(line)
                    self._write("mode", "\n".join(lines))
                return wish.removesuffix(" once")
        return None

    def _look_for_leaks(self, call, body):
        """Who lists the processes while the script waits for us? What curl has
        in its environment is to be seen there as well."""
        texts = {self.password, TOKEN, self.setting["password"]}
        if body:
            texts.add(json.loads(body)["password"])
        secrets = {form.encode() for text in texts if text for form in (
            text, json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1])}
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    seen = file.read()
                if seen.startswith(b"curl"):
                    with open(path[:-7] + "environ", "rb") as file:
                        seen += file.read()
            except OSError:
                continue
            if any(secret in seen for secret in secrets):
                self._write("leaks", f"{call}: {path}: {seen!r}\n", "a")
        self._write("looked", f"{call}\n", "a")

    def answer(self, request):
        call = f"{request.command} {request.path}"
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        self._look_for_leaks(call, body)
        self._write("calls", call + "\n", "a")
        wish = self._wish(call)
        if wish == "hang":
            self.stopping.wait(60)
            request.close_connection = True
        elif wish and wish.startswith("then "):
            self._write("mode", wish[5:] + "\n")
            request.reply(400, {"code": "Wished", "message": "as wished"})
        elif wish and wish.startswith("body:"):
            request.reply(200, json.loads(wish[5:]))
        elif wish:
            request.reply(int(wish), {"code": "Wished", "message": "as wished"})
        elif call == "POST /v1/auth/syslogin":
            self._login(request, json.loads(body))
        elif request.headers.get("Cookie") != "Authorization=" + TOKEN:
            request.reply(401, {"code": "InvalidSession", "message": "log in"})
        else:
            self._do(request, call, body)

    def _login(self, request, said):
        if said == {"username": USER, "password": self.password}:
            request.reply(200, {"Authorization": TOKEN, "isPasswordReset": False})
        else:
            request.reply(401, {"code": "InvalidCredentials",
                                "message": "user or password is wrong"})

    def _do(self, request, call, body):
        if call == "GET " + SETTING:
            request.reply(200, self.setting)
        elif call == "PUT " + SETTING:
            wanted = json.loads(body)
            assert set(wanted) == {"endpoint", "username", "password"}, wanted
            self._write("setting.json", json.dumps(wanted))
            request.reply(204)
        elif call in ["GET " + path for path in [SETTING + "/validate", *JOBS]]:
            request.reply(204)
        else:
            request.reply(404, {"code": "NotFound", "message": call})


def main():
    sys.path.insert(0, os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))
    from lib.certs import Authority
    folder = sys.argv[1]
    authority = Authority(os.path.join(folder, "ca"))
    Authority(os.path.join(folder, "other-ca"), "Another CA")
    console = Console(folder, authority, os.environ.pop("STUB_PASSWORD"), {
        "endpoint": "https://nginx.example.com:9443", "username": "old",
        "password": "pass of old"})
    # It stands for the endpoint, too: its root is 401 without a session.
    with open(os.path.join(folder, "url.part"), "w", encoding="ascii") as file:
        file.write(console.url)
    os.rename(os.path.join(folder, "url.part"), os.path.join(folder, "url"))
    signal.pause()


if __name__ == "__main__":
    main()
