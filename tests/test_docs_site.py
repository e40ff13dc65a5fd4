"""The built documentation in a browser, and its links."""

import functools
import html
import json
import re
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

SITE = Path(__file__).resolve().parents[1] / "docs" / "_build" / "html"
PAGES = [
    "index.html",
    "user_guide/imputation.html",
    "generated/skmissing.inspection.modality_importance.html",
    "auto_examples/index.html",
]
WIDTHS = [400, 1300]
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync
--enable-logging=stderr --dump-dom --virtual-time-budget=20000""".split()
# Waits for all pages, and writes what is wrong with them.
SCRIPT = """
onload = () => {
  const wrong = [];
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, add = (text) => wrong.push(frame.title + text);
    if (!page.querySelector("h1")) add("is empty");
    const root = page.scrollingElement, over = root.scrollWidth - root.clientWidth;
    if (over > 0) add(`scrolls sideways by ${over} pixels`);
    for (const part of page.querySelectorAll("article :is(h1, h2, p, dt, dd, li)"))
      if (part.scrollWidth > part.clientWidth + 1 && part.clientWidth)
        add(`cuts off ${part.tagName} ${part.innerText.slice(0, 50)}`);
    for (const image of page.images)
      if (!image.complete || !image.naturalWidth) add(`has no image ${image.src}`);
  }
  document.getElementById("wrong").textContent = JSON.stringify(wrong);
};
"""

pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").exists(), reason="the documentation is not built"
)


class Handler(SimpleHTTPRequestHandler):
    """Serve the site, and a page that holds all others in frames."""

    def do_GET(self):
        """Return the page of frames, or a file."""
        if self.path != "/frames":
            return super().do_GET()
        frames = [
            f'<iframe src="/{page}" title="{page} at {width}: " width="{width}"'
            ' height="900"></iframe>'
            for page in PAGES
            for width in WIDTHS
        ]
        body = f"<script>{SCRIPT}</script><pre id=wrong></pre>{''.join(frames)}"
        body = f"<link rel=icon href=data:,>{body}"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        """Log nothing."""

    def log_error(self, *args):
        """Keep the requests that fail."""
        self.server.failed.append(self.path)


def test_pages_in_a_browser(tmp_path):
    """No error in the console, no broken image, no page that scrolls sideways."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    server = ThreadingHTTPServer(
        ("localhost", 0), functools.partial(Handler, directory=SITE)
    )
    server.failed = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://localhost:{server.server_port}/frames"
        command = [chromium, *FLAGS, f"--user-data-dir={tmp_path}", url]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        server.shutdown()
        server.server_close()
    wrong = re.search('<pre id="wrong">(.*?)</pre>', run.stdout, re.DOTALL)
    assert wrong, run.stderr
    assert json.loads(html.unescape(wrong[1])) == []
    assert server.failed == []
    console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    assert [line for line in console if '"[PST]: ' not in line] == []  # of the theme


def test_internal_links():
    """Links lead to files that exist, and to places in them."""
    files = [p for p in SITE.rglob("*.html") if "_static" not in p.parts]
    pages = {path: path.read_text("utf-8") for path in files}
    ids = {
        path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in pages.items()
    }
    broken = set()
    for path, text in pages.items():
        for link in re.findall(r'<\w+ [^<>]*?\b(?:href|src)="([^"]+)"', text):
            name, _, place = unquote(html.unescape(link)).partition("#")
            name = name.partition("?")[0]
            if re.match("[a-z]+:|//", name) or link == "#":
                continue
            file = (path.parent / name).resolve() if name else path
            if not file.exists() or (place and file in ids and place not in ids[file]):
                broken.add(f"{path.relative_to(SITE)}: {link}")
    assert broken == set()
