"""Where requests may go, and that they go nowhere else."""

import socket
import ssl
import threading
import time
from ipaddress import ip_address

import pytest

from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.delivery.webhooks import connecting
from hammerwork_cli.runtime.delivery.webhooks.addresses import kind_of
from hammerwork_cli.runtime.delivery.webhooks.receivers import receiver
from hammerwork_cli.runtime.delivery.webhooks.sending import send, validate
from hammerwork_cli.runtime.delivery.webhooks.verdicts import Verdict, verdict
from tests.allowing import ALL
from tests.conftest import each_row
from tests.runtime.delivery.webhooks.conftest import NOW, record, webhook
from tests.runtime.delivery.webhooks.receivers import answer

PUBLIC = "93.184.215.14"
SHORT = 0.3


def sent(url, context=None, **fields):
    return send(webhook(url, **fields), record(), ALL, delivery_id="evt_1", now=NOW, context=context)


@pytest.fixture
def network(monkeypatch):
    """Names and addresses of a network: each question gets the next answer, and connections lead to one port."""

    class Network:
        def __init__(self):
            self.answers, self.asked, self.reached, self.port = {}, [], [], None

        def getaddrinfo(self, host, port, *_, **__):
            self.asked.append(host)
            found = self.answers[host]
            addresses = found.pop(0) if len(found) > 1 else found[0]
            return [
                (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in addresses
            ]

    made = Network()
    connect = socket.socket.connect

    def reach(connection, place):
        made.reached.append(place[0])
        if made.port is None:
            raise ConnectionRefusedError
        connect(connection, ("127.0.0.1", made.port))

    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", reach)
    return made


SPECIAL = {
    "loopback": """
        127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: ::127.0.0.1
    """,
    "private": """
        10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.100.100.200 fd00:ec2::254 fc00::1 fec0::1
        ::ffff:10.0.0.1 64:ff9b::a00:1 2002:c0a8:101::1 2400:cb00::5efe:a00:1
    """,
    "link-local": """
        169.254.169.254 fe80::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::
    """,
    "multicast": """
        224.0.0.1 239.255.255.250 ff02::1 ::ffff:224.0.0.1
    """,
    "unspecified": """
        0.0.0.0 :: ::ffff:0.0.0.0
    """,
    "reserved": """
        0.1.2.3 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 240.0.0.1 255.255.255.255 168.63.129.16
        2001::1 2001:db8::1 3fff::1 100::1 64:ff9b:1::a00:1 5f00::1 4000::1 ::ffff:0:7f00:1
    """,
}


@each_row(("kind", "address"), [(kind, one) for kind, found in SPECIAL.items() for one in found.split()])
def test_an_address_is_not_public(network, kind, address):
    assert kind_of(ip_address(address)) == kind
    network.answers["receiver.example"] = [[address]]
    got = sent("https://receiver.example/", allow_private=False)
    assert got.error.startswith(
        f"receiver.example is at {ip_address(address)}, which is not a public address ({kind})."
    )
    assert verdict(got) is Verdict.RETRY
    assert network.reached == []


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "172.15.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "2606:2800:21f::1",
        "::ffff:93.184.215.14",
        "64:ff9b::5db8:d70e",
        "2002:5db8:d70e::1",
        "2400:cb00::5efe:5db8:d70e",
    ],
)
def test_an_address_is_public(network, address):
    assert kind_of(ip_address(address)) is None
    network.answers["receiver.example"] = [[address]]
    sent("https://receiver.example/", allow_private=False)
    assert network.reached == [address]


def test_a_name_that_changes_its_address_never_leads_here(network, receiving, authority):
    here = receiving(context=authority.serving("receiver.example"))
    network.port = here.port
    network.answers["receiver.example"] = [[PUBLIC], ["127.0.0.1"]]
    first = sent("https://receiver.example/", authority.trusting(), allow_private=False)
    second = sent("https://receiver.example/", authority.trusting(), allow_private=False)
    assert first.status == 200
    assert "127.0.0.1" in second.error
    assert network.reached == [PUBLIC]
    assert network.asked == ["receiver.example"] * 2  # once for each request


def test_of_several_addresses_only_public_ones_are_tried(network):
    network.answers["receiver.example"] = [["127.0.0.1", PUBLIC, "::1", "10.0.0.1", "1.1.1.1"]]
    sent("https://receiver.example/", allow_private=False)
    assert network.reached == [PUBLIC, "1.1.1.1"]


def test_the_next_address_is_tried_where_one_accepts_nothing(receiving, monkeypatch):
    receiver = receiving()
    closed = socket.create_server(("127.0.0.2", 0))
    closed.close()
    found = [(socket.AF_INET, 1, 6, "", (address, receiver.port)) for address in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert sent(receiver.url).status == 200


def test_a_resolver_that_hangs_has_the_time_limit(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20))
    begin = time.monotonic()
    got = sent("https://receiver.example/", timeout_seconds=SHORT)
    over.set()
    assert time.monotonic() - begin < SHORT + 2
    assert got.error == "The name receiver.example was not resolved in time."


def test_a_name_that_is_unknown_is_said(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    got = sent("https://receiver.example/")
    assert got.error == "The name receiver.example cannot be resolved: Name or service not known."
    assert verdict(got) is Verdict.RETRY


@each_row(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "localhost",
        "a.localhost",
        "①②⑦.⓪.⓪.①",
        "\uff11\uff12\uff17\u3002\uff10\u3002\uff10\u3002\uff11",
    ],
)
def test_an_address_in_the_url_is_refused_at_once(host):
    with pytest.raises(UsageError, match="is not a public address"):
        validate(webhook(f"https://{host}/", allow_private=False))
    validate(webhook(f"https://{host}/"))


@each_row("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "1.2.3.4.5", "a.0", "127.0.0.1."])
def test_other_spellings_of_addresses_are_refused_or_recognized(host):
    with pytest.raises(UsageError):
        validate(webhook(f"https://{host}/", allow_private=False))


@each_row(
    ("url", "message"),
    [
        ("", "neither https: nor http:"),
        ("example.com/x", "neither https: nor http:"),
        ("//example.com", "neither https: nor http:"),
        ("ftp://example.com", "neither https: nor http:"),
        ("file:///etc/passwd", "neither https: nor http:"),
        ("gopher://example.com", "neither https: nor http:"),
        ("javascript:alert(1)", "neither https: nor http:"),
        ("https://", "no host"),
        ("https:///path", "no host"),
        ("https://:443/", "no host"),
        ("https:example.com", "no host"),
        ("https://user@example.com/", "user or a password"),
        ("https://user:s3cret-word@example.com/", "user or a password"),
        ("https://:@example.com/", "user or a password"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:http/", "port"),
        ("https://example.com:-1/", "port"),
        ("https://exa mple.com/", "space"),
        ("https://example.com/a b", "space"),
        ("https://example.com/\r\nX: 1", "control"),
        ("https://example.com/\t", "control"),
        ("\nhttps://example.com/", "control"),
        ("https://example.com\\@evil.example/", "backslash"),
        ("https://[::1", "cannot be read"),
        ("https://[fe80::1%25eth0]/", "network interface|cannot be read|neither"),
        ("https://[fe80::1%eth0]/", "network interface"),
        ("https://[v1.a]/", "brackets|cannot be read"),
        ("https://[127.0.0.1]/", "brackets|cannot be read"),
        ("https://[localhost]/", "brackets|cannot be read"),
        ("https://exa%6dple.com/", "neither a name"),
        ("https://*.example.com/", "neither a name"),
        ("https://-example.com/", "neither a name"),
        ("https://example..com/", "neither a name"),
        ("https://" + "a" * 64 + ".example/", "neither a name"),
        ("https://" + "a." * 200 + "example/", "neither a name"),
        ("https://example.com/" + "x" * 3000, "2,048 characters"),
        ("https://example.com#@evil.example/" + "x" * 3000, "2,048 characters"),
        ("https://\ud800.example/", "control"),
        ("https://stra\u00dfe.example/", "xn--"),
        ("https://a\u200db.example/", "xn--"),
    ],
)  # fmt: skip
def test_a_url_is_refused_without_being_repeated(url, message):
    with pytest.raises(UsageError, match=message) as refused:
        validate(webhook(url))
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"


@each_row(
    ("url", "host", "target"),
    [
        ("HTTPS://EXAMPLE.com", "example.com", "/"),
        ("https://example.com.", "example.com", "/"),
        ("https://bücher.example/é", "xn--bcher-kva.example", "/%C3%A9"),
        ("https://example.com:443/?a=b", "example.com", "/?a=b"),
        ("https://example.com:8443/", "example.com:8443", "/"),
        ("https://[2606:2800:21f:0::1]:8443/", "[2606:2800:21f::1]:8443", "/"),
        ("https://[2606:2800:21f::1]", "[2606:2800:21f::1]", "/"),
        ("https://hooks_1.example/x#fragment", "hooks_1.example", "/x"),
        ("https://example.com?q", "example.com", "/?q"),
    ],
)
def test_a_url_is_read(url, host, target):
    found = receiver(url)
    assert (found.authority, found.target) == (host, target)
    validate(webhook(url, allow_private=False))


# Encryption.


def test_plain_http_stays_on_this_machine(network):
    with pytest.raises(UsageError, match="not encrypted"):
        validate(webhook("http://receiver.example/"))
    network.answers["receiver.localhost"] = [["10.0.0.1"]]
    got = sent("http://receiver.localhost/")
    assert got.error.startswith("receiver.localhost is another machine, and http: is not encrypted.")
    assert network.reached == []


def test_plain_http_goes_elsewhere_only_where_that_was_said(network, receiving):
    here = receiving()
    network.port = here.port
    network.answers["receiver.example"] = [[PUBLIC]]
    validate(webhook("http://receiver.example/", insecure=True, allow_private=False))
    assert sent("http://receiver.example/", insecure=True, allow_private=False).status == 200
    assert here.arrived[0].headers["host"] == "receiver.example"


def test_a_certificate_of_a_trusted_authority_is_accepted(receiving, authority):
    receiver = receiving(context=authority.serving("localhost"))
    got = sent(receiver.url, authority.trusting())
    assert (got.status, got.error) == (200, None)


def test_a_certificate_may_name_an_address(receiving, authority):
    receiver = receiving(context=authority.serving("127.0.0.1"))
    assert sent(receiver.url.replace("localhost", "127.0.0.1"), authority.trusting()).status == 200


def test_ssl_cert_file_names_the_authorities(receiving, authority, monkeypatch):
    receiver = receiving(context=authority.serving("localhost"))
    assert "is not valid" in sent(receiver.url).error
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert sent(receiver.url).status == 200


def test_a_certificate_of_another_authority_is_refused(receiving, authority, other_authority):
    receiver = receiving(context=other_authority.serving("localhost"))
    got = sent(receiver.url, authority.trusting())
    assert f"The certificate of localhost:{receiver.port} is not valid" in got.error
    assert verdict(got) is Verdict.RETRY
    assert receiver.arrived == []


def test_a_certificate_of_another_host_is_refused(receiving, authority):
    receiver = receiving(context=authority.serving("elsewhere.example"))
    got = sent(receiver.url, authority.trusting())
    assert "Hostname mismatch" in got.error
    assert receiver.arrived == []


def test_the_host_is_verified_though_the_address_is_used(network, receiving, authority):
    seen = []
    context = authority.serving("receiver.example")
    context.sni_callback = lambda _, name, __: seen.append(name)
    here = receiving(context=context)
    network.port = here.port
    network.answers["receiver.example"] = network.answers["other.example"] = [[PUBLIC]]
    assert sent("https://receiver.example/", authority.trusting(), allow_private=False).status == 200
    assert "Hostname mismatch" in sent("https://other.example/", authority.trusting(), allow_private=False).error
    assert seen == ["receiver.example", "other.example"]


def test_a_plain_server_at_a_port_of_tls_is_no_answer(receiving):
    receiver = receiving(answer(), reads=False)
    got = sent(receiver.url.replace("http:", "https:"))
    assert got.error.startswith(f"TLS with localhost:{receiver.port} failed: ")


def test_a_handshake_that_hangs_has_the_time_limit(receiving):
    receiver = receiving(lambda _: receiver.over.wait(), reads=False)
    got = sent(receiver.url.replace("http:", "https:"), timeout_seconds=SHORT)
    assert "did not answer within" in got.error
    assert got.seconds < SHORT + 2


def test_old_versions_of_tls_are_refused(authority):
    assert connecting.default_context().minimum_version >= ssl.TLSVersion.TLSv1_2
    assert connecting.default_context().verify_mode is ssl.CERT_REQUIRED
    assert connecting.default_context().check_hostname


# Proxies.


class Tunnel:
    """A proxy that leads every connection to one port."""

    def __init__(self, port, head=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.port, self.head = port, head

    def __call__(self, connection):
        connection.sendall(self.head)
        with socket.socket() as other:
            other.connect(("127.0.0.1", self.port))
            thread = threading.Thread(target=pass_on, args=(other, connection))
            thread.start()
            pass_on(connection, other)
            thread.join()


def pass_on(source, target):
    try:
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_proxy_is_asked_for_the_address_that_was_checked(receiving, authority, monkeypatch):
    here = receiving(context=authority.serving("receiver.example"))
    proxy = receiving(Tunnel(here.port))
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:s3cret%21@127.0.0.1:{proxy.port}")
    found = [[PUBLIC], ["127.0.0.1"]]
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, port, **__: [(2, 1, 6, "", (found.pop(0)[0], port))])
    got = sent("https://receiver.example/", authority.trusting(), allow_private=False)
    assert got.status == 200
    assert proxy.arrived[0].start == f"CONNECT {PUBLIC}:443 HTTP/1.1"
    assert proxy.arrived[0].headers["proxy-authorization"] == "Basic YWRhOnMzY3JldCE="
    assert here.arrived[0].headers["host"] == "receiver.example"
    assert "proxy-authorization" not in here.arrived[0].headers
    assert "127.0.0.1" in sent("https://receiver.example/", authority.trusting(), allow_private=False).error
    assert proxy.connections == 1


def test_a_proxy_gets_the_name_where_private_addresses_are_allowed(receiving, authority, monkeypatch):
    here = receiving(context=authority.serving("receiver.internal"))
    proxy = receiving(Tunnel(here.port))
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
    assert sent("https://receiver.internal:8443/", authority.trusting()).status == 200
    assert proxy.arrived[0].start == "CONNECT receiver.internal:8443 HTTP/1.1"


def test_a_proxy_that_refuses_is_said_without_its_password(receiving, monkeypatch):
    proxy = receiving(answer("403 Forbidden"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:s3cret@127.0.0.1:{proxy.port}")
    got = sent("https://receiver.internal/")
    assert got.error == f"The proxy 127.0.0.1:{proxy.port} refuses to connect to receiver.internal: 403."
    assert verdict(got) is Verdict.RETRY


@pytest.mark.parametrize("script", [b"", b"HTTP/1.1 200", b"SSH-2.0\r\n"])
def test_a_proxy_that_answers_nonsense_is_no_answer(receiving, monkeypatch, script):
    proxy = receiving(script)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    assert sent("https://receiver.internal/").error


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "https://127.0.0.1:3128", "http://", "http://127.0.0.1:x"])
def test_a_proxy_of_another_kind_is_said(monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", url)
    assert sent("https://receiver.internal/").error.startswith("HTTPS_PROXY names no proxy.")


def test_no_proxy_names_receivers_without_one(receiving, authority, monkeypatch):
    here = receiving(context=authority.serving("localhost", "here.test"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert sent(here.url, authority.trusting()).status == 200  # this machine
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, port, **__: [(2, 1, 6, "", ("127.0.0.1", port))])
    url = f"https://here.test:{here.port}/"
    assert "No connection to the proxy" in sent(url, authority.trusting()).error
    monkeypatch.setenv("NO_PROXY", ".test")
    assert sent(url, authority.trusting()).status == 200


def test_a_proxy_for_http_is_not_used(receiving, monkeypatch):
    receiver = receiving()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert sent(receiver.url).status == 200
