"""A certificate authority for one test file, made by openssl."""
import os
import time

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

    def issue(self, name="server", sans=_SANS, algorithm="ec", days=(0, 30),
              purpose="serverAuth,clientAuth", is_ca=False):
        """Returns the paths of a certificate and its key, good from and to
        these days from now."""
        base = os.path.join(self.folder, name)
        cert, key, request, ext = (base + end for end in
                                   (".pem", ".key", ".csr", ".ext"))
        if os.path.exists(cert):
            return cert, key
        proc.run(["openssl", "req", *_new_key(algorithm), "-keyout", key,
                  "-out", request, "-subj", f"/CN={name}"])
        with open(ext, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={sans}\n"
                       f"basicConstraints=CA:{str(is_ca).upper()}\n"
                       "keyUsage=critical,digitalSignature"
                       f"{',keyCertSign' if is_ca else ''}\n"
                       f"extendedKeyUsage={purpose}\n")
        self._sign(request, ext, cert, days)
        return cert, key

    def _sign(self, request, ext, cert, days):
        """By `openssl ca`: no other command of OpenSSL 3.0 takes dates."""
        database = os.path.join(self.folder, "index.txt")
        config = os.path.join(self.folder, "ca.cnf")
        with open(database, "w", encoding="ascii"):
            pass
        with open(config, "w", encoding="ascii") as file:
            file.write("[ca]\ndefault_ca=own\n[own]\ndefault_md=sha256\n"
                       f"database={database}\nnew_certs_dir={self.folder}\n"
                       "rand_serial=yes\npolicy=any\n[any]\ncommonName=supplied\n")
        first, last = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(
            time.time() + day * 86400 - 60)) for day in days)
        proc.run(["openssl", "ca", "-batch", "-notext",
                  "-config", config, "-cert", self.ca, "-keyfile", self._key,
                  "-in", request, "-extfile", ext, "-startdate", first,
                  "-enddate", last, "-out", cert])


def _new_key(algorithm):
    if algorithm == "rsa":
        return ["-newkey", "rsa:2048", "-nodes"]
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
