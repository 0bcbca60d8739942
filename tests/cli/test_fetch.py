"""nn-meter fetch against a real HTTP server: what breaks is gone on with, what is wrong leaves nothing behind."""

import hashlib
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import archives
import http_server
import pytest
from http_server import breaking, head, redirect, whole

GOOD = archives.good()
ETAG = 'ETag: "one"'
NO_PROXY = {name: "" for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")}


@pytest.fixture
def server():
    it = http_server.Server()
    yield it
    it.close()


@pytest.fixture
def fetch(run, server):
    """fetch(...) of phone from the server -> CompletedProcess"""

    def start(*arguments, name="phone", url=None):
        return run("fetch", name, "--url", url or server.url, "--timeout", "2", *arguments, environment=NO_PROXY)

    if "was built without" in run("fetch", "phone", "--url", "http://127.0.0.1:1").stderr:
        pytest.skip("fetch: this program was built without libcurl or libzip")
    return start


def left(place):
    folder = place / "home/data/predictor"
    assert folder.exists() or not folder.parent.exists()
    assert not folder.exists() or any(folder.iterdir())  # an empty one was made for nothing
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def expect_failure(result, place, part):
    assert (result.returncode, result.stdout) == (1, ""), result
    assert part in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("nn-meter: error: ")
    assert left(place) == []
    assert sorted(path.name for path in (place / "home/predictors").iterdir()) == ["tiny-1.0.nnmeter"]


def expect_success(result, place):
    assert result.returncode == 0, result.stderr
    assert result.stdout == "(nn-Meter) Successfully register predictor: phone\n"
    names = ["bn.pkl", "conv-bn-relu.pkl", "fusion_rules.json"]
    assert left(place) == ["phone", *(f"phone/{name}" for name in names)]
    assert (place / "home/data/predictor/phone/bn.pkl").read_bytes() == archives.PICKLE


# ------------------------------------------------------------------ when all is well


@pytest.mark.parametrize("folder", ["phone/", "", "some/where else/"])
def test_fetch(fetch, run, place, server, folder):
    body = archives.good(folder)
    server.answers["/phone.zip"] = whole(body)
    result = fetch()
    expect_success(result, place)
    assert f"SHA-256 {hashlib.sha256(body).hexdigest()};" in result.stderr and "\r" not in result.stderr
    assert "[Predictor] phone: version=1.0\n" in run("--list-predictors").stdout
    assert run("predict", "--predictor", "phone", "net.onnx").returncode == 0
    again = fetch()
    assert again.returncode == 0 and "is there already" in again.stderr
    assert len(server.requests) == 1


def test_addresses(fetch, place, server):
    server.answers["/a/phone.zip"] = server.answers["/b.ZIP?x=/y"] = whole(GOOD)
    for url in ("/a", "/a/", "/a/phone.zip", "/b.ZIP?x=/y"):
        expect_success(fetch(url=server.url + url), place)
        shutil.rmtree(place / "home/data")


def test_data_folder(fetch, place, server):
    (place / "home/config").mkdir()
    (place / "home/config/settings.yaml").write_text(f"data_folder: {place}/data\n")
    server.answers["/phone.zip"] = whole(GOOD)
    assert fetch().returncode == 0
    assert (place / "data/predictor/phone/fusion_rules.json").exists()


def test_predictor_file(fetch, run, place, server):
    source = place / "home/predictors/tiny-1.0.nnmeter"
    body = source.read_bytes()
    server.answers["/tiny.nnmeter"] = whole(body)
    url = server.url + "/tiny.nnmeter"
    result = fetch(url=url, name="tiny")
    assert result.returncode == 1 and "has a version 1.0 already" in result.stderr
    source.unlink()
    result = fetch(url=url, name="other")
    assert result.returncode == 1 and "holds predictor 'tiny', not 'other'" in result.stderr
    assert not source.exists()
    assert fetch(url=url, name="tiny").returncode == 0
    assert source.read_bytes() == body and left(place) == []


def test_pinned(fetch, place, server):
    server.answers["/phone.zip"] = whole(GOOD)
    digest = hashlib.sha256(GOOD).hexdigest()
    expect_failure(
        fetch("--sha256", digest.replace(digest[0], "0" if digest[0] != "0" else "1")), place, "has SHA-256 "
    )
    expect_failure(fetch("--sha256", "abc"), place, "is no SHA-256")
    result = fetch("--sha256", digest.upper())
    expect_success(result, place)
    assert "SHA-256" not in result.stderr


# ------------------------------------------------------------------ connections that break


@pytest.mark.parametrize("end", ["closed", "reset"])
@pytest.mark.parametrize("validator", [ETAG, "Last-Modified: Tue, 01 Jan 2019 00:00:00 GMT"])
def test_resume(fetch, place, server, end, validator):
    pieces = [100, 200, 1, 300]
    inner = breaking(GOOD, pieces, validator)
    is_reset = end == "reset"
    server.answers["/phone.zip"] = lambda request: inner(request) + [0.1, None] * (is_reset and request.before < 4)
    expect_success(fetch(), place)
    assert len(server.requests) == 5
    if not is_reset:  # a reset may overtake what was sent before it
        assert [request.range_start for request in server.requests] == [None, 100, 300, 301, 601]
    if validator == ETAG:
        assert all(request.headers.get("if-range") == '"one"' for request in server.requests[1:])


def test_nothing_is_joined_without_knowing_that_it_fits(fetch, place, server):
    server.answers["/phone.zip"] = breaking(GOOD, [300])
    expect_success(fetch(), place)
    assert [request.range_start for request in server.requests] == [None, None]


def test_a_pin_is_enough_to_join(fetch, place, server):
    server.answers["/phone.zip"] = breaking(GOOD, [300])
    expect_success(fetch("--sha256", hashlib.sha256(GOOD).hexdigest()), place)
    assert [request.range_start for request in server.requests] == [None, 300]


def test_a_weak_etag_is_none(fetch, place, server):
    server.answers["/phone.zip"] = breaking(GOOD, [300], 'ETag: W/"one"')
    expect_success(fetch(), place)
    assert [request.range_start for request in server.requests] == [None, None]


def test_a_server_that_ignores_ranges(fetch, place, server):
    server.answers["/phone.zip"] = breaking(GOOD, [300], ETAG, honours_range=False)
    expect_success(fetch(), place)
    assert server.requests[1].range_start == 300


def test_a_file_that_changes_meanwhile(fetch, place, server):
    other = archives.archive([("old", os.urandom(500)), *archives.files()])
    first, then = breaking(other, [300], ETAG), breaking(GOOD, [], 'ETag: "two"')
    server.answers["/phone.zip"] = lambda request: (then if request.before else first)(request)
    expect_success(fetch(), place)


def wrong_range(request):
    if request.range_start is None and not request.before:
        return [head(200, ETAG, length=len(GOOD)), GOOD[:300]]
    if request.range_start:  # from the beginning, although from 300 on was wanted
        return [head(206, f"Content-Range: bytes 0-{len(GOOD) - 1}/{len(GOOD)}", length=len(GOOD)), GOOD]
    return [head(200, ETAG, length=len(GOOD)), GOOD]


def refused_range(request):
    if request.range_start:
        return [head(416, length=0)]
    return [head(200, ETAG, length=len(GOOD)), GOOD if request.before else GOOD[:300]]


def short_range(request):
    start = request.range_start or 0
    if not start:
        return [head(200, ETAG, length=len(GOOD)), GOOD[:300]]
    piece = GOOD[start : start + 400]
    return [head(206, f"Content-Range: bytes {start}-{start + len(piece) - 1}/{len(GOOD)}", length=len(piece)), piece]


@pytest.mark.parametrize("answer", [wrong_range, refused_range, short_range])
def test_ranges_that_are_answered_wrongly(fetch, place, server, answer):
    server.answers["/phone.zip"] = answer
    expect_success(fetch(), place)


def test_a_server_that_is_busy(fetch, place, server):
    good = whole(GOOD)
    server.answers["/phone.zip"] = lambda request: good(request) if request.before > 1 else [head(503, length=0)]
    expect_success(fetch(), place)


def test_a_connection_that_stands_still(fetch, place, server):
    good = breaking(GOOD, [300], ETAG)
    server.answers["/phone.zip"] = lambda request: [*good(request), *([60.0] if not request.before else [])]
    expect_success(fetch("--timeout", "1"), place)
    assert server.requests[1].range_start == 300


# ------------------------------------------------------------------ a later run goes on


def parts(place):
    """{suffix: content} of what is kept of downloads."""
    folder = place / "home/cache/downloads"
    found = list(folder.iterdir()) if folder.exists() else []
    assert len({path.stem for path in found}) == len(found) / 2 <= 1, found
    assert found or not folder.exists()
    return {path.suffix: path.read_bytes() for path in found}


def breaks_off(size, *headers, body=GOOD):
    """Answers that bring the first bytes and then no more, however often they are asked."""

    def answer(request):
        if request.range_start:
            return [None]
        return [head(200, *headers, length=len(body)), body[:size]]

    return answer


KEPT = r"the download failed: .* \(1 KB are kept: the same command goes on there\)"


def fails_in_the_middle(fetch, place, server, *headers, options=()):
    server.answers["/phone.zip"] = breaks_off(300, *headers)
    result = fetch(*options)
    expect_failure(result, place, "the download failed")
    assert re.search(KEPT, result.stderr), result.stderr
    assert parts(place)[".part"] == GOOD[:300]
    server.requests.clear()


def test_the_next_run_goes_on(fetch, place, server):
    fails_in_the_middle(fetch, place, server, ETAG)
    server.answers["/phone.zip"] = breaking(GOOD, [200], ETAG)
    expect_success(fetch(), place)
    assert [request.range_start for request in server.requests] == [300, 500]
    assert server.requests[0].headers["if-range"] == '"one"' and parts(place) == {}


def test_a_pin_is_enough_for_the_next_run(fetch, place, server):
    options = ("--sha256", hashlib.sha256(GOOD).hexdigest())
    fails_in_the_middle(fetch, place, server, options=options)
    server.answers["/phone.zip"] = breaking(GOOD, [])
    expect_success(fetch(), place)  # without the pin: something else is wanted
    assert [request.range_start for request in server.requests] == [None]
    shutil.rmtree(place / "home/data")
    expect_success(fetch(*options), place)
    assert server.requests[-1].range_start == 300 and parts(place) == {}


def test_what_nobody_can_go_on_with_is_not_kept(fetch, place, server):
    server.answers["/phone.zip"] = breaks_off(300)
    result = fetch()
    expect_failure(result, place, "the download failed")
    assert "kept" not in result.stderr and parts(place) == {}


@pytest.mark.parametrize("etag", ['ETag: "two"', "X: y"])
def test_a_file_that_has_changed_since(fetch, place, server, etag):
    fails_in_the_middle(fetch, place, server, ETAG)
    other = archives.archive([("new", os.urandom(500)), *archives.files()])
    server.answers["/phone.zip"] = breaking(other, [], etag)
    expect_success(fetch(), place)
    assert [request.range_start for request in server.requests] == [300] and parts(place) == {}


def test_a_part_that_is_not_what_it_says(fetch, place, server):
    """Joined with the rest it is refused, and gone: the next run begins anew."""
    fails_in_the_middle(fetch, place, server, ETAG)
    path = next((place / "home/cache/downloads").glob("*.part"))
    path.write_bytes(bytes(300))
    server.answers["/phone.zip"] = breaking(GOOD, [], ETAG)
    assert fetch().returncode == 1 and left(place) == [] and parts(place) == {}
    expect_success(fetch(), place)


@pytest.mark.parametrize("note", [None, b"", b'"one"\n', b'"one"\r\nX: y\n', bytes(2000), b'"on\x01e"\nhttp://a\n\n'])
def test_a_part_without_its_note(fetch, place, server, note):
    fails_in_the_middle(fetch, place, server, ETAG)
    path = next((place / "home/cache/downloads").glob("*.from"))
    path.unlink() if note is None else path.write_bytes(note)
    server.answers["/phone.zip"] = breaking(GOOD, [], ETAG)
    expect_success(fetch(), place)
    assert [request.range_start for request in server.requests] == [None] and parts(place) == {}


def test_a_part_that_is_a_link(fetch, place, server):
    fails_in_the_middle(fetch, place, server, ETAG)
    path = next((place / "home/cache/downloads").glob("*.part"))
    mine = place / "mine"
    mine.write_bytes(b"precious")
    path.unlink()
    path.symlink_to(mine)
    server.answers["/phone.zip"] = breaking(GOOD, [], ETAG)
    expect_success(fetch(), place)
    assert mine.read_bytes() == b"precious" and server.requests[0].range_start is None


def test_the_size_limit_counts_what_is_there(fetch, place, server):
    body = os.urandom(3 << 20)
    server.answers["/phone.zip"] = breaks_off(2 << 20, ETAG, body=body)
    expect_failure(fetch(), place, "(2048 KB are kept: the same command goes on there)")
    server.answers["/phone.zip"] = breaking(body, [], ETAG)
    server.requests.clear()
    expect_failure(fetch("--size-limit", "1"), place, "is larger than 1 MB; raise --size-limit")
    assert server.requests[0].range_start is None and parts(place) == {}
    server.answers["/phone.zip"] = breaks_off(2 << 20, ETAG, body=body)
    fetch()
    server.answers["/phone.zip"] = breaking(body, [], ETAG)
    expect_failure(fetch("--size-limit", "2"), place, "is larger than 2 MB; raise --size-limit")
    assert parts(place) == {}


def test_a_file_that_is_gone_takes_its_part_along(fetch, place, server):
    fails_in_the_middle(fetch, place, server, ETAG)
    server.answers["/phone.zip"] = lambda request: [head(404, length=0)]
    expect_failure(fetch(), place, "has no such file (404)")
    assert parts(place) == {}


def test_parts_that_nobody_came_back_for(fetch, place, server):
    fails_in_the_middle(fetch, place, server, ETAG)
    month_ago = time.time() - 31 * 24 * 3600
    for path in (place / "home/cache/downloads").iterdir():
        os.utime(path, (month_ago, month_ago))
    (place / "home/cache/downloads/readme.txt").write_text("mine")
    server.answers["/other.zip"] = whole(GOOD)
    expect_success(fetch(url=server.url + "/other.zip"), place)
    assert [path.name for path in (place / "home/cache/downloads").iterdir()] == ["readme.txt"]


def test_a_cache_that_cannot_be_written(fetch, place, server):
    assert not (place / "home/cache").exists(), "a folder for nothing"
    (place / "home/cache").write_text("a file where the folder should be")
    server.answers["/phone.zip"] = breaking(GOOD, [300], ETAG)
    expect_success(fetch(), place)
    assert [request.range_start for request in server.requests] == [None, 300]


# ------------------------------------------------------------------ what is refused


def chunked(body):
    chunks = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    return [head(200, "Transfer-Encoding: chunked"), *(f"{len(c):x}\r\n".encode() + c + b"\r\n" for c in chunks)]


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (lambda request: [head(404, length=0)], "has no such file (404)"),
        (lambda request: [head(403, length=0)], "answers 403"),
        (lambda request: [head(500, length=3), b"abc"], "answers 500"),
        (lambda request: [head(200, length=len(GOOD)), GOOD[:300]], "the download failed"),
        (lambda request: [head(200, ETAG, length=len(GOOD) + 5), GOOD], "the server answers 416"),
        (lambda request: [head(200, length=len(GOOD) - 40), GOOD], "is no ZIP archive"),
        (lambda request: [head(200, length=2**60), GOOD], "is larger than 2048 MB"),
        (lambda request: [head(206, "Content-Range: bytes 0-9/99", length=10), GOOD[:10]], "download failed"),
        (lambda request: [], "the download failed"),
        (lambda request: [b"\0\1garbage\r\n\r\n"], "the download failed"),
        (lambda request: [head(200, f"X: {'y' * 500000}")], "the download failed"),
        (lambda request: [head(404), b"x" * (2 << 20)], "the download failed"),
    ],
)
def test_bad_answers(fetch, place, server, answer, part):
    def honest_about_the_end(request):  # what a server says to a range behind the end of its file
        return [head(416, length=0)] if request.range_start else answer(request)

    server.answers["/phone.zip"] = honest_about_the_end
    expect_failure(fetch(), place, part)
    assert len(server.requests) <= 5


@pytest.mark.parametrize("size", [None, 3 << 20])
def test_size_limit(fetch, place, server, size):
    body = os.urandom(3 << 20)
    server.answers["/phone.zip"] = lambda request: [head(200, length=size), body] if size else chunked(body)
    expect_failure(fetch("--size-limit", "1"), place, "is larger than 1 MB; raise --size-limit")


def test_redirects(fetch, place, server):
    for number in range(6):
        server.answers[f"/{number}"] = redirect(f"/{number + 1}", 301 + number % 2)
    server.answers["/6"] = whole(GOOD)
    server.answers["/phone.zip"] = redirect("/2")
    expect_success(fetch(), place)
    shutil.rmtree(place / "home/data")
    server.answers["/phone.zip"] = redirect("/1")
    expect_failure(fetch(), place, "sends us on more than 5 times")
    server.answers["/phone.zip"] = redirect("/phone.zip")
    expect_failure(fetch(), place, "sends us on more than 5 times")


def test_a_redirect_to_another_host(fetch, place, server):
    port = server.url.rsplit(":", 1)[1]
    server.answers["/phone.zip"] = redirect(f"http://localhost:{port}/other")
    server.answers["/other"] = whole(GOOD)
    expect_success(fetch(), place)


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("file:///etc/passwd", "neither https nor http"),
        ("ftp://127.0.0.1/x", "neither https nor http"),
        ("gopher://127.0.0.1:1/x", "neither https nor http"),
        ("http://example.invalid/phone.zip", "redirected to example.invalid is plain http"),
        ("http://127.0.0.1.example.invalid/phone.zip", "is plain http"),
        ("http://localhost@example.invalid/phone.zip", "example.invalid is plain http"),
    ],
)
def test_redirects_that_are_not_followed(fetch, place, server, target, part):
    server.answers["/phone.zip"] = redirect(target)
    expect_failure(fetch(), place, part)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://example.invalid/", "is plain http, which anybody on the way can change"),
        ("file:///etc", "neither https nor http"),
        ("phone.zip", "is no URL"),
    ],
)
def test_addresses_that_are_refused(fetch, place, url, part):
    expect_failure(fetch(url=url), place, part)


def test_plain_http_on_request(fetch, place):
    expect_failure(fetch("--allow-http", url="http://phone.invalid"), place, "cannot reach phone.invalid")


def test_offline(fetch, place, server):
    expect_failure(fetch(url="https://phone.invalid"), place, "cannot reach phone.invalid: Could not resolve host")
    server.close()
    expect_failure(fetch(), place, "cannot reach 127.0.0.1: ")
    server.__init__()


# ------------------------------------------------------------------ hostile archives


@pytest.mark.parametrize("kind", archives.HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archives(fetch, place, server, kind):
    make, part = archives.HOSTILE[kind]
    server.answers["/phone.zip"] = whole(make())
    expect_failure(fetch(), place, part)
    assert not (place / "x.pkl").exists() and not (place / "home/x.pkl").exists()


# ------------------------------------------------------------------ what is in the way


def test_a_folder_that_is_no_whole_predictor(fetch, place, server):
    folder = place / "home/data/predictor/phone"
    folder.mkdir(parents=True)
    server.answers["/phone.zip"] = whole(GOOD)
    expect_success(fetch(), place)  # nn-Meter 2.0 leaves an empty one behind
    (folder / "fusion_rules.json").unlink()
    result = fetch()
    assert result.returncode == 1 and "is no whole predictor; move it away" in result.stderr
    assert (folder / "bn.pkl").exists()


def test_a_home_that_cannot_be_written(fetch, place, server):
    (place / "home/data").write_text("a file where the folder should be")
    server.answers["/phone.zip"] = whole(GOOD)
    result = fetch()
    assert result.returncode == 1 and "cannot make the folder" in result.stderr


def test_leftovers_of_a_killed_program_are_removed(fetch, place, server):
    leftover = place / "home/data/predictor/.fetch-abcdef/unpacked"
    leftover.mkdir(parents=True)
    (leftover / "bn.pkl").write_bytes(b"x")
    server.answers["/phone.zip"] = whole(GOOD)
    expect_success(fetch(), place)


@pytest.mark.parametrize("name", ["../phone", "all", "a/b", ""])
def test_names_that_are_refused(fetch, place, name):
    expect_failure(fetch(name=name), place, "name")


@pytest.fixture
def started(program, place, server):
    """fetch as a process of its own, its standard error a terminal: (process, read)."""
    server.answers["/phone.zip"] = lambda request: [head(200, ETAG, length=len(GOOD) + 400000), bytes(300000), 60.0]
    ours, theirs = pty.openpty()
    environment = {**os.environ, **NO_PROXY, "NN_METER_HOME": str(place / "home")}
    process = subprocess.Popen(
        [program, "fetch", "phone", "--url", server.url], stderr=theirs, env=environment, cwd=place
    )
    os.close(theirs)
    yield process, ours
    process.kill()
    process.wait()
    os.close(ours)


def test_progress_and_interruption(fetch, started, place):
    process, terminal = started
    text, end = "", time.monotonic() + 20
    while not re.search(r"\r\[#+\.+\] \d+/\d+ KB", text) and time.monotonic() < end:
        text += os.read(terminal, 1000).decode()
    assert left(place) and not (place / "home/data/predictor/phone").exists()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 1
    text += os.read(terminal, 1000).decode()
    assert re.search(r"stopped \(\d+ KB are kept: the same command goes on there\)", text)
    assert left(place) == [] and parts(place)[".part"] == bytes(300000)


def at_least(place, size):
    end = time.monotonic() + 20
    folder = place / "home/cache/downloads"
    while sum(path.stat().st_size for path in folder.glob("*.part")) < size and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_after_one_that_was_ended(fetch, started, place, server, how):
    process, _ = started
    at_least(place, 300000)
    process.send_signal(how)
    assert process.wait(20) != 0
    body = bytes(300000) + GOOD
    server.answers["/phone.zip"] = breaking(body, [], ETAG)
    server.requests.clear()
    fetch(
        "--timeout", "5"
    )  # the archive is refused: a ZIP file with something in front of it, or not; it was all there
    assert [request.range_start for request in server.requests] == [300000] and parts(place) == {}


def test_two_runs_at_once_do_not_share_a_part(fetch, started, place, server):
    process, _ = started
    at_least(place, 300000)
    server.answers["/phone.zip"] = breaking(GOOD, [], ETAG)
    server.requests.clear()
    assert fetch().returncode == 0 and "phone/fusion_rules.json" in left(place)
    assert [request.range_start for request in server.requests] == [None]
    assert process.poll() is None and parts(place)[".part"] == bytes(300000)


def test_usage(run):
    assert run("fetch").returncode == 2
    assert run("fetch", "a", "b").returncode == 2
