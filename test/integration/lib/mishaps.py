"""What operators meet, made to happen: the table CAUSES of check_test. A row is
a function that sets the stage and returns how to run `specman check`."""
import json
import os
import socket
import ssl
import time

from . import artifact, signing
from .faulty import error
from .registry import PATH
from .stage import (AWS_SECRET, LAYER, PASSWORD, USER, Run, closed_port,
                    in_mounts, on_a_bad_disk, proxy, without_privileges)

CAUSES = []  # (name, cause, verdict, what the error says, set_up)
# Only a round that would publish can tell these; overlay_test, policy_test and status_test see
# to it.
TOLD_BY_ROUNDS = {"rollback", "release-unfit"}
# To have kinds of keys that are not approved needs FIPS mode; test/fips/fips_test.py sees to it.
TOLD_BY_FIPS = {"key-not-approved"}


def cause(name, verdict="FAIL", title=None, says=""):
    def add(set_up):
        CAUSES.append((title or set_up.__name__, name, verdict, says, set_up))
        return set_up
    return add


# ---- the way there ----

@cause("host-unknown")
def wrong_host(stage):
    hosts = stage.file("hosts: files\n")
    return Run("--repository", "no-such-host.invalid/" + PATH, *stage.data(),
               wrapper=in_mounts('mount --bind "$1" /etc/nsswitch.conf',
                                 hosts))


@cause("connection-refused")
def wrong_port(stage):
    return Run("--repository", f"127.0.0.1:{closed_port()}/{PATH}",
               *stage.data())


@cause("host-unreachable")
def no_route(stage):
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return Run("--repository", "192.0.2.1/" + PATH, *stage.data(),
               wrapper=["unshare", *user, "--net"])


@cause("connect-timeout")
def firewall_that_swallows(stage):
    """A queue that is full: the kernel drops the next packets to it."""
    server = socket.create_server(("127.0.0.1", 0), backlog=0)
    stage.case.addClassCleanup(server.close)
    for _ in range(4):
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex(server.getsockname())
        stage.case.addClassCleanup(waiting.close)
    return Run("--repository", f"127.0.0.1:{server.getsockname()[1]}/{PATH}",
               *stage.data())


@cause("broken-off")
def connection_that_ends_in_the_middle(stage):
    return stage.hooked("GET", "/tags/list", lambda r: r.hang_up())


@cause("connection-stalled")
def silence_after_the_connection(stage):
    return stage.hooked("GET", "/tags/list", lambda r: r.wait_closed(),
                        "--registry-idle-timeout", "3s")


@cause("proxy-unreachable")
def proxy_that_is_not_there(stage):
    return stage.through(f"http://127.0.0.1:{closed_port()}")


@cause("proxy-login")
def proxy_that_wants_a_login(stage):
    return stage.through(proxy(
        stage, b"HTTP/1.1 407 Proxy Authentication Required\r\n"
        b"Proxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 0"))


@cause("proxy-refused")
def proxy_that_forbids(stage):
    return stage.through(proxy(
        stage, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0"))


# ---- TLS ----

@cause("tls-untrusted-ca")
def untrusted_ca(stage):
    return Run("--repository", stage.registry.repository(), *stage.data())


@cause("tls-intercepted", says=r"through the proxy 127\.0\.0\.1:\d+: .*issuer")
def proxy_that_rewrites_the_certificate(stage):
    cert = stage.other_ca.issue("rewritten", "DNS:registry.invalid")
    return stage.through(proxy(stage, b"HTTP/1.1 200 OK", stage.tls(*cert)))


@cause("tls-expired")
def expired_certificate(stage):
    return stage.shows(*stage.authority.issue("expired", days=(-30, -1)))


@cause("tls-not-yet-valid")
def certificate_of_the_future(stage):
    return stage.shows(*stage.authority.issue("future", days=(2, 30)))


@cause("tls-wrong-name")
def certificate_for_another_name(stage):
    return stage.shows(*stage.authority.issue(
        "other", sans="DNS:other.example.com"))


@cause("tls-plain-http")
def http_spoken_at_the_port(stage):
    return Run("--repository", stage.fake(authority=None).repository(),
               *stage.data())


@cause("tls-client-certificate")
def client_certificate_wanted(stage):
    context = stage.tls()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(stage.authority.ca)
    fake = stage.fake(tls=context)
    return Run("--repository", fake.repository(), "--registry-ca",
               stage.authority.ca, *stage.data())


@cause("tls-handshake")
def only_old_versions_of_tls(stage):
    context = stage.tls()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    fake = stage.fake(tls=context)
    return Run("--repository", fake.repository(), "--registry-ca",
               stage.authority.ca, *stage.data())


# ---- who asks, and what for ----

@cause("credentials-missing")
def no_credentials(stage):
    return Run("--repository", stage.registry.repository(), "--registry-ca",
               stage.authority.ca, *stage.data())


@cause("login-refused", says="401 .*check username and password")
def wrong_password(stage):
    return stage.real(password="not-the-right-one")


@cause("token-powerless", says="401 ")
def token_without_power(stage):
    fake = stage.fake(user=USER, password=PASSWORD)

    def challenge(request):
        return request.reply(401, error("UNAUTHORIZED", "no"), {
            "WWW-Authenticate": f'Bearer realm="{fake.url}/token",'
            f'service="harbor-registry",scope="repository:{PATH}:pull"'})
    fake.on("GET", "^/token", lambda r: r.reply(200, {"token": "powerless"}))
    fake.on("GET", "^/v2/", challenge)
    return Run("--repository", fake.repository(), "--registry-ca",
               stage.authority.ca, "--registry-username", USER,
               "--registry-password-file", stage.file("wrong"), *stage.data())


@cause("no-pull-right", says="403 .*DENIED: requested access")
def no_pull_right(stage):
    return stage.answers(403, error("DENIED", "requested access is denied"))


@cause("policy-forbids", says="412 .*PROJECTPOLICYVIOLATION")
def policy_of_harbor(stage):
    return stage.answers(
        412, error("PROJECTPOLICYVIOLATION", "current image without scanning"),
        pattern="/manifests/sha256:")


@cause("token-server-refused")
def token_server_without_tls(stage):
    return stage.answers(401, error("UNAUTHORIZED", "no"), {
        "WWW-Authenticate": 'Bearer realm="http://token.invalid/",service="r"'
    })


@cause("no-token-server", says="404 from token server .*no token server at this")
def token_server_that_is_a_page(stage):
    fake = stage.fake()
    fake.on("GET", "^/token", lambda r: r.reply(404, b"<html>nothing</html>"))
    fake.on("GET", "^/v2/", lambda r: r.reply(
        401, error("UNAUTHORIZED", "no"), {
            "WWW-Authenticate": f'Bearer realm="{fake.url}/token"'}))
    return Run("--repository", fake.repository(), "--registry-ca",
               stage.authority.ca, *stage.data())


@cause("redirect-refused")
def redirects_in_a_circle(stage):
    return stage.hooked("GET", "/tags/list", lambda request: request.reply(
        307, b"", {"Location": request.path}))


@cause("repository-unknown", says="404 .*NAME_UNKNOWN")
def unknown_repository(stage):
    return stage.real(path="no/such/repository")


@cause("not-a-registry")
def a_page_for_people(stage):
    return stage.answers(200, b"<!DOCTYPE html><html>Welcome</html>",
                         {"Content-Type": "text/html"})


@cause("content-gone")
def blob_that_is_gone(stage):
    return stage.answers(404, error("BLOB_UNKNOWN", "gone"),
                         pattern="/blobs/")


@cause("content-gone", title="manifest_that_is_gone")
def manifest_gone(stage):
    return stage.answers(404, error("MANIFEST_UNKNOWN", "gone"),
                         pattern="/manifests/sha256:")


@cause("rate-limited")
def too_many_requests(stage):
    return stage.answers(429, error("TOOMANYREQUESTS", "slow down"))


@cause("server-failed")
def server_that_fails(stage):
    return stage.answers(503, b"")


@cause("credential-helper")
def credentials_left_to_a_helper(stage):
    fake = stage.fake()
    config = stage.file(json.dumps({"credHelpers": {fake.host: "ecr-login"}}))
    return Run("--repository", fake.repository(), "--registry-ca",
               stage.authority.ca, "--registry-config", config, *stage.data())


@cause("digest-mismatch")
def content_that_was_changed(stage):
    return stage.answers(200, bytes(len(LAYER)), pattern="/blobs/")


@cause("repository-empty")
def empty_repository(stage):
    stage.registry.delete(stage.registry.push("1.0.0", LAYER, "empty"),
                          "empty")
    return stage.real(path="empty")


@cause("mirror-differs", "warn")
def mirror_that_lags(stage):
    first, mirror = stage.fake(), stage.fake()
    mirror.push("4.5.13", artifact.tgz({"older": b""}))
    return Run("--repository", first.repository(), "--repository-mirror",
               mirror.repository(), "--registry-ca", stage.authority.ca,
               *stage.data())


@cause("connection-refused", title="mirror_that_is_not_there")
def dead_mirror(stage):
    return Run(*stage.plain(), *stage.data(), "--repository-mirror",
               f"127.0.0.1:{closed_port()}/{PATH}")


@cause("layout-bad")
def folder_that_is_no_layout(stage):
    return Run("--repository", "oci-layout:" + stage.folder(), *stage.data())


@cause("registry-not-verified", "warn")
def certificate_not_checked(stage):
    return Run("--repository", stage.fake().repository(), *stage.data(),
               "--registry-insecure")


@cause("registry-not-encrypted", "warn")
def plain_http_wished(stage):
    return Run("--repository", stage.fake(authority=None).repository(),
               *stage.data(), "--plain-http")


# ---- ECR ----

@cause("aws-right-missing", says="the right ecr:GetAuthorizationToken is missing")
def right_missing_in_aws(stage):
    return stage.amazon(400, "AccessDeniedException", (
        "User: arn:aws:iam::123456789012:user/u is not authorized to perform: "
        "ecr:GetAuthorizationToken on resource: * because no identity-based "
        "policy allows the ecr:GetAuthorizationToken action"))


@cause("aws-key-unknown")
def key_unknown_to_aws(stage):
    return stage.amazon(400, "UnrecognizedClientException", "The security "
                        "token included in the request is invalid.")


@cause("aws-secret-wrong")
def wrong_secret_key_for_aws(stage):
    return stage.amazon(400, "InvalidSignatureException", (
        "The request signature we calculated does not match the signature you "
        "provided. Check your AWS Secret Access Key and signing method."))


@cause("aws-clock", says="clock is 20 minutes behind that of AWS")
def clock_that_aws_refuses(stage):
    return stage.amazon(400, "InvalidSignatureException", (
        "Signature expired: 20261124T035500Z is now earlier than "
        "20261124T041500Z (20261124T042000Z - 5 min.)"), ahead_s=20 * 60)


@cause("aws-right-missing", title="right_to_pull_missing_in_aws",
       says="the right ecr:BatchGetImage is missing")
def right_missing_to_pull(stage):
    return stage.answers(403, error("DENIED", (
        "User: arn:aws:iam::123456789012:user/u is not authorized to perform: "
        "ecr:BatchGetImage on resource: arn:aws:ecr:us-east-1:123456789012:"
        "repository/a because no identity-based policy allows the "
        "ecr:BatchGetImage action")), pattern="/manifests/sha256:")


@cause("aws-expired")
def expired_credentials_of_aws(stage):
    return stage.amazon(400, "ExpiredTokenException", "The security token "
                        "included in the request is expired")


@cause("aws-role-refused", says="role arn:aws:iam::123456789012:role/r")
def role_that_is_refused(stage):
    fake = stage.fake(authority=None)

    def answer(request):
        request.rfile.read(int(request.headers["Content-Length"] or 0))
        return request.reply(403, (
            b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            b"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>"
            b"User: arn:aws:iam::123456789012:user/u is not authorized to "
            b"perform: sts:AssumeRole on resource: "
            b"arn:aws:iam::123456789012:role/r</Message></Error>"
            b"</ErrorResponse>"), {"Content-Type": "text/xml"})
    fake.on("POST", "^/$", answer)
    return stage.ecr(
        region="us-east-1", credentialType="sts", accessKey="AKIAEXAMPLE",
        secretKey=AWS_SECRET, arn="arn:aws:iam::123456789012:role/r",
        env={"AWS_ENDPOINT_URL_STS": fake.url})


@cause("aws-no-credentials")
def no_credentials_for_aws(stage):
    return stage.ecr(region="us-east-1", credentialType="pod-identity")


@cause("aws-region")
def no_region_for_aws(stage):
    return stage.ecr(credentialType="secret", accessKey="AKIAEXAMPLE",
                     secretKey=AWS_SECRET)


# ---- configuration and secret ----

@cause("no-repository")
def nobody_names_a_repository(stage):
    return Run(*stage.data())


@cause("file-unreadable")
def file_that_is_not_there(stage):
    return Run(*stage.plain()[:2], "--registry-ca", "/nonexistent/ca.pem",
               *stage.data())


@cause("secret-unreadable")
def secret_that_may_not_be_read(stage):
    folder = stage.folder()
    os.mkdir(os.path.join(folder, "secret"), 0)
    return Run(*stage.plain(), "--data-dir", folder,
               "--registry-secret-dir", os.path.join(folder, "secret"),
               wrapper=without_privileges())


@cause("secret-value")
def secret_with_a_bad_value(stage):
    return stage.mounted(endpoint=stage.registry.host, baseContentPath="a",
                         caCert="neither this nor that")


@cause("secret-value", title="secret_with_a_login_in_its_endpoint",
       says="no user or password can stand before its host")
def login_in_the_endpoint(stage):
    return stage.mounted(endpoint=f"https://{USER}:{PASSWORD}@h",
                         baseContentPath="a")


@cause("secret-value", title="secret_with_a_login_in_a_mirror",
       says="mirrorRegistries has .* which is not src::dest")
def login_in_a_mirror(stage):
    return stage.mounted(*stage.plain(),
                         mirrorRegistries=f"{USER}:{PASSWORD}@mirror/a")


@cause("secret-key-unknown", "warn")
def secret_with_an_unknown_key(stage):
    return stage.mounted(*stage.plain(), usrname="x")


@cause("secret-subpath", "warn", says="with a space/password is a mount")
def secret_mounted_by_subpath(stage):
    whole = stage.secret(username=USER, password=PASSWORD).folder
    folder = os.path.join(stage.folder(), "with a space")
    os.mkdir(folder)
    stage_file = os.path.join(folder, "password")
    with open(stage_file, "w", encoding="ascii"):
        pass
    return Run(*stage.plain(), "--data-dir", stage.folder(),
               "--registry-secret-dir", folder, wrapper=in_mounts(
                   'mount --bind "$1" "$2"',
                   os.path.join(whole, "password"), stage_file))


@cause("secret-subpath", "warn", "secret_folder_mounted_by_subpath")
def folder_by_subpath(stage):
    whole = stage.secret(username=USER, password=PASSWORD).folder
    folder = stage.folder()
    return Run(*stage.plain(), "--data-dir", stage.folder(),
               "--registry-secret-dir", folder, wrapper=in_mounts(
                   'mount --bind "$1" "$2"', os.path.join(whole, "..data"),
                   folder))


@cause("docker-config-broken")
def broken_docker_config(stage):
    return stage.mounted(*stage.plain(),
                         **{".dockerconfigjson": '{"auths": {'})


@cause("registry-settings")
def ca_that_is_none(stage):
    bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    return Run(*stage.plain()[:2], "--registry-ca", stage.file(bad),
               *stage.data())


# ---- the data directory ----

@cause("disk-full")
def full_disk(stage):
    folder = stage.folder()
    return Run(*stage.plain(), "--data-dir", folder, wrapper=in_mounts(
        'mount -t tmpfs -o size=256k tmpfs "$1"', folder))


@cause("data-dir-unwritable")
def unwritable_data_directory(stage):
    folder = stage.folder()
    os.chmod(folder, 0o555)
    return Run(*stage.plain(), "--data-dir", folder,
               wrapper=without_privileges())


@cause("data-dir-unwritable", title="unwritable_folder_in_the_data_directory")
def unwritable_objects(stage):
    folder = stage.folder()
    os.mkdir(os.path.join(folder, "objects"), 0o555)
    return Run(*stage.plain(), "--data-dir", folder,
               wrapper=without_privileges())


@cause("data-dir-read-only")
def read_only_data_directory(stage):
    folder = stage.folder()
    return Run(*stage.plain(), "--data-dir", folder, wrapper=in_mounts(
        'mount -t tmpfs -o ro,size=64m tmpfs "$1"', folder))


@cause("data-dir-missing")
def data_directory_that_cannot_be_made(stage):
    return Run(*stage.plain(), "--data-dir",
               os.path.join(stage.folder(), "a", "b"))


@cause("data-dir-no-folder")
def data_directory_that_is_a_file(stage):
    return Run(*stage.plain(), "--data-dir", stage.file(""))


@cause("data-dir-io", says="Input/output error")
def disk_that_fails(stage):
    return Run(*stage.plain(), *stage.data(), wrapper=on_a_bad_disk())


@cause("store-format")
def store_of_another_version(stage):
    path = stage.file("specman-store 9\n", "format")
    return Run(*stage.plain(), "--data-dir", os.path.dirname(path))


@cause("disk-low", "warn")
def release_larger_than_the_disk(stage):
    fake, folder = stage.fake(), stage.folder()
    layer = bytes(1 << 20)
    fake.push("4.6.0", layer, manifest=artifact.oras_manifest(
        layer, size=64 << 20))
    fake.on("GET", "/blobs/" + artifact.digest(layer), lambda r: r.reply(
        200, layer, length=64 << 20))
    return Run("--repository", fake.repository(), "--registry-ca",
               stage.authority.ca, "--data-dir", folder, wrapper=in_mounts(
                   'mount -t tmpfs -o size=34m tmpfs "$1"', folder))


@cause("clock-wrong", "warn")
def clock_that_is_behind(stage):
    folder = stage.folder()
    os.utime(folder, (time.time() + 86400,) * 2)
    return Run(*stage.plain(), "--data-dir", folder)


# ---- signatures ----

def _signed(stage, sign):
    """sign(fake, digest, key, another) does what there is to the release."""
    fake, folder = stage.fake(), stage.folder()
    key, other = (signing.Key(folder, name) for name in ("cosign", "other"))
    layer = b"not looked at"
    sign(fake, fake.push("9.0.0", layer), key, other)
    return Run("--repository", fake.repository(), "--registry-ca",
               stage.authority.ca, *stage.data(), "--verify-key", key.public)


@cause("not-signed")
def release_that_nobody_has_signed(stage):
    return _signed(stage, lambda *_: None)


@cause("signed-by-another-key")
def release_of_another_signer(stage):
    return _signed(stage, lambda fake, digest, key, other:
                   signing.sign(fake, digest, other))


@cause("signature-malformed", says="about another manifest")
def signature_of_another_release(stage):
    def sign(fake, digest, key, other):
        body = signing.payload(artifact.digest(b"another"))
        signing.put(fake, digest, body, signing.manifest(
            [signing.layer(body, key.sign(body))]))
    return _signed(stage, sign)


@cause("signature-not-asked", says="418")
def signature_that_the_registry_does_not_give(stage):
    return _signed(stage, lambda fake, digest, key, other: fake.on(
        "GET", signing.tag(digest), lambda request: request.reply(418)))


@cause("verify-key-bad")
def trusted_key_that_is_none(stage):
    return Run(*stage.plain(), *stage.data(), "--verify-key",
               stage.file("no key"))


# ---- the certificate for clients ----

@cause("certificate-bad")
def certificate_that_is_none(stage):
    key = stage.serving()[3]
    return Run(*stage.plain(), *stage.data(), "--tls-key", key, "--tls-cert",
               stage.file("no certificate"))


@cause("certificate-unreadable")
def certificate_that_is_not_there(stage):
    return Run(*stage.plain(), *stage.data(), "--tls-cert",
               "/nonexistent/tls.crt", "--tls-key", "/nonexistent/tls.key")


@cause("key-bad")
def key_that_is_none(stage):
    cert = stage.serving()[1]
    return Run(*stage.plain(), *stage.data(), "--tls-cert", cert,
               "--tls-key", stage.file("no key"))


@cause("key-of-another-certificate")
def key_of_another_certificate(stage):
    cert, key = stage.serving()[1], stage.serving()[3]
    return Run(*stage.plain(), *stage.data(), "--tls-cert", cert,
               "--tls-key", key)


@cause("certificate-expired")
def own_certificate_expired(stage):
    return Run(*stage.plain(), *stage.data(), *stage.serving((-30, -1)))


@cause("certificate-not-yet-valid")
def own_certificate_of_the_future(stage):
    return Run(*stage.plain(), *stage.data(), *stage.serving((2, 30)))


@cause("certificate-expires-soon", "warn")
def own_certificate_ends_soon(stage):
    return Run(*stage.plain(), *stage.data(), *stage.serving((-30, 3)))


@cause("certificate-other-name", "warn")
def own_certificate_for_another_name(stage):
    return Run(*stage.plain(), *stage.data(),
               *stage.serving(sans="DNS:scar.example.com"))


# ---- who may ask ----

@cause("client-ca-bad", says="it has no certificate")
def client_ca_that_is_none(stage):
    return Run(*stage.plain(), *stage.data(), "--tls-client-ca",
               stage.file("nothing"))


@cause("client-ca-bad", title="client_ca_that_breaks_off")
def broken_client_ca(stage):
    with open(stage.authority.ca, encoding="ascii") as file:
        text = file.read()
    return Run(*stage.plain(), *stage.data(), "--tls-client-ca",
               stage.file(text + text[:len(text) // 2]))


@cause("file-unreadable", title="client_ca_that_is_not_there",
       says="--tls-client-ca /nonexistent/ca.crt")
def no_client_ca(stage):
    return Run(*stage.plain(), *stage.data(), "--tls-client-ca",
               "/nonexistent/ca.crt")


@cause("client-ca-unfit", says="of its 1 certificates 1 are no CA's")
def certificate_of_a_client_as_its_ca(stage):
    return Run(*stage.plain(), *stage.data(), "--tls-client-ca",
               stage.authority.issue("a-client")[0])


@cause("client-ca-unfit", title="client_ca_that_has_expired",
       says="of its 1 certificates 0 are no CA's and 1 have expired")
def expired_client_ca(stage):
    return Run(*stage.plain(), *stage.data(), "--tls-client-ca",
               stage.authority.issue("old-ca", days=(-30, -1), is_ca=True)[0])


@cause("client-ca-unfit", "warn", "client_ca_with_more_than_cas",
       says="has 2 certificates, of which 1 are no CA's and 0 have expired")
def client_ca_and_client(stage):
    text = ""
    for path in stage.authority.ca, stage.authority.issue("another-client")[0]:
        with open(path, encoding="ascii") as file:
            text += file.read()
    return Run(*stage.plain(), *stage.data(), "--tls-client-ca",
               stage.file(text))


@cause("users-unfit", says="5 lines can't be used, of which the first is line 2")
def users_that_cannot_be_used(stage):
    hash_ = "$2y$05$" + "a" * 53
    return Run(*stage.plain(), *stage.data(), "--htpasswd", stage.file(
        f"# users\nold:$apr1$salt$0123456789012345678901\ngood:{hash_}\n"
        f"good:{hash_}\nsha:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"
        "no colon\ncut:$2y$05$aaa\n"))


@cause("users-unfit", title="file_of_no_users", says="there is no user")
def no_users(stage):
    return Run(*stage.plain(), *stage.data(), "--htpasswd",
               stage.file("# nobody yet\n\n"))


@cause("users-unfit", title="file_of_users_that_is_no_text", says="no text")
def users_of_zeros(stage):
    return Run(*stage.plain(), *stage.data(), "--htpasswd",
               stage.file("\0" * 10))


@cause("file-unreadable", title="file_of_users_that_is_not_there",
       says="--htpasswd /nonexistent/users")
def users_not_there(stage):
    return Run(*stage.plain(), *stage.data(), "--htpasswd",
               "/nonexistent/users")


@cause("hook-token-unfit", says="a token has 16 bytes at least")
def hook_without_a_token(stage):
    return Run(*stage.plain(), *stage.data(), "--hook-token-file",
               stage.file("short\n"))


@cause("file-unreadable", title="hook_token_that_is_not_there",
       says="--hook-token-file: /nonexistent/token")
def no_hook_token(stage):
    return Run(*stage.plain(), *stage.data(), "--hook-token-file",
               "/nonexistent/token")


@cause("data-dir-unwritable", title="own_ca_that_may_not_be_read",
       says="the own CA")
def own_ca_of_another_user(stage):
    flags = stage.data()
    os.mkdir(os.path.join(flags[1], "tls"), 0)
    return Run(*stage.plain(), *flags, wrapper=without_privileges())


@cause("repository-empty", title="policy_that_takes_nothing",
       says="none of [0-9]+ is taken")
def no_tag_is_taken(stage):
    return Run(*stage.plain(), *stage.data(), "--tag-include", "^no-such$")


@cause("self-made-broken")
def own_ca_damaged(stage):
    flags = stage.data()
    os.mkdir(os.path.join(flags[1], "tls"))
    with open(os.path.join(flags[1], "tls", "ca.crt"), "w",
              encoding="ascii") as file:
        file.write("damaged")
    return Run(*stage.plain(), *flags)


@cause("fips-not-active", says="FIPS provider is not active")
def fips_provider_missing(stage):
    return Run(*stage.plain(), *stage.data(), "--fips",
               env={"OPENSSL_CONF": "/dev/null"})
