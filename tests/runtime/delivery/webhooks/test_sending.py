"""What a receiver gets, and what each of its answers means."""

import json
import socket
import threading
import time
from datetime import timedelta

import pytest

from hammerwork_cli.features.webhook.model import LONGEST_ANSWER, WebhookBody
from hammerwork_cli.runtime.delivery.webhooks.sending import LARGEST_ANSWER, send
from hammerwork_cli.runtime.delivery.webhooks.verdicts import Verdict, verdict
from tests.allowing import ALL
from tests.runtime.delivery.webhooks.conftest import NOW, SECRET, record, webhook
from tests.runtime.delivery.webhooks.receivers import answer

SHORT = 0.3


def sent(url, **fields):
    return send(webhook(url, **fields), record(), ALL, delivery_id="evt_1", now=NOW)


def test_a_receiver_gets_the_event_once(receiving):
    receiver = receiving(answer("200 OK", b"thanks"))
    got = sent(receiver.url)
    assert (got.status, got.text, got.error, verdict(got)) == (200, "thanks", None, Verdict.DELIVERED)
    (arrived,) = receiver.arrived
    assert arrived.start == "POST /hook HTTP/1.1"
    assert json.loads(arrived.body) == {key: record()[key] for key in ("type", "timestamp", "data")}
    assert arrived.headers["host"] == f"localhost:{receiver.port}"
    assert arrived.headers["content-type"] == "application/json"
    assert arrived.headers["webhook-id"] == "evt_1"
    assert got.request_body == arrived.body.decode()
    assert {name.lower(): value for name, value in got.request_headers.items()} == arrived.headers
    assert 0 < got.seconds < 5


@pytest.mark.parametrize(
    ("status", "means"),
    [
        ("200 OK", Verdict.DELIVERED),
        ("204 No Content", Verdict.DELIVERED),
        ("301 Moved", Verdict.REFUSED),
        ("400 Bad Request", Verdict.REFUSED),
        ("401 Unauthorized", Verdict.REFUSED),
        ("404 Not Found", Verdict.REFUSED),
        ("408 Request Timeout", Verdict.RETRY),
        ("410 Gone", Verdict.GONE),
        ("425 Too Early", Verdict.RETRY),
        ("429 Too Many Requests", Verdict.RETRY),
        ("500 Internal Server Error", Verdict.RETRY),
        ("503 Service Unavailable", Verdict.RETRY),
    ],
)
def test_the_status_decides(receiving, status, means):
    got = sent(receiving(answer(status)).url)
    assert got.status == int(status[:3])
    assert verdict(got) is means


def test_a_receiver_that_recovers_gets_the_same_delivery_again(receiving):
    receiver = receiving(answer("500 Oops"), answer())
    hook = webhook(receiver.url, secret=SECRET)
    got = [send(hook, record(), ALL, delivery_id="evt_1", now=NOW + timedelta(seconds=5 * n)) for n in range(2)]
    assert [verdict(one) for one in got] == [Verdict.RETRY, Verdict.DELIVERED]
    first, second = receiver.arrived
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("Mon, 30 Nov 2026 12:02:00 GMT", 120), ("Mon, 30 Nov 2026 11:00:00 GMT", 0)],
)
def test_a_receiver_says_when_to_come_again(receiving, header, seconds):
    got = sent(receiving(answer("429 Slow Down", Retry_After=header)).url)
    assert got.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "header", ["", "soon", "-5", "1e3", "٣", "Mon, 99 Nov 2026", "Mon, 30 Nov 99999999999 12:00:00"]
)
def test_a_retry_after_that_cannot_be_read_is_none(receiving, header):
    script = b"HTTP/1.1 503 X\r\nRetry-After: " + header.encode() + b"\r\nContent-Length: 0\r\n\r\n"
    assert sent(receiving(script).url).retry_after is None


def test_a_redirect_is_not_followed(receiving):
    elsewhere = receiving()
    receiver = receiving(answer("307 Temporary Redirect", Location=elsewhere.url))
    got = sent(receiver.url)
    assert (got.status, verdict(got)) == (307, Verdict.REFUSED)
    assert (receiver.connections, elsewhere.connections) == (1, 0)


def test_cookies_are_not_kept(receiving):
    receiver = receiving(answer(Set_Cookie="session=1"))
    sent(receiver.url)
    sent(receiver.url)
    assert ["cookie" in arrived.headers for arrived in receiver.arrived] == [False, False]


def test_a_receiver_that_hangs_has_the_time_limit(receiving):
    receiver = receiving(lambda _: receiver.over.wait())
    got = sent(receiver.url, timeout_seconds=SHORT)
    assert got.error == f"localhost:{receiver.port} did not answer within {SHORT} s."
    assert (got.status, verdict(got)) == (None, Verdict.RETRY)
    assert SHORT <= got.seconds < SHORT + 2


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_receiver_that_trickles_a_head_has_the_time_limit(receiving, beginning):
    def trickle(connection):
        connection.sendall(beginning)
        while not receiver.over.wait(0.02):
            connection.sendall(b"H")

    receiver = receiving(trickle)
    got = sent(receiver.url, timeout_seconds=SHORT)
    assert "did not answer within" in got.error
    assert got.seconds < SHORT + 2


def test_a_receiver_that_trickles_a_body_has_the_time_limit_and_has_answered(receiving):
    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nso")
        while not receiver.over.wait(0.02):
            connection.sendall(b".")

    receiver = receiving(trickle)
    got = sent(receiver.url, timeout_seconds=SHORT)
    assert (got.status, got.error, verdict(got)) == (200, None, Verdict.DELIVERED)
    assert got.text.startswith("so.")
    assert got.seconds < SHORT + 2


def test_a_receiver_that_does_not_read_has_the_time_limit(receiving):
    receiver = receiving(lambda _: receiver.over.wait(), reads=False)
    hook = webhook(receiver.url, timeout_seconds=SHORT)
    got = send(hook, record(payload="x" * 20_000_000), ALL, delivery_id="evt_1", now=NOW)
    assert "did not answer within" in got.error
    assert got.seconds < SHORT + 2


def test_an_answer_before_the_end_of_the_request_is_read(receiving):
    def refuse(connection):
        connection.recv(100)
        connection.sendall(answer("413 Too Large", b"too large"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass

    hook = webhook(receiving(refuse, reads=False).url)
    got = send(hook, record(payload="x" * 2_000_000), ALL, delivery_id="evt_1", now=NOW)
    assert (got.status, got.text) == (413, "too large")


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_half_a_head_is_no_answer(receiving, beginning):
    got = sent(receiving(beginning).url)
    assert got.status is None
    assert verdict(got) is Verdict.RETRY


@pytest.mark.parametrize(
    "script",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nha",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nha\r\n9\r\n",
    ],
)
def test_half_a_body_is_an_answer(receiving, script):
    got = sent(receiving(script).url)
    assert (got.status, got.text, verdict(got)) == (200, "ha", Verdict.DELIVERED)


def test_a_receiver_that_is_away_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    got = sent(f"http://127.0.0.1:{port}/")
    assert got.error == f"127.0.0.1:{port} accepts no connections."
    assert verdict(got) is Verdict.RETRY


@pytest.mark.parametrize(
    "script",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\0" * 100,
        b"HTTP/3.0 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
    ],
)
def test_another_protocol_is_no_answer(receiving, script):
    got = sent(receiving(script).url)
    assert got.status is None
    assert got.error


@pytest.mark.parametrize("length", [b"9" * 5000, b"-1", b"9" * 18, b"no"])
def test_a_length_that_is_not_one_does_not_matter(receiving, length):
    got = sent(receiving(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nok").url)
    assert (got.status, got.text) == (200, "ok")


def test_of_a_long_answer_the_beginning_is_read(receiving):
    counted = []

    def pour(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while len(counted) < 2000:
                connection.sendall(b"x" * 65536)
                counted.append(1)
        except OSError:
            counted.append("closed")

    receiver = receiving(pour)
    got = sent(receiver.url)
    assert (got.status, got.text) == (200, "x" * LONGEST_ANSWER)
    receiver.__exit__()
    assert counted[-1] == "closed"


def test_of_a_long_answer_in_small_chunks_no_more_is_read(receiving):
    def pour(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not receiver.over.is_set():
            connection.sendall(b"1\r\nx\r\n" * 1000)

    receiver = receiving(pour)
    got = sent(receiver.url)
    assert (got.status, got.text) == (200, "x" * LONGEST_ANSWER)


def test_a_keep_alive_connection_is_not_waited_for(receiving):
    receiver = receiving(lambda connection: (connection.sendall(answer(body=b"ok")), receiver.over.wait()))
    got = sent(receiver.url)
    assert got.text == "ok"
    assert got.seconds < 5


@pytest.mark.parametrize("head", [b"X: " + b"y" * 200_000, b"\r\n".join(b"X-%d: y" % n for n in range(20_000))])
def test_huge_headers_are_no_answer(receiving, head):
    got = sent(receiving(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n").url)
    assert got.status is None
    assert verdict(got) is Verdict.RETRY


@pytest.mark.parametrize("status", ["100 Continue", "103 Early Hints"])
def test_heads_before_the_answer_do_not_count(receiving, status):
    interim = f"HTTP/1.1 {status}\r\nLink: </style.css>\r\n\r\n".encode()
    got = sent(receiving(interim * 3 + answer("500 Oops", b"no")).url)
    assert (got.status, got.text) == (500, "no")


@pytest.mark.parametrize("status", [b"100", b"103"])
def test_heads_without_an_answer_end(receiving, status):
    def pour(connection):
        while not receiver.over.is_set():
            connection.sendall(b"HTTP/1.1 %s X\r\n\r\n" % status * 100)

    receiver = receiving(pour)
    got = sent(receiver.url, timeout_seconds=2)
    assert verdict(got) is not Verdict.DELIVERED
    assert got.seconds < 4


def test_a_compressed_answer_is_not_unpacked(receiving):
    import gzip

    bomb = gzip.compress(b"0" * 5_000_000)
    receiver = receiving(answer(body=bomb, Content_Encoding="gzip"))
    got = sent(receiver.url)
    assert got.status == 200
    assert "0" * 10 not in got.text
    assert receiver.arrived[0].headers["accept-encoding"] == "identity"


def test_an_answer_that_is_not_text_can_be_stored(receiving):
    got = sent(receiving(answer(body=b"\xff\x00ok")).url)
    assert got.text == "\ufffd\ufffdok"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_the_method_is_that_of_the_webhook(receiving, method):
    receiver = receiving()
    sent(receiver.url, method=method)
    assert receiver.arrived[0].start == f"{method} /hook HTTP/1.1"


def test_the_query_and_foreign_letters_of_a_url_arrive(receiving):
    receiver = receiving()
    sent(f"{receiver.url}/ü%20x?token=a+b%26&é=1#part")
    assert receiver.arrived[0].start == "POST /hook/%C3%BC%20x?token=a+b%26&%C3%A9=1 HTTP/1.1"


def test_further_headers_replace_the_usual_ones_in_any_letter_case(receiving):
    receiver = receiving()
    got = sent(receiver.url, headers={"content-TYPE": "application/x-own", "User-Agent": "Ours/1", "X-Team": "ü"})
    headers = receiver.arrived[0].headers
    assert (headers["content-type"], headers["user-agent"], headers["x-team"]) == ("application/x-own", "Ours/1", "ü")
    assert got.request_headers["content-TYPE"] == "application/x-own"


@pytest.mark.parametrize(
    ("auth", "name", "value", "shown"),
    [
        ({"bearer": "t0k3n-of-ours"}, "Authorization", "Bearer t0k3n-of-ours", "Bearer ***"),
        ({"basic": "ada:p:ss-w0rd"}, "Authorization", "Basic YWRhOnA6c3MtdzByZA==", "Basic ***"),
        ({"header": "X-Api-Key", "key": "k3y-of-ours"}, "X-Api-Key", "k3y-of-ours", "***"),
        ({"bearer": "env:HOOK_TOKEN"}, "Authorization", "Bearer from-a-variable", "Bearer ***"),
    ],
)
def test_the_receiver_learns_who_sends(receiving, monkeypatch, auth, name, value, shown):
    monkeypatch.setenv("HOOK_TOKEN", "from-a-variable\n")
    receiver = receiving()
    got = sent(receiver.url, auth=auth)
    assert receiver.arrived[0].headers[name.lower()] == value
    assert got.request_headers[name] == shown


def test_no_answer_holds_a_secret_that_the_receiver_repeats(receiving, monkeypatch):
    monkeypatch.setenv("HOOK_KEY", 'from "a" variable')

    def repeat(connection):
        (arrived,) = receiver.arrived
        text = json.dumps(dict(arrived.headers)) + "\n".join(arrived.headers.values()) + SECRET + SECRET[6:]
        connection.sendall(answer("401 Unauthorized", text.encode()))

    secrets = [
        "p:ss-w0rd",
        "YWRhOnA6c3MtdzByZA==",
        'from "a" variable',
        'from \\"a\\" variable',
        "literal-value",
        SECRET[6:],
    ]
    receiver = receiving(repeat)
    got = sent(
        receiver.url,
        auth={"basic": "ada:p:ss-w0rd"},
        headers={"X-Key": "env:HOOK_KEY", "X-Other": "literal-value"},
        secret=SECRET,
    )
    assert got.status == 401
    assert "***" in got.text
    assert [secret for secret in secrets if secret in repr(got) or secret in got.text] == []


def test_a_variable_that_is_missing_is_named(receiving, monkeypatch):
    monkeypatch.delenv("HOOK_TOKEN", raising=False)
    receiver = receiving()
    got = sent(receiver.url, auth={"bearer": "env:HOOK_TOKEN"})
    assert (
        got.error
        == "The variable HOOK_TOKEN is not set. Set it for this program, and for workers that deliver webhooks."
    )
    assert verdict(got) is Verdict.RETRY
    assert receiver.connections == 0


def test_a_variable_with_a_line_break_makes_no_header(receiving, monkeypatch):
    monkeypatch.setenv("HOOK_TOKEN", "t0k3n\r\nX-Evil: 1")
    receiver = receiving()
    got = sent(receiver.url, auth={"bearer": "env:HOOK_TOKEN"})
    assert "HOOK_TOKEN holds a control character" in got.error
    assert "t0k3n" not in repr(got)
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": {"X": "1\r\nEvil: 1"}},
        {"headers": {"X: 1\r\nEvil": "1"}},
        {"headers": {"X": "1\nEvil: 1"}},
        {"headers": {"X": "1\0"}},
        {"auth": {"bearer": "1\r\nEvil: 1"}},
        {"auth": {"header": "X\r\nEvil", "key": "1"}},
        {"method": "POST / HTTP/1.1\r\nEvil: 1\r\n\r\nGET"},
        {"path": "/\r\nEvil: 1"},
        {"path": "/ HTTP/1.1\r\nEvil: 1"},
        {"timeout_seconds": 10**12},
        {"timeout_seconds": -1},
        {"template": "{{"},
    ],
)
def test_a_row_that_sql_has_changed_is_not_sent(receiving, fields):
    receiver = receiving()
    url = receiver.url + fields.pop("path", "")
    assert sent(url, **fields).error
    assert receiver.connections == 0


def test_empty_lines_are_no_answer(receiving):
    receiver = receiving(answer("200 OK"), *[b"\r\n" * n for n in range(10)], answer("299 Fine"))
    assert {sent(receiver.url).status for _ in range(12)} <= {200, 299, None}


def test_an_event_with_odd_values_is_json_all_the_same(receiving):
    receiver = receiving()
    hook = webhook(receiver.url)
    odd = record(payload={"a": float("nan"), "b": [float("inf")], "c": "\ud800", "d": "日本"})
    assert send(hook, odd, ALL, delivery_id="evt_1", now=NOW).status == 200
    body = receiver.arrived[0].body
    assert json.loads(body)["data"]["payload"] == {"a": None, "b": [None], "c": "?", "d": "日本"}


@pytest.mark.parametrize("form", WebhookBody)
def test_many_deliveries_at_once_do_not_mix(receiving, form):
    receiver = receiving()
    hook = webhook(receiver.url, body=form)
    got = {}

    def deliver(number):
        got[number] = send(hook, record(number=number), ALL, delivery_id=f"evt_{number}", now=NOW)

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(10)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.status for one in got.values()] == [200] * 10
    assert len({arrived.body for arrived in receiver.arrived}) == 10
    assert time.monotonic() - begin < 10


def test_at_most_64_kib_of_an_answer_are_read():
    assert LARGEST_ANSWER == 65_536
