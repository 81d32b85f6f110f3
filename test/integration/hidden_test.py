"""The net under all tests: a program that writes a secret, however it was given
and wherever it writes, fails the file whose tests have run it."""
import os
import sys
import textwrap
import unittest

from lib.case import Case

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.dirname(HERE))

import run as runner  # noqa: E402, test/run.py

SECRET = "a-secret-made-up-for-this"
HEAD = f'''
import base64, json, os, tempfile, unittest
from lib import hidden, proc
from lib.client import plain
from lib.daemon import Specman, call, environment, program

S = "{SECRET}"
LEAK = {{"LEAK": S}}

def file(text, name="file"):
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "w") as out:
        out.write(text)
    return path

class Leak(unittest.TestCase):
    def test(self):
'''
PROGRAM = "#!/bin/sh\nprintf 'say: %s\\n' \"$LEAK\" >&2\n"
DOCKER = ('file(json.dumps({"auths": {"h": {"auth": base64.b64encode('
          '("u:" + S).encode()).decode()}}}), "config.json")')

# What a test does with a secret that the program writes to its standard error.
LEAKS = {
    "password_file": 'call("--registry-password-file", file(S + "\\n"), env=LEAK)',
    "password_file_with_an_equals_sign":
        'call("--registry-password-file=" + file(S), env=LEAK)',
    "password_file_by_environment":
        'call(env={**LEAK, "SPECMAN_REGISTRY_PASSWORD_FILE": file(S)})',
    "password_by_environment":
        'call(env={**LEAK, "SPECMAN_REGISTRY_PASSWORD": S})',
    "aws_by_environment": 'call(env={**LEAK, "AWS_SECRET_ACCESS_KEY": S})',
    "proxy": 'call(env={**LEAK, "HTTPS_PROXY": f"http://u:{S}@h:1"})',
    "secret": 'call("--registry-secret-dir", os.path.dirname(file(S, '
              '"SESSION_TOKEN")), env=LEAK)',
    "docker_config": f'call("--registry-config", {DOCKER}, env=LEAK)',
    "docker_config_by_environment":
        f'call(env={{**LEAK, "DOCKER_CONFIG": os.path.dirname({DOCKER})}})',
    "htpasswd": 'call("--htpasswd", file("u:" + S), env=LEAK)',
    "key": 'k = "k" * 64; call("--tls-key", file(f"-----BEGIN\\n{k}\\n"), '
           'env={"LEAK": k})',
    "told": 'hidden.hide(S); call(env=LEAK)',
    "told_afterwards": 'call(env=LEAK); hidden.hide(S)',
    "watched": 'seen = set(); hidden.watch(seen); call(env=LEAK); seen.add(S)',
    "run": 'hidden.hide(S); proc.run([program()], env=environment(LEAK))',
    "behind_a_wrapper":
        'hidden.hide(S); proc.run(["env", program()], env=environment(LEAK))',
    "communicate": 'hidden.hide(S); proc.spawn([program()], stderr=-1, '
                   'env=environment(LEAK)).communicate()',
    "file_that_nobody_reads":
        'hidden.hide(S); log = open(file(""), "wb"); proc.spawn([program()], '
        'stderr=log, env=environment(LEAK)).wait()',
    "log_of_a_daemon": 'hidden.hide(S); log = file(""); Specman(data="/", '
                       'log=log, env=LEAK).wait(); os.unlink(log)',
    "the_test_itself": 'hidden.hide(S); print(S)',
}
FINE = {
    "another_word": 'hidden.hide(S); call(env={"LEAK": S[1:]})',
    "no_secret": 'call(env=LEAK)',
}


class Net(Case):
    def outcome(self, body):
        folder = self.folder()
        os.symlink(os.path.join(HERE, "lib"), os.path.join(folder, "lib"))
        specman = os.path.join(folder, "specman")
        with open(specman, "w", encoding="ascii") as file:
            file.write(PROGRAM)
        os.chmod(specman, 0o755)
        path = os.path.join(folder, "leak_test.py")
        with open(path, "w", encoding="ascii") as file:
            file.write(HEAD + textwrap.indent(body, " " * 8) + "\n")
        return runner.run_file(path, [], {
            **os.environ, "SPECMAN": specman, "TMPDIR": self.folder()}, 1)

    def check_leak(self, body):
        outcome = self.outcome(body)
        self.assertGreater(outcome.failed, 0, outcome.output)
        self.assertRegex(outcome.note + outcome.output,
                         "secrets .* stand in|a secret of its own",
                         outcome.output)
        self.assertNotRegex(outcome.output, "ImportError|SyntaxError|NameError")

    def check_fine(self, body):
        outcome = self.outcome(body)
        self.assertEqual((outcome.passed, outcome.failed, outcome.note),
                         (1, 0, ""), outcome.output)


for _name, _body in LEAKS.items():
    setattr(Net, "test_leak_" + _name,
            lambda self, body=_body: self.check_leak(body))
for _name, _body in FINE.items():
    setattr(Net, "test_fine_" + _name,
            lambda self, body=_body: self.check_fine(body))


if __name__ == "__main__":
    unittest.main()
