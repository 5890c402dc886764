"""Files over HTTP: they stay in the workspace, and come out as attachments that can do nothing."""

import io
import zipfile
from collections.abc import Iterator

import pytest
from live_server import Live


def files(kernel: str) -> str:
    return f"/api/jupyter/kernel/{kernel}/files"


def test_a_file_is_created_replaced_listed_and_deleted(live: Live, kernel: str) -> None:
    url = f"{files(kernel)}/data/a b.csv"
    created = live.put(url, content=b"x,y\n1,2\n")
    assert created.status_code == 201
    assert set(created.json()) == {"path", "size", "modified"}
    assert (created.json()["path"], created.json()["size"]) == ("data/a b.csv", 8)
    assert live.put(url, content=b"x\n").status_code == 200
    listed = {entry["path"]: (entry["type"], entry["size"]) for entry in live.get(files(kernel)).json()}
    assert listed["data/a b.csv"] == ("file", 2)
    assert listed["data"][0] == "directory"
    assert live.delete(url).status_code == 204
    assert live.get(url).json()["error"]["code"] == "file_not_found"


def test_the_code_and_the_api_see_the_same_files(live: Live, kernel: str) -> None:
    live.put(f"{files(kernel)}/in.txt", content=b"abc")
    code = "open('out.txt', 'w').write(open('in.txt').read()[::-1])"
    live.post("/api/jupyter/execute", json={"code": code, "kernel_id": kernel})
    assert live.get(f"{files(kernel)}/out.txt").content == b"cba"


def test_an_upload_may_come_in_pieces_of_unknown_number(live: Live, kernel: str) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 100_000

    assert live.put(f"{files(kernel)}/big", content=pieces()).json()["size"] == 300_000


def test_hostile_html_leaves_as_an_attachment_that_can_do_nothing(live: Live, kernel: str) -> None:
    live.put(f"{files(kernel)}/evil.html", content=b"<script>alert(1)</script>")
    answer = live.get(f"{files(kernel)}/evil.html")
    assert answer.headers["content-disposition"].startswith('attachment; filename="evil.html"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


def test_a_name_from_outside_cannot_break_the_header(live: Live, kernel: str) -> None:
    live.put(f"{files(kernel)}/ü%22%0d%0ax%3A y.txt", content=b"1")
    header = live.get(f"{files(kernel)}/ü%22%0d%0ax%3A y.txt").headers["content-disposition"]
    assert header == "attachment; filename=\"____x: y.txt\"; filename*=UTF-8''%C3%BC%22%0D%0Ax%3A%20y.txt"


@pytest.mark.parametrize(
    ("header", "content", "content_range"),
    [("bytes=2-4", b"234", "bytes 2-4/10"), ("bytes=-2", b"89", "bytes 8-9/10"), ("bytes=8-", b"89", "bytes 8-9/10")],
)
def test_a_part_of_a_file_is_answered_as_such(
    live: Live, kernel: str, header: str, content: bytes, content_range: str
) -> None:
    live.put(f"{files(kernel)}/digits", content=b"0123456789")
    answer = live.get(f"{files(kernel)}/digits", headers={"Range": header})
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, content, content_range)
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_part_that_is_not_there_is_not_satisfiable(live: Live, kernel: str) -> None:
    live.put(f"{files(kernel)}/digits", content=b"0123456789")
    answer = live.get(f"{files(kernel)}/digits", headers={"Range": "bytes=10-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")
    assert answer.json()["error"]["code"] == "range_not_satisfiable"


def test_an_empty_file_is_a_file(live: Live, kernel: str) -> None:
    live.put(f"{files(kernel)}/empty", content=b"")
    answer = live.get(f"{files(kernel)}/empty")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_all_files_come_as_one_zip(live: Live, kernel: str) -> None:
    live.put(f"{files(kernel)}/a/b.txt", content=b"1")
    live.put(f"{files(kernel)}/c.txt", content=b"2")
    answer = live.get(files(kernel), params={"format": "zip"})
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert {name: archive.read(name) for name in archive.namelist()} == {"a/b.txt": b"1", "c.txt": b"2"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "../escape.txt",
        "a/../../escape.txt",
        "%2e%2e/escape.txt",
        "%2e%2e%2fescape.txt",
        "a%2f..%2f..%2fescape.txt",
        "%252e%252e%252fescape.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "a%00b",
        "..",
        "..%5cescape.txt",
    ],
)
def test_a_path_that_leaves_the_workspace_is_refused_in_any_encoding(
    live: Live, kernel: str, method: str, path: str
) -> None:
    request = (
        f"{method} {files(kernel)}/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with live.dial() as connection:  # a client library would tidy the path up
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"invalid_path"' in answer


def test_what_is_no_regular_file_is_a_conflict(live: Live, kernel: str) -> None:
    code = "import os\nos.symlink('/etc/passwd', 'link')\nos.mkfifo('pipe')\nos.mkdir('directory')"
    live.post("/api/jupyter/execute", json={"code": code, "kernel_id": kernel})
    for name in ("link", "pipe", "directory"):
        answer = live.get(f"{files(kernel)}/{name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_a_regular_file")
    assert "root:" not in live.get(files(kernel), params={"format": "zip"}).text


def test_an_upload_over_the_cap_is_too_large_however_it_is_announced(live: Live, kernel: str) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(5):
            yield b"x" * (1 << 20)

    with_length = live.put(f"{files(kernel)}/big", content=b"x" * (5 << 20))
    without = live.put(f"{files(kernel)}/big", content=pieces())
    for answer in (with_length, without):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "upload_too_large")
        assert "4,194,304" in answer.json()["error"]["message"]
    assert live.get(files(kernel)).json() == []
