"""Chromium without a window: pictures of a report, and what a page says after a script has run in it.

python -m tests.report.screenshot report.html picture.png [--width 1280] [--height 1500] [--window 40]
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --virtual-time-budget=5000"
).split()
LARGEST = 500_000  # bytes of a picture
_CONSOLE = re.compile(r'INFO:CONSOLE[^\]]*\] (".*?", source: .*?)$', re.MULTILINE | re.DOTALL)


def chromium() -> str | None:
    """The browser's path, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def browse(page: Path, *arguments: str, fragment: str = "") -> tuple[str, list[str]]:
    """Open a file, give its document (with --dump-dom) and all that it said on the console."""
    browser = chromium()
    if browser is None:
        raise FileNotFoundError("no Chromium on this machine; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="browser") as profile:
        done = subprocess.run(
            [browser, *FLAGS, f"--user-data-dir={profile}", *arguments, page.resolve().as_uri() + fragment],
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        )
    return done.stdout, _CONSOLE.findall(done.stderr)


def ask(page: Path, script: str, *, width: int = 1280, fragment: str = "") -> tuple[Any, list[str]]:
    """What `script` returns (as JSON) in the drawn page, and all that the page said on the console."""
    run = (
        "<script>addEventListener('load', async () => {\n"
        "while (!document.documentElement.dataset.drawn) await new Promise((then) => setTimeout(then, 20));\n"
        f"const found = await (async () => {{ {script} }})();\n"
        "const shown = document.createElement('pre');\n"
        "shown.id = 'found';\nshown.textContent = JSON.stringify(found);\ndocument.body.append(shown);\n"
        "});</script>"
    )
    text = page.read_text(encoding="utf-8")
    assert text.count("</body>") == 1
    with tempfile.TemporaryDirectory(prefix="report") as folder:
        copy = Path(folder) / "page.html"
        copy.write_text(text.replace("</body>", run + "</body>"), encoding="utf-8")
        document, console = browse(copy, "--dump-dom", f"--window-size={width},900", fragment=fragment)
    found = re.search(r'<pre id="found">(.*?)</pre>', document, re.DOTALL)
    assert found, f"the page was not drawn, or the script failed: {console}"
    return json.loads(html.unescape(found[1])), console


def screenshot(
    page: Path, picture: Path, *, width: int = 1280, height: int | None = None, window: int | None = None
) -> None:
    """The page, or `height` pixels of it, as a PNG, of 256 colours where it would be too large.

    `window`: as it looks at that one.
    """
    whole, _ = ask(page, "return document.documentElement.scrollHeight;", width=width)
    height = min(whole, height or whole)
    fragment = "" if window is None else f"#window={window}"
    browse(page, f"--screenshot={picture.resolve()}", f"--window-size={width},{height}", fragment=fragment)
    with Image.open(picture) as image:
        image.convert("RGB").save(picture, optimize=True)
        if picture.stat().st_size > LARGEST:
            image.convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE).save(picture, optimize=True)
    assert picture.stat().st_size <= LARGEST, f"{picture} has {picture.stat().st_size} bytes, more than {LARGEST}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Take a picture of a report.")
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, help="pixels from the top; the whole page if not given")
    parser.add_argument("--window", type=int, help="window of time; the whole run if not given")
    asked = parser.parse_args()
    screenshot(asked.page, asked.picture, width=asked.width, height=asked.height, window=asked.window)


if __name__ == "__main__":
    main()
