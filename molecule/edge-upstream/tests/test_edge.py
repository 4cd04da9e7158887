"""What readers, administrators and attackers get from an edge, whichever proxy it runs."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import socket
import ssl
import time

import pytest
from readers import (
    ALIAS,
    EPHEMERAL,
    NODES,
    SERVICE,
    Connection,
    Load,
    Site,
    context,
    eventually,
    fetch,
    raw,
)

SPOOFED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Real-IP": "203.0.113.9",
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=203.0.113.9",
    "X-Request-ID": "mine",
}


# --- who the edge is, to the nodes


def test_the_edge_shows_its_certificate_to_the_nodes(site: Site) -> None:
    """Without it they answer nobody, and do not count as ready either."""
    for path in ("/", "/api/search"):
        assert fetch(site.edge, path).json()["caller"] == ["edge", SERVICE, ALIAS]
    key = site.run("stat --format='%U %G %a' /etc/research-pki/host.pem.key").stdout
    assert key.split() == ["root", "root", "600"]


def test_a_renewed_certificate_is_shown_after_a_reload(disturbed: Site) -> None:
    pki, pid = "/etc/research-pki", f"systemctl show -P MainPID {disturbed.proxy}"
    before = disturbed.run(pid).stdout
    made = (
        f"cp -a {pki}/host.pem {pki}/host.pem.before && cp -a {pki}/host.pem.key {pki}/key.before"
    )
    disturbed.run(made)
    try:
        for suffix in ("", ".key"):
            renewed = (EPHEMERAL / f"pki/edge-renewed.pem{suffix}").read_text()
            disturbed.run(f"cat >{pki}/host.pem{suffix} <<'END'\n{renewed}END")
        assert "reloaded" in disturbed.run("research-edge apply").stdout
        eventually(lambda: "renewed.test" in fetch(disturbed.edge, "/").json()["caller"])
        assert disturbed.run(pid).stdout == before
    finally:
        disturbed.run(
            f"mv {pki}/host.pem.before {pki}/host.pem; mv {pki}/key.before {pki}/host.pem.key; "
            "research-edge apply"
        )


# --- the way in


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("POST", 308)])
def test_plain_http_is_redirected(site: Site, method: str, status: int) -> None:
    connection = http.client.HTTPConnection(site.edge, timeout=5)
    connection.request(method, "/papers?q=a", headers={"Host": f"{SERVICE}:80"})
    response = connection.getresponse()
    assert response.status == status
    assert response.getheader("Location") == f"https://{SERVICE}/papers?q=a"


OURS = [
    SERVICE,
    SERVICE.upper(),
    f"{SERVICE}.",
    f"{SERVICE}:443",
    f"{SERVICE}.:443",
    ALIAS,
    f"{ALIAS.title()}:443",
]
FOREIGN = [
    "evil.example",
    "evil.example:443",
    f"evil.example.{SERVICE}",
    f"{SERVICE}.evil.example",
    f"{SERVICE}evil.example",
    "localhost",
    "192.0.2.1",
    "[2001:db8::1]",
]


def canonical(host: str) -> str:
    """Return the name of ours that a Host header means."""
    return host.lower().partition(":")[0].rstrip(".")


@pytest.mark.parametrize("host", OURS)
def test_the_services_names_are_served_and_passed_on_as_they_are_written(
    site: Site, host: str
) -> None:
    answer = raw(site.edge, f"GET / HTTP/1.1\r\nHost: {host}\r\n")
    assert answer.status == 200
    seen = answer.json()["headers"]
    assert (seen["host"], seen["x-forwarded-host"]) == (canonical(host), canonical(host))
    redirect = raw(site.edge, f"GET /a?q=b HTTP/1.1\r\nHost: {host}\r\n", tls=False)
    assert redirect.status == 301
    assert redirect.headers["location"] == f"https://{canonical(host)}/a?q=b"


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/api/search", "/static/style.css", "/health"])
def test_a_foreign_name_is_misdirected(site: Site, host: str, path: str) -> None:
    for method, tls in (("GET", True), ("POST", True), ("GET", False), ("POST", False)):
        request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n"
        answer = raw(site.edge, request, tls=tls)
        assert answer.status == 421, (method, tls)
        assert "location" not in answer.headers
        assert host not in answer.text


@pytest.mark.parametrize(
    "request_head",
    [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n",
        f"GET / HTTP/1.1\r\nHost: {SERVICE}\r\nHost: evil.example\r\n",
        f"GET / HTTP/1.1\r\nHost: {SERVICE}, evil.example\r\n",
        f"GET / HTTP/1.1\r\nHost: {SERVICE}@evil.example\r\n",
        f"GET http://evil.example/ HTTP/1.1\r\nHost: {SERVICE}\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n",
    ],
)
@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
def test_an_unclear_name_is_refused(site: Site, request_head: str, tls: bool) -> None:
    answer = raw(site.edge, request_head, tls=tls)
    assert answer.status in {400, 421}
    assert "evil" not in str(answer.headers) + answer.text


@pytest.mark.parametrize("host", [SERVICE, "evil.example"])
def test_the_host_of_the_target_is_the_one_that_counts(site: Site, host: str) -> None:
    request = f"GET http://{SERVICE}/a?q=b HTTP/1.1\r\nHost: {host}\r\n"
    for answer in (raw(site.edge, request), raw(site.edge, request, tls=False)):
        assert answer.status in ({200, 301} if host == SERVICE else {200, 301, 400, 421})
        assert "evil" not in str(answer.headers) + answer.text
        if answer.status == 301:
            assert answer.headers["location"] == f"https://{SERVICE}/a?q=b"


@pytest.mark.parametrize("sni", ["unrelated.example", SERVICE, None])
def test_the_name_of_the_handshake_decides_nothing(site: Site, sni: str | None) -> None:
    assert raw(site.edge, f"GET / HTTP/1.1\r\nHost: {SERVICE}\r\n", sni=sni).status == 200
    assert raw(site.edge, "GET / HTTP/1.1\r\nHost: evil.example\r\n", sni=sni).status == 421


@pytest.mark.parametrize(("host", "status"), [(ALIAS, "200"), ("evil.example", "421")])
def test_the_authority_of_http_2_counts_alike(site: Site, host: str, status: str) -> None:
    asked = f"-o /dev/null -w '%{{http_version}} %{{http_code}}' -H 'Host: {host}'"
    assert site.curl(f"{asked} https://{SERVICE}/") == f"2 {status}"


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ("-tls1_1 -cipher ALL:@SECLEVEL=0", False),
        ("-tls1_2", True),
        ("-tls1_3", True),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA", False),
        ("-tls1_3 -groups X25519MLKEM768", True),
    ],
)
def test_tls_versions_and_ciphers(site: Site, options: str, accepted: bool) -> None:
    result = site.on_app(
        f"openssl s_client -connect {site.edge}:443 -servername {SERVICE} -verify_return_error "
        f"-CAfile /etc/upstream/ca.pem {options} </dev/null"
    )
    assert ("Cipher is (NONE)" not in result.stdout and result.rc == 0) is accepted


def test_http_2(site: Site) -> None:
    with (
        socket.create_connection((site.edge, 443)) as plain,
        context("h2", "http/1.1").wrap_socket(plain, server_hostname=SERVICE) as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"
    assert site.curl(f"-o /dev/null -w '%{{http_version}} %{{http_code}}' https://{SERVICE}/") == (
        "2 200"
    )


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/", SERVICE),
        ("/api/search", SERVICE),
        ("/static/style.css", SERVICE),
        ("/health", SERVICE),  # for this client an error page of the edge itself
        ("/", "evil.example"),
    ],
)
def test_security_headers(site: Site, path: str, host: str) -> None:
    asked = f"-D - -o /dev/null --http1.1 -H 'Host: {host}' https://{SERVICE}{path}"
    head = site.curl(asked).lower()
    assert "strict-transport-security: max-age=63072000; includesubdomains; preload\r" in head
    assert head.count("x-content-type-options: nosniff") == 1
    assert "x-frame-options: sameorigin" in head
    assert "referrer-policy: strict-origin-when-cross-origin" in head
    assert head.count("referrer-policy:") == 1
    assert "permissions-policy: camera=()" in head
    assert "content-security-policy: frame-ancestors 'self'" in head
    assert re.search(r"x-request-id: [0-9a-f-]{32,36}", head)
    assert not re.search(r"server: .*(python|/\d)", head)


def test_the_applications_own_policy_stands(site: Site) -> None:
    assert fetch(site.edge, "/policy").headers["content-security-policy"] == "default-src 'self'"


def test_what_a_client_says_about_itself_is_overwritten(site: Site) -> None:
    options = " ".join(f"-H '{name}: {value}'" for name, value in SPOOFED.items())
    seen = json.loads(site.curl(f"{options} https://{SERVICE}/"))["headers"]
    assert seen["x-forwarded-for"] == site.app_address
    assert seen["x-real-ip"] == site.app_address
    assert seen["x-forwarded-host"] == SERVICE
    assert seen["x-forwarded-proto"] == "https"
    assert "x-forwarded-prefix" not in seen
    assert "forwarded" not in seen
    assert re.fullmatch(r"[0-9a-f-]{32,36}", seen["x-request-id"])


def test_administrators_paths_are_theirs(site: Site) -> None:
    assert fetch(site.edge, "/health").status == 200
    for path in ("/health", "/metrics", "/metrics/more"):
        assert site.curl(f"-o /dev/null -w '%{{http_code}}' https://{SERVICE}{path}") == "403"


SPELLINGS = [
    "/health",
    "/health/",
    "/health?a=b",
    "/%68ealth",
    "/%68%65%61%6c%74%68",
    "/%68%65%61%6C%74%68/",
    "/HEALTH",
    "/He%41lth",
    "//health",
    "///health//",
    "/%2Fhealth",
    "/./health",
    "/%2e/health",
    "/.%2Fhealth",
    "/x/../health",
    "/x/%2e%2e/health",
    "/x/.%2E/%68ealth",
    "/x%2F..%2fhealth",
    "/x/y/../../health",
    "/x//../health",
    "/static/../health",
    "/api/x/../../health",
    "/health;a=b",
    "/health%3Ba",
    "/health/;a",
    "/;a/health",
    "/;/health",
    "/health%2F",
    "/health%2Fx",
    "/health/x",
    "/health/./x",
    "/metrics/../health",
]


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_a_private_path_is_private_however_it_is_spelt(site: Site, protocol: str) -> None:
    eventually(lambda: burst(site, "/api/item", 8) == ["200"] * 8, 40)  # requests left to ask with
    time.sleep(10)
    urls = " ".join(f"'https://{SERVICE}{spelling}'" for spelling in SPELLINGS)
    options = f"-g --path-as-is {protocol} -w '%{{http_code}}\\n'"
    statuses = site.curl(f"{options} {'-o /dev/null ' * len(SPELLINGS)} {urls}").split()
    answers = dict(zip(SPELLINGS, statuses, strict=True))
    assert {path: status for path, status in answers.items() if status != "403"} == {}


@pytest.mark.parametrize(
    "target",
    [
        "/health",
        "/healthy",
        "/item/10.1000%2Fa%2Fb",
        "/item/10.1000%2fhealth",
        "/item/health",
        "/search/health/metrics",
        "/item//b/./c?q=%2F..%2Fhealth&r=a+b%20c",
        "/%C3%A9t%C3%A9;v=1",
    ],
)
def test_a_path_is_passed_on_as_it_was_sent(site: Site, target: str) -> None:
    # The client of the tests is an administrator, so that /health is among them.
    answer = raw(site.edge, f"GET {target} HTTP/1.1\r\nHost: {SERVICE}\r\n")
    assert answer.status == 200
    assert answer.json()["target"] == target


@pytest.mark.parametrize("target", ["/healthy", "/item/health", "/item/10.1000%2fhealth"])
def test_a_path_that_only_resembles_a_private_one_is_everybodys(site: Site, target: str) -> None:
    assert site.curl(f"-o /dev/null -w '%{{http_code}}' https://{SERVICE}{target}") == "200"


# --- the nodes behind it


def test_only_verified_nodes_are_used(disturbed: Site) -> None:
    for path in ("/", "/api/search"):
        answers = [fetch(disturbed.edge, f"{path}?{number}") for number in range(12)]
        assert {answer.status for answer in answers} == {200}
        assert {answer.json()["node"] for answer in answers} == set(NODES)
    disturbed.on_app("systemctl stop upstream@app1 upstream@app2")
    # Only the impostor is left, and it answers.
    assert fetch(disturbed.edge).status in {502, 503}


def test_affinity(site: Site) -> None:
    first = fetch(site.edge)
    cookie = first.headers["set-cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(re.split(r";\s*", cookie))
    kept = {"Cookie": cookie.partition(";")[0]}
    nodes = {fetch(site.edge, headers=kept).json()["node"] for _ in range(12)}
    assert nodes == {first.json()["node"]}
    assert "set-cookie" not in fetch(site.edge, headers=kept).headers
    assert "set-cookie" not in fetch(site.edge, "/api/search").headers
    assert site.serving() == set(NODES)


@pytest.mark.parametrize("path", ["/", "/api/item"])
def test_a_killed_node_costs_no_request(disturbed: Site, path: str) -> None:
    with Load(disturbed.edge, path, {"Cookie": "reader=1"}) as load:
        disturbed.on_app("systemctl kill -s KILL upstream@app1")
        time.sleep(3)
    assert load.failures == []
    assert set(load.nodes[-20:]) == {"app2"}


def test_a_node_that_drains_costs_no_request(disturbed: Site) -> None:
    with Load(disturbed.edge) as load:
        disturbed.on_app("touch /run/upstream-app1.draining")
        time.sleep(4)
        disturbed.on_app("systemctl stop upstream@app1")
        time.sleep(1)
        disturbed.on_app("rm /run/upstream-app1.draining; systemctl start upstream@app1")
        time.sleep(1)
    assert load.failures == []


def test_an_administrator_drains_a_node(disturbed: Site) -> None:
    with Load(disturbed.edge) as load:
        assert disturbed.run("research-edge drain app1").rc == 0
        time.sleep(1)
        assert disturbed.serving() == {"app2"}
        disturbed.run(f"systemctl reload {disturbed.proxy}")
        time.sleep(1)
        assert disturbed.serving() == {"app2"}, "a reload changes nothing about that"
        states = json.loads(disturbed.run("research-edge status").stdout)
        assert states["app1"]["state"] == "drain"
        assert disturbed.run("research-edge wait app1 idle --seconds 10").rc == 0
        assert disturbed.run("research-edge ready app1").rc == 0
        assert disturbed.run("research-edge wait app1 up --seconds 10").rc == 0
        eventually(lambda: disturbed.serving() == set(NODES))
    assert load.failures == []
    refused = disturbed.run("research-edge drain nobody")
    assert refused.rc == 1
    assert "there are: app1, app2, impostor" in refused.stderr


@pytest.mark.parametrize("path", ["/unavailable", "/api/unavailable"])
def test_the_applications_own_503_is_the_answer(site: Site, path: str) -> None:
    def refusals() -> int:
        return sum(node["refused"] for node in site.asked_directly())

    before = refusals()
    answer = fetch(site.edge, path)
    assert (answer.status, answer.text) == (503, "not now")
    assert refusals() == before + 1, "no other node was asked for the same"
    assert fetch(site.edge).status == 200


@pytest.mark.parametrize("path", ["/assistant/events", "/api/events"])
def test_event_streams_arrive_as_they_are_sent(site: Site, path: str) -> None:
    connection = Connection(site.edge)
    accepted = {"Accept": "text/event-stream", "Accept-Encoding": "gzip"}
    start = time.monotonic()
    connection.request("GET", path, headers=accepted)
    response = connection.getresponse()
    arrived = []
    while line := response.readline():
        if line.strip():
            arrived.append(time.monotonic() - start)
    assert response.getheader("Content-Encoding") is None
    assert len(arrived) == 5
    assert arrived[0] < 0.5
    assert arrived[3] < 2
    assert arrived[4] - arrived[0] > 1.5


# --- limits


def burst(site: Site, path: str, count: int) -> list[str]:
    """Send requests from a limited client and return the status of each."""
    urls = f"https://{SERVICE}{path}?[1-{count}]"
    return site.curl(f"-o /dev/null -w '%{{http_code}}\\n' '{urls}'").split()


def test_too_many_requests_are_refused_politely(site: Site) -> None:
    assert set(burst(site, "/static/style.css", 150)) == {"200"}
    answers = site.curl(f"-i --http1.1 'https://{SERVICE}/?[1-150]'").split("HTTP/1.1 ")[1:]
    assert {answer[:3] for answer in answers[:30]} == {"200"}
    refused = [answer for answer in answers if answer.startswith("429")]
    assert refused
    assert len(refused) + sum(answer.startswith("200") for answer in answers) == 150
    head, _, body = refused[-1].partition("\r\n\r\n")
    assert re.search(r"(?i)retry-after: \d", head)
    assert '<html lang="en">' in body
    answers = site.curl(f"-i --http1.1 'https://{SERVICE}/api/item?[1-150]'").split("HTTP/1.1 ")
    head, _, body = next(answer for answer in answers if answer[:3] == "429").partition("\r\n\r\n")
    assert re.search(r"(?i)retry-after: \d", head)
    assert json.loads(body)["error"] == "too_many_requests"
    assert fetch(site.edge).status == 200, "others are not limited"
    eventually(lambda: burst(site, "/", 1) == ["200"], 40)


def test_missing_static_files_count_as_requests(site: Site) -> None:
    eventually(lambda: burst(site, "/", 1) == ["200"], 40)
    time.sleep(10)  # until there are requests left for this client
    assert set(burst(site, "/static/style.css", 60)) == {"200"}
    statuses = burst(site, "/static/missing-[1-150].css", 1)
    assert set(statuses) == {"404", "429"}
    assert statuses[0] == "404"
    assert "429" in burst(site, "/", 20), "they count for all requests of the client"
    eventually(lambda: burst(site, "/", 1) == ["200"], 40)


def test_too_many_connections_are_refused(site: Site) -> None:
    time.sleep(5)  # until there are requests left for this client
    urls = f"https://{SERVICE}/slow?1.[100-130]"
    options = "--http1.1 --parallel --parallel-immediate --parallel-max 20"
    statuses = site.curl(f"{options} -o /dev/null -w '%{{http_code}}\\n' '{urls}'").split()
    assert set(statuses) == {"200", "429"}
    assert statuses.count("200") >= 10
    eventually(lambda: burst(site, "/", 1) == ["200"], 40)


def test_large_requests_are_refused(site: Site) -> None:
    assert fetch(site.edge, "/", "POST", body=b"x" * 90_000).status == 200
    refused = fetch(site.edge, "/", "POST", body=b"x" * 110_000)
    assert refused.status == 413
    assert '<html lang="en">' in refused.text
    # Without a stated length as well.
    try:
        status = fetch(site.edge, "/", "POST", body=iter([b"x" * 60_000] * 2)).status
    except OSError:
        status = 413
    assert status in {411, 413}


def test_a_client_that_dawdles_is_cut_off(site: Site) -> None:
    with (
        socket.create_connection((site.edge, 443)) as plain,
        context().wrap_socket(plain, server_hostname=SERVICE) as slow,
    ):
        slow.settimeout(10)
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
        start = time.monotonic()
        with contextlib.suppress(ConnectionResetError):  # the blunter way to end it
            slow.recv(4096)
        assert time.monotonic() - start < 6


# --- cache, errors, logs


def test_static_files_are_kept_at_the_edge(site: Site) -> None:
    path = f"/static/{time.time_ns()}.css"
    first, second = fetch(site.edge, path), fetch(site.edge, path)
    assert first.headers["cache-control"] == "public, max-age=3600"
    assert first.headers["x-cache-status"] == "MISS"
    assert second.headers["x-cache-status"] == "HIT"
    assert second.body == first.body
    packed = fetch(site.edge, path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"


def test_api_answers_are_kept_for_anonymous_readers_only(site: Site) -> None:
    path = f"/api/search?q={time.time_ns()}"
    first, second = fetch(site.edge, path), fetch(site.edge, path)
    own = fetch(site.edge, path, headers={"Cookie": "session=1"})
    signed = fetch(site.edge, path, headers={"Authorization": "Bearer a"})
    if site.proxy == "nginx":
        assert second.headers["x-cache-status"] == "HIT"
        assert second.body == first.body
    assert own.body != first.body
    assert signed.body not in {first.body, own.body}


def test_an_edge_without_nodes_apologises(disturbed: Site) -> None:
    disturbed.on_app("systemctl stop upstream@app1 upstream@app2 upstream@impostor")
    eventually(lambda: fetch(disturbed.edge).status in {502, 503})
    page = fetch(disturbed.edge)
    assert page.status in {502, 503}
    assert page.headers["content-type"].startswith("text/html")
    assert '<html lang="en">' in page.text
    assert "<title>The library search is taking a short break</title>" in page.text
    assert page.headers["retry-after"]
    api = fetch(disturbed.edge, "/api/search?x")
    assert api.headers["content-type"] == "application/json"
    assert api.json()["error"] == "unavailable"


def test_the_log_has_paths_and_no_queries(site: Site) -> None:
    path = f"/log-{time.time_ns()}"
    fetch(site.edge, f"{path}?q=my-secret-interest")
    fetch(site.edge, f"{path}-0?q=my-secret-interest", headers={"X-Request-ID": "spoofed-id"})
    eventually(lambda: path in site.run(f"journalctl -o cat -n 50 -t {site.proxy}").stdout)
    line = next(
        line
        for line in site.run(f"journalctl -o cat -n 50 -t {site.proxy}").stdout.splitlines()
        if path in line
    )
    assert re.search(
        rf'client=10\.78\.0\.1 request_id=[0-9a-f-]+ method=GET path="{path}" .*status=200', line
    )
    everything = site.run("journalctl; cat /var/log/nginx/* /var/log/haproxy* 2>/dev/null").stdout
    assert "my-secret-interest" not in everything
    assert "spoofed-id" not in everything


# --- administration


def stats(site: Site, path: str, password: str) -> http.client.HTTPResponse:
    """Ask for the statistics."""
    trusting = ssl.create_default_context(cafile=str(EPHEMERAL / "pki/ca.pem"))
    trusting.check_hostname = False
    connection = http.client.HTTPSConnection(site.edge, 8404, timeout=5, context=trusting)
    credentials = base64.b64encode(f"admin:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"} if password else {}
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def test_statistics_are_for_administrators(site: Site) -> None:
    password = (EPHEMERAL / "stats").read_text().split()[0]
    assert stats(site, "/", "").status == 401
    assert stats(site, "/", "wrong-password").status == 401
    page = stats(site, "/", password)
    assert page.status == 200
    assert ("research_pages" if site.proxy == "haproxy" else "Active connections") in (
        page.read().decode()
    )
    if site.proxy == "haproxy":
        assert b"haproxy_server_status" in stats(site, "/metrics", password).read()
    refused = site.on_app(
        f"curl -sk -m 5 -o /dev/null -w '%{{http_code}}' -u admin:{password} https://{site.edge}:8404/"
    )
    assert refused.stdout in {"000", "403"}


def test_secrets_are_roots(site: Site) -> None:
    password = (EPHEMERAL / "stats").read_text().split()[0]
    readable = site.run(
        f"grep -rlsF -e {password} /etc /run/research-edge | xargs -r stat -c '%a %n'"
    ).stdout.splitlines()
    assert readable
    assert all(line.split()[0] in {"600", "640"} for line in readable), readable
    assert password not in site.run("ps -eo args; systemctl show-environment").stdout
    if site.proxy == "haproxy":
        assert site.run("stat -c '%a %U' /run/haproxy/admin.sock").stdout.strip() == "600 root"


@pytest.mark.parametrize(
    ("unit", "highest"), [("proxy", 2.3), ("keepalived", 3.0), ("research-watchdog", 2.0)]
)
def test_units_can_do_little(site: Site, unit: str, highest: float) -> None:
    unit = site.proxy if unit == "proxy" else unit
    analysed = site.run(f"systemd-analyze security --no-pager {unit}").stdout
    assert float(re.findall(r"exposure level for .*: ([\d.]+)", analysed)[0]) <= highest, analysed


def test_a_reload_loses_no_request(site: Site) -> None:
    with Load(site.edge) as load:
        for _ in range(3):
            assert site.run(f"systemctl reload {site.proxy}").rc == 0
            time.sleep(0.7)
    assert load.failures == []


def test_what_is_on_disk_is_loaded_even_if_a_run_was_cut_off(site: Site) -> None:
    config = {"haproxy": "/etc/haproxy/haproxy.cfg", "nginx": "/etc/nginx/nginx.conf"}[site.proxy]
    assert f"{site.proxy}: current" in site.run("research-edge apply").stdout
    site.run(f"echo '# changed' >> {config}")
    try:
        assert f"{site.proxy}: reloaded" in site.run("research-edge apply").stdout
        assert f"{site.proxy}: current" in site.run("research-edge apply").stdout
    finally:
        site.run(f"sed -i '$d' {config}; research-edge apply")


# --- the address that moves


def test_the_address_is_on_one_edge(site: Site) -> None:
    eventually(lambda: len(site.holders()) == 1)
    assert fetch(site.vip).status == 200


def test_the_address_leaves_an_edge_whose_proxy_is_dead(disturbed: Site) -> None:
    eventually(lambda: len(disturbed.holders()) == 1)
    (holder,) = disturbed.holders()
    (other,) = set(disturbed.edges) - {holder}
    kill = f"systemctl kill -s KILL {disturbed.proxy}; systemctl stop {disturbed.proxy}"
    with Load(disturbed.vip, timeout=2) as load:
        killed = float(disturbed.run(f"{kill}; date +%s.%N", holder).stdout)
        eventually(lambda: disturbed.holders() == [other])
        time.sleep(1)
    seconds = disturbed.became_holder(other) - killed
    print(f"the address moved after {seconds:.1f} s, readers waited {load.longest_gap:.1f} s")
    assert seconds <= 3
    assert load.longest_gap <= 5
    disturbed.run(f"systemctl start {disturbed.proxy}", holder)
    time.sleep(4)
    assert disturbed.holders() == [other], "an edge that returns pushes nobody aside"


def test_the_address_leaves_an_edge_whose_proxy_hangs(disturbed: Site) -> None:
    eventually(lambda: len(disturbed.holders()) == 1)
    (holder,) = disturbed.holders()
    (other,) = set(disturbed.edges) - {holder}
    main_process = f"systemctl show -p MainPID --value {disturbed.proxy}"
    with Load(disturbed.vip, timeout=1.5) as load:
        hung = disturbed.run(main_process, holder).stdout
        stop = f"date +%s.%N; systemctl kill -s STOP {disturbed.proxy}"
        stopped = float(disturbed.run(stop, holder).stdout)
        eventually(lambda: disturbed.holders() == [other])
        time.sleep(1)
    seconds = disturbed.became_holder(other) - stopped
    print(f"the address moved after {seconds:.1f} s, readers waited {load.longest_gap:.1f} s")
    assert load.longest_gap <= 5
    said = disturbed.run("journalctl -o cat -n 5 -t research-edge-alive", holder).stdout
    assert f"{disturbed.proxy} accepts a connection and does not answer on port 8405" in said
    replaced = eventually(lambda: disturbed.run(main_process, holder).stdout != hung, 30)
    eventually(lambda: fetch(disturbed.edges[holder]).status == 200)
    print(f"it was replaced {replaced:.1f} s later")
    said = disturbed.run("journalctl -o cat -n 20 -u research-watchdog", holder).stdout
    assert f"{disturbed.proxy}.service hangs: it accepts a connection on port 8405" in said


def test_a_keepalived_that_hangs_is_replaced_and_leaves_the_address(disturbed: Site) -> None:
    eventually(lambda: len(disturbed.holders()) == 1)
    (holder,) = disturbed.holders()
    (other,) = set(disturbed.edges) - {holder}
    disturbed.run("systemctl kill -s STOP keepalived", holder)
    eventually(lambda: disturbed.holders() == [other], 40)
    said = disturbed.run("journalctl -o cat -n 20 -u research-watchdog", holder).stdout
    assert "keepalived.service hangs: it has not touched" in said
    assert fetch(disturbed.vip).status == 200


def test_what_is_stopped_on_purpose_stays_so(disturbed: Site) -> None:
    name = list(disturbed.edges)[1]
    disturbed.run(f"systemctl stop {disturbed.proxy} keepalived", name)
    time.sleep(15)
    for unit in (disturbed.proxy, "keepalived"):
        assert disturbed.run(f"systemctl is-active {unit}", name).stdout.strip() == "inactive"


def test_a_proxy_that_dies_is_started_again(disturbed: Site) -> None:
    eventually(lambda: len(disturbed.holders()) == 1)
    (holder,) = disturbed.holders()
    active = f"systemctl is-active {disturbed.proxy}"
    with Load(disturbed.vip, timeout=2) as load:
        disturbed.run(f"systemctl kill -s KILL {disturbed.proxy}", holder)
        time.sleep(1)
        eventually(lambda: disturbed.run(active, holder).stdout.strip() == "active", 30)
    assert load.longest_gap <= 5
