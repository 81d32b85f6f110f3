"""What stands between specman and its registry: a front end, client
certificates, proxies, and what the log says of those that don't work."""
import os
import unittest

from lib import artifact, front, secret, tree
from lib.case import Case
from lib.certs import Authority
from lib.faulty import FakeRegistry
from lib.registry import Registry, basic
from lib.stage import closed_port
from lib.wait import until

USER, PASSWORD = "robot$spectro", "s3cret:of-the-registry"
PROXY_USER, PROXY_PASSWORD = "proxyuser", "pr0xy-s3cret"
NAME = "registry.example.test"


class FrontCase(Case):
    """A docker-registry with TLS and htpasswd that holds one release. Its
    certificate is also good for 0.0.0.0 and for a name."""

    @classmethod
    def setUpClass(cls):
        cls.authority = cls.class_authority()
        cls.authority.issue(sans=front.SANS)  # the one that servers take
        cls.registry = Registry(cls.class_folder(), cls.authority, USER,
                                PASSWORD)
        cls.addClassCleanup(cls.registry.stop)
        cls.registry.push("4.5.13", artifact.tgz(tree.release("4.5.13")))
        cls.path = cls.registry.repository().split("/", 1)[1]
        cls.elsewhere = f"{front.ELSEWHERE}:{cls.registry.port}"
        cls.named = {f"{NAME}:443": cls.registry.port}

    def password_file(self):
        path = os.path.join(self.folder(), "password")
        with open(path, "w", encoding="ascii") as file:
            file.write(PASSWORD)
        return path

    def sync(self, host, *flags, env=None, ca=None):
        return self.start(
            "--repository", f"{host}/{self.path}", "--poll-interval", "1h",
            "--registry-retries", "0",
            "--registry-ca", ca or self.authority.ca, "--registry-username",
            USER, "--registry-password-file", self.password_file(), *flags,
            env=env)

    def check_served(self, daemon):
        daemon.wait_log(r"msg=Published\b.* releases=1\b")
        self.check_tree(self.client(daemon), tree.release("4.5.13"))
        self.check_secrets(daemon)

    def check_failed(self, daemon, pattern):
        found = daemon.wait_log(r'msg="Sync failed"')
        self.assertRegex(found["error"], pattern)
        self.check_secrets(daemon)

    def check_secrets(self, daemon):
        for text in (PASSWORD, basic(USER, PASSWORD).split()[1],
                     PROXY_PASSWORD, PROXY_PASSWORD.replace("-", "%2d"),
                     basic(PROXY_USER, PROXY_PASSWORD).split()[1],
                     "PRIVATE KEY"):
            self.assertNotIn(text, daemon.log())


class FrontEnd(FrontCase):
    """nginx before the registry."""

    def nginx(self, **options):
        nginx = front.Nginx(self.folder(), self.registry, self.authority,
                            **options)
        self.addCleanup(nginx.stop)
        return nginx

    def flags(self, pair):
        return ("--registry-cert", pair[0], "--registry-key", pair[1])

    def test_sync_behind_nginx(self):
        nginx = self.nginx()
        self.check_served(self.sync(nginx.host))
        until(lambda: [line for line in nginx.requests()
                       if "/blobs/" in line], "the last request in the log")
        self.assertEqual({line.rpartition(" ")[2]
                          for line in nginx.requests()}, {"HTTP/2.0"})

    def test_client_certificate_for_nginx(self):
        clients = Authority(os.path.join(self.folder(), "clients"), "Clients")
        nginx = self.nginx(client_ca=clients)
        self.check_served(self.sync(nginx.host,
                                    *self.flags(clients.issue("client"))))
        self.check_failed(self.sync(nginx.host),
                          "400 from the registry: it wants a client "
                          "certificate, or another one")
        self.check_failed(
            self.sync(nginx.host, *self.flags(self.authority.issue("other"))),
            "400 from the registry: it wants a client certificate")

    def test_client_certificate_for_docker_registry(self):
        """Here the refusal is TLS's own, after the handshake."""
        clients = Authority(os.path.join(self.folder(), "clients"), "Clients")
        registry = Registry(self.folder(), self.authority, client_ca=clients)
        self.addCleanup(registry.stop)
        registry.push("4.5.13", artifact.tgz(tree.release("4.5.13")))
        keys = {}
        for name, path in zip(("clientCert", "clientKey"),
                              clients.issue("client")):
            with open(path, encoding="ascii") as file:
                keys[name] = file.read()
        mounted = secret.Secret(os.path.join(self.folder(), "secret"),
                                **secret.platform(registry, **keys))
        self.check_served(self.start("--registry-secret-dir", mounted.folder,
                                     "--poll-interval", "1h"))
        self.check_failed(self.sync(registry.host),
                          "it wants a client certificate, or another one")
        self.check_failed(
            self.sync(registry.host,
                      *self.flags(self.authority.issue("other"))),
            "it wants a client certificate, or another one")

    def test_client_certificate_and_a_key_of_another(self):
        cert, _ = self.authority.issue("one")
        _, key = self.authority.issue("two")
        daemon = self.sync(self.registry.host, *self.flags((cert, key)))
        daemon.wait_log("the client certificate and its key don't belong "
                        "together")
        self.check_secrets(daemon)

    def test_certificate_for_another_name(self):
        nginx = self.nginx(sans="DNS:other.example.test,IP:10.0.0.1")
        self.check_failed(self.sync(nginx.host), "the certificate is for: "
                          "other.example.test, 10.0.0.1")

    def test_certificate_that_is_over(self):
        nginx = self.nginx(days=(-30, -1))
        self.check_failed(self.sync(nginx.host), "expired")

    def test_unknown_ca_is_named(self):
        other = Authority(os.path.join(self.folder(), "other"), "Other")
        self.check_failed(self.sync(self.registry.host, ca=other.ca),
                          'its issuer is "CN=Test CA" .is its CA among')

    def test_https_where_http_is_spoken(self):
        fake = FakeRegistry()
        self.addCleanup(fake.stop)
        self.check_failed(self.sync(fake.host), "does it speak plain http")

    def test_nobody_listens(self):
        self.check_failed(self.sync(f"127.0.0.1:{closed_port()}"),
                          "onnect")


class Proxy(FrontCase):
    """tinyproxy between specman and the registry."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.proxy = front.Tinyproxy(cls.class_folder(), PROXY_USER,
                                    PROXY_PASSWORD)
        cls.addClassCleanup(cls.proxy.stop)
        cls.url = (f"http://{PROXY_USER}:"
                   + PROXY_PASSWORD.replace("-", "%2d")
                   + f"@{cls.proxy.host}")

    def requests_of(self, daemon):
        """What the proxy was asked for while a daemon synced."""
        self.check_served(daemon)
        asked = self.proxy.requests()
        seen, self.seen = self.seen, len(asked)
        return set(asked[seen:])

    def setUp(self):
        self.seen = len(self.proxy.requests())

    def test_sync_through_a_proxy(self):
        daemon = self.sync(self.elsewhere, env={"HTTPS_PROXY": self.url})
        self.assertEqual(self.requests_of(daemon),
                         {f"CONNECT {self.elsewhere}"})

    def test_what_is_asked_directly(self):
        port = self.registry.port
        for env in ({"NO_PROXY": front.ELSEWHERE},
                    {"no_proxy": f"example.com,, {self.elsewhere}"},
                    {"NO_PROXY": "0.0.0.0/8"}, {"NO_PROXY": "*"}):
            with self.subTest(env=env):
                env["HTTPS_PROXY"] = self.url
                self.assertEqual(
                    self.requests_of(self.sync(self.elsewhere, env=env)),
                    set())
        with self.subTest("loopback"):
            daemon = self.sync(f"127.0.0.1:{port}",
                               env={"HTTPS_PROXY": self.url})
            self.assertEqual(self.requests_of(daemon), set())
        with self.subTest("the other variable"):
            daemon = self.sync(self.elsewhere, env={
                "HTTP_PROXY": self.url, "ALL_PROXY": self.url,
                "all_proxy": self.url})
            self.assertEqual(self.requests_of(daemon), set())

    def test_names_that_are_no_matter_of_the_proxy(self):
        """Asked directly, the name is looked up here, and is nowhere."""
        for exceptions in (".example.test", "example.test", "x,*.example.test",
                           " Registry.Example.Test:443 "):
            with self.subTest(exceptions):
                daemon = self.sync(NAME, env={"HTTPS_PROXY": self.url,
                                              "NO_PROXY": exceptions})
                self.check_failed(daemon, f"{NAME}: .*esolve")
        for exceptions in (".registry.example.test", "ample.test",
                           "example.test:80"):
            with self.subTest(exceptions):
                daemon = self.sync(NAME, env={"HTTPS_PROXY": self.url,
                                              "NO_PROXY": exceptions})
                self.check_failed(daemon, "the proxy " + self.proxy.host)
        self.assertEqual(set(self.proxy.requests()[self.seen:]),
                         {f"CONNECT {NAME}:443"})

    def test_what_is_no_exception(self):
        daemon = self.sync(self.elsewhere, env={
            "https_proxy": self.url, "HTTPS_PROXY": "",
            "NO_PROXY": "0.0.0.0:1,0.0.0.1,example.com,127.0.0.0/8"})
        self.assertEqual(self.requests_of(daemon),
                         {f"CONNECT {self.elsewhere}"})

    def test_plain_http(self):
        registry = Registry(self.folder())
        self.addCleanup(registry.stop)
        registry.push("4.5.13", artifact.tgz(tree.release("4.5.13")))
        host = f"{front.ELSEWHERE}:{registry.port}"
        daemon = self.start(
            "--repository", f"{host}/{self.path}", "--poll-interval", "1h",
            "--registry-retries", "0",
            "--plain-http", env={"HTTP_PROXY": self.url})
        asked = self.requests_of(daemon)
        self.assertTrue(asked)
        for request in asked:
            self.assertRegex(request, f"^(GET|HEAD) http://{host}/v2/")

    def test_wrong_password(self):
        url = f"http://{PROXY_USER}:not-{PROXY_PASSWORD}@{self.proxy.host}"
        daemon = self.sync(self.elsewhere, env={"HTTPS_PROXY": url})
        self.check_failed(daemon, f"{self.elsewhere}: the proxy "
                          f"{self.proxy.host} refuses the username and "
                          "password")

    def test_no_password(self):
        daemon = self.sync(self.elsewhere,
                           env={"HTTPS_PROXY": self.proxy.host})
        self.check_failed(daemon,
                          f"the proxy {self.proxy.host} wants a login")

    def test_no_password_for_plain_http(self):
        daemon = self.sync(self.elsewhere, "--plain-http",
                           env={"HTTP_PROXY": self.proxy.host})
        self.check_failed(daemon, "407 from .*the proxy wants a login")

    def test_proxy_that_is_down(self):
        host = f"127.0.0.1:{closed_port()}"
        daemon = self.sync(self.elsewhere, env={
            "HTTPS_PROXY": f"http://{PROXY_USER}:{PROXY_PASSWORD}@{host}"})
        self.check_failed(daemon, f"the proxy {host} can't be reached: "
                          "Connection refused")

    def test_proxy_without_an_address(self):
        daemon = self.sync(self.elsewhere, env={
            "HTTPS_PROXY": "http://no-such-proxy.invalid:3128"})
        self.check_failed(daemon, "the proxy no-such-proxy.invalid:3128 "
                          "can't be reached: .*resolve")

    def test_proxy_that_refuses_the_port(self):
        proxy = front.Tinyproxy(self.folder(), only_port=443)
        self.addCleanup(proxy.stop)
        daemon = self.sync(self.elsewhere, env={"HTTPS_PROXY": proxy.host})
        self.check_failed(daemon, f"the proxy {proxy.host} refuses to "
                          "connect: .*403")

    def test_variable_that_is_no_proxy(self):
        daemon = self.sync(self.elsewhere, env={
            "HTTPS_PROXY": f"gopher://{PROXY_USER}:{PROXY_PASSWORD}@proxy"})
        daemon.wait_log("the environment variable HTTPS_PROXY: its scheme")
        self.check_secrets(daemon)


class OtherProxies(FrontCase):
    """What tinyproxy doesn't do, by a proxy in this process."""

    def interceptor(self, **options):
        proxy = front.Interceptor(self.named, **options)
        self.addCleanup(proxy.stop)
        return proxy

    def test_proxy_that_looks_names_up_and_wants_a_login(self):
        """Each byte of the password arrives; nothing of the registry's
        credentials does."""
        proxy = self.interceptor(login="us@er:%41/p:w ö")
        daemon = self.sync(NAME, env={
            "HTTPS_PROXY": f"us%40er:%2541%2fp:w%20%C3%B6@{proxy.host}"})
        self.check_served(daemon)
        proxy.hang_up()
        before = len(proxy.heads)
        daemon.poll_now()
        until(lambda: len(proxy.targets) > before, "a new connection", 30,
              daemon.tail)
        for head in proxy.heads:
            self.assertIn(f"CONNECT {NAME}:443 HTTP/1.1", head)
            self.assertNotRegex(head, "(?i)\nauthorization:")

    def test_proxy_that_opens_tls(self):
        corporate = Authority(os.path.join(self.folder(), "ca"), "Middlebox")
        proxy = self.interceptor(tunnels=corporate)
        env = {"HTTPS_PROXY": proxy.host}
        self.check_failed(
            self.sync(NAME, env=env), f"{NAME} through the proxy {proxy.host}"
            ': .*its issuer is "CN=Middlebox" .a proxy that opens TLS')
        self.check_served(self.sync(NAME, env=env, ca=corporate.ca))

    def test_proxy_with_tls(self):
        proxy = self.interceptor(authority=self.authority)
        env = {"HTTPS_PROXY": "https://" + proxy.host}
        self.check_served(self.sync(NAME, env=env))
        self.assertEqual(set(proxy.targets), {NAME + ":443"})

    def test_proxy_with_tls_that_is_not_trusted(self):
        """--registry-insecure is for the registry alone."""
        other = Authority(os.path.join(self.folder(), "ca"), "Other")
        other.issue(sans=front.SANS)
        proxy = self.interceptor(authority=other)
        env = {"HTTPS_PROXY": "https://" + proxy.host}
        self.check_failed(
            self.sync(NAME, "--registry-insecure", env=env),
            f'{NAME} at the proxy {proxy.host}: .*its issuer is "CN=Other"')
        self.assertEqual(proxy.targets, [])

    def test_client_certificate_goes_through_a_proxy(self):
        clients = Authority(os.path.join(self.folder(), "clients"), "Clients")
        nginx = front.Nginx(self.folder(), self.registry, self.authority,
                            client_ca=clients)
        self.addCleanup(nginx.stop)
        proxy = front.Interceptor({f"{NAME}:443": nginx.port},
                                  authority=self.authority)
        self.addCleanup(proxy.stop)
        cert, key = clients.issue("client")
        self.check_served(self.sync(
            NAME, "--registry-cert", cert, "--registry-key", key,
            env={"HTTPS_PROXY": "https://" + proxy.host}))

    def test_proxy_that_does_not_know_the_host(self):
        proxy = self.interceptor()
        self.check_failed(self.sync("other.example.test",
                                    env={"HTTPS_PROXY": proxy.host}),
                          f"the proxy {proxy.host} refuses to connect: .*502")

    def test_socks(self):
        proxy = front.Socks5(self.named, PROXY_USER, PROXY_PASSWORD)
        self.addCleanup(proxy.stop)
        for scheme in "socks5", "socks5h":
            self.check_served(self.sync(NAME, env={
                "HTTPS_PROXY": f"{scheme}://{PROXY_USER}:{PROXY_PASSWORD}"
                               f"@{proxy.host}"}))
        self.assertEqual(set(proxy.targets), {NAME + ":443"})
        self.check_failed(self.sync(NAME, env={
            "HTTPS_PROXY": f"socks5://{PROXY_USER}:not-{PROXY_PASSWORD}"
                           f"@{proxy.host}"}),
            f"the proxy {proxy.host} refuses the username and password")

    def test_each_place_has_its_own_proxy(self):
        """A blob that is redirected to where no proxy is wanted."""
        layer = artifact.tgz(tree.release("4.5.13"))
        fake = FakeRegistry(self.authority, host=NAME)
        store = FakeRegistry(self.authority)
        for server in fake, store:
            self.addCleanup(server.stop)
            server.push("4.5.13", layer)
        fake.on("GET", "/blobs/", lambda request: request.reply(
            307, headers={"Location": store.url + request.path}))
        proxy = front.Interceptor({fake.host: fake.port})
        self.addCleanup(proxy.stop)
        self.check_served(self.sync(fake.host,
                                    env={"HTTPS_PROXY": proxy.host}))
        self.assertEqual(set(proxy.targets), {fake.host})
        self.assertTrue(store.seen("GET", "/blobs/"))


if __name__ == "__main__":
    unittest.main()
