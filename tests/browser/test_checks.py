"""The checks of pages find what they are to find, and nothing on a page that is as it should be."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import checks
from .browsing import opened

GOOD = """<!doctype html><html lang="en"><head><title>Good</title><style>
body { margin: 16px; background: #fff; color: #222; font: 16px sans-serif; }
button, input { min-height: 44px; min-width: 44px; border: 1px solid #666; background: #fff; color: #222; }
:focus-visible { outline: 3px solid #05a; }
.map { background: #123; color: #fff; opacity: .95; }
</style></head><body><main><h1>Station</h1><h2>Parts</h2>
<p class="map">On dark</p><button>Start</button> <label>Name <input value="bolt"></label>
<img alt="The part" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" width="40" height="40">
<svg role="img" aria-label="Scores" width="100" height="40"><text y="20" fill="#333">0.5</text></svg>
<button disabled style="color: #ccc">Off</button>
</main></body></html>"""

FAULTY = [
    ("contrast", "<p style='color: #999'>pale</p>", "pale"),
    ("contrast", "<p style='background: linear-gradient(#fff, #888); color: #777'>over a gradient</p>", "gradient"),
    ("contrast", "<p style='color: #000; opacity: .4'>faded</p>", "faded"),
    ("contrast", "<svg role='img' aria-label='x'><text y='20' fill='#bbb'>tick</text></svg>", "tick"),
    ("contrast", "<input aria-label='x' placeholder='a hint' style='color: #aaa; border-color: #ddd'>", "edge of"),
    ("overflow", "<div style='width: 2000px; background: red'>wide</div>", "the page is 20"),
    ("overflow", "<button style='width: 60px; white-space: nowrap'>Acknowledge everything</button>", "needs"),
    ("small_targets", "<button style='min-height: 0; height: 20px'>Small</button>", "Small"),
    ("names", "<button></button>", "a button has no name"),
    ("names", "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' width=9 height=9>", "no name"),
    ("names", "<input type='range'>", "a slider has no name"),
    ("keyboard", "<button tabindex='-1'>Behind</button>", "does not reach"),
    ("keyboard", "<a href='#' style='outline: none'>Plain</a>", "does not show"),
    ("keyboard", "<button style='position: absolute; left: -9999px'>Away</button>", "out of sight"),
    ("structure", "<h4>Too deep</h4>", "level 4 follows"),
    ("structure", "<h1>Another</h1>", "2 headings of level 1"),
    ("structure", "<p>operator.counts.total</p>", "without a translation"),
    ("structure", "<p>NaN ms</p>", "without a translation"),
    ("structure", "<p id='a'></p><p id='a'></p>", "is there twice"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A server of a folder, and the folder."""
    folder = tmp_path_factory.mktemp("served")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, directory=str(folder), **options)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def found_by(name: str, page) -> list[str]:
    return checks.structure(page, "en") if name == "structure" else getattr(checks, name)(page)


@pytest.fixture(scope="module")
def shown(browser, served) -> Iterator:
    with opened(browser, served[0], width=1024) as watched:
        yield watched.page


@pytest.mark.parametrize("name", ["contrast", "overflow", "small_targets", "names", "keyboard", "structure"])
def test_a_page_as_it_should_be_has_nothing_wrong(shown, name):
    shown.set_content(GOOD)
    assert found_by(name, shown) == []


@pytest.mark.parametrize(("name", "fault", "told"), FAULTY)
def test_each_check_finds_its_fault(shown, name, fault, told):
    shown.set_content(GOOD.replace("</main>", f"{fault}</main>"))
    assert told in "\n".join(found_by(name, shown)), found_by(name, shown)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("<script>console.error('broken')</script>", "broken"),
        ("<script>nothing.there</script>", "nothing is not defined"),
        ("<img alt='x' src='gone.png'>", "404 /gone.png"),
        ("<img alt='x' src='http://127.0.0.2:9/x.png'>", "not the page's own"),
    ],
)
def test_what_goes_wrong_in_a_page_fails_its_test(browser, served, content, told):
    origin, folder = served
    (folder / "page.html").write_text(GOOD.replace("</main>", f"{content}</main>"))

    def visit() -> None:
        with opened(browser, origin) as watched:
            watched.expected.add("404 /favicon.ico")
            watched.page.goto("/page.html")

    with pytest.raises(AssertionError, match=told):
        visit()
