"""A certificate authority for one test file, made by openssl."""
import os

from . import proc

_SANS = "DNS:localhost,IP:127.0.0.1,IP:::1"


class Authority:
    def __init__(self, folder, name="Test CA"):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.ca = os.path.join(folder, "ca.pem")
        self._key = os.path.join(folder, "ca.key")
        proc.run(["openssl", "req", "-x509", *_new_key("ec"),
                  "-keyout", self._key, "-out", self.ca, "-days", "30",
                  "-subj", f"/CN={name}",
                  "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def issue(self, name="server", sans=_SANS, algorithm="ec",
              days=30):
        """Returns the paths of a certificate and its key."""
        base = os.path.join(self.folder, name)
        cert, key, request, ext = (base + end for end in
                                   (".pem", ".key", ".csr", ".ext"))
        if os.path.exists(cert):
            return cert, key
        proc.run(["openssl", "req", *_new_key(algorithm), "-keyout", key,
                  "-out", request, "-subj", f"/CN={name}"])
        with open(ext, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={sans}\n"
                       "basicConstraints=CA:FALSE\n"
                       "keyUsage=critical,digitalSignature\n"
                       "extendedKeyUsage=serverAuth,clientAuth\n")
        proc.run(["openssl", "x509", "-req", "-in", request, "-CA", self.ca,
                  "-CAkey", self._key, "-CAcreateserial", "-days", str(days),
                  "-extfile", ext, "-out", cert])
        return cert, key


def _new_key(algorithm):
    if algorithm == "rsa":
        return ["-newkey", "rsa:2048", "-nodes"]
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
