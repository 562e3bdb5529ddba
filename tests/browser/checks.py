"""What must hold of every page, at any width, in any theme and language; each check lists what is wrong."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from playwright.sync_api import Page

MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")
# WCAG 2.2, level AA: 1.4.3 and 1.4.11.
CONTRAST, CONTRAST_OF_LARGE_TEXT, CONTRAST_OF_EDGES = 4.5, 3.0, 3.0
SHARE = 0.1  # Of the pixels behind a text may be too near to it: an edge, a grid line of a chart.
TARGET_PX, LEAST_TARGET_PX = 44, 24  # For a finger in a glove; the least of WCAG 2.2, 2.5.8.
TALLEST_PX = 8000
MOST_TABS, MOST_LOOKS = 400, 10
# Roles of Chromium's accessibility tree that somebody operates, or that stand for something.
NAMED = {
    "button", "link", "textbox", "searchbox", "combobox", "listbox", "checkbox", "radio", "slider", "spinbutton",
    "switch", "tab", "tabpanel", "menuitem", "image", "img", "dialog", "alertdialog", "progressbar", "meter",
    "grid", "radiogroup", "navigation", "ComboBoxSelect", "DateTime", "InputTime", "graphics-document",
}  # fmt: skip


def measure(page: Page, function: str, *arguments: Any) -> Any:
    """Calls a function of measure.js in the page."""
    if not page.evaluate("() => 'measure' in window"):
        page.evaluate(f"() => {{ {MEASURE} }}")
    return page.evaluate("([name, given]) => window.measure[name](...given)", [function, list(arguments)])


def overflow(page: Page) -> list[str]:
    """What is wider than the window, or than what it stands in."""
    found: list[str] = measure(page, "overflowing")
    return found


def small_targets(page: Page, least: int = TARGET_PX) -> list[str]:
    """Controls that are too small for a finger, of fewer than `least` pixels a side."""
    found: list[str] = measure(page, "smallTargets", least)
    return found


def contrast(page: Page) -> list[str]:
    """Text and edges of fields that are too near in colour to what is behind them, as the browser painted it.

    The page is painted without its text, so that whatever is behind a text counts: a colour, an image, a chart.
    """
    before = page.viewport_size
    assert before is not None
    is_open = page.locator("dialog[open]").count() > 0  # Which is in the middle of the window, however high that is.
    height = 0 if is_open else min(page.evaluate("() => document.scrollingElement.scrollHeight"), TALLEST_PX)
    page.set_viewport_size({"width": before["width"], "height": max(height, before["height"])})
    try:
        texts, fields, painted = _still(page)
    finally:
        page.set_viewport_size(before)
    return [*_pale_texts(texts, painted), *_pale_edges(fields, painted)]


def _still(page: Page) -> tuple[list[dict[str, Any]], list[dict[str, Any]], npt.NDArray[np.float64]]:
    """Texts, fields and what is behind them, of a moment in which nothing moved, such as for an image that arrived."""
    for _ in range(MOST_LOOKS):
        page.wait_for_function("() => [...document.images].every((image) => image.complete)")
        seen = measure(page, "texts"), measure(page, "fields")
        measure(page, "hideText", True)
        painted = _pixels(page)
        measure(page, "hideText", False)
        if seen == (measure(page, "texts"), measure(page, "fields")):
            return *seen, painted
    raise AssertionError("the page does not come to rest")


def names(page: Page) -> list[str]:
    """Controls, images and regions without a name for a screen reader, as the browser computes it."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [
        f"a {node['role']['value']} has no name: {node.get('properties', [])[:3]}"
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in NAMED
        and not str(node.get("name", {}).get("value", "")).strip()
    ]


def structure(page: Page, language: str) -> list[str]:
    """What a screen reader goes by: language, title, one main region, headings in order, ids that are there once."""
    found = measure(page, "structure")
    wrong = [f"text without a translation: {text}" for text in measure(page, "keysShown")]
    if found["language"] != language:
        wrong.append(f"the page's language is {found['language']!r}, not {language!r}")
    if not found["title"].strip():
        wrong.append("the page has no title")
    if found["mains"] != 1:
        wrong.append(f"there are {found['mains']} main regions")
    levels = found["levels"]
    if levels.count(1) != 1:
        wrong.append(f"there are {levels.count(1)} headings of level 1")
    wrong += [f"a heading of level {b} follows one of level {a}" for a, b in pairwise(levels) if b > a + 1]
    return wrong + [f"the id {name!r} is there twice" for name in set(found["doubleIds"])]


def keyboard(page: Page) -> list[str]:
    """Controls that the tab key does not reach, reaches out of sight, or whose focus does not show."""
    measure(page, "watchFocus")
    wrong: list[str] = []
    page.evaluate("() => document.activeElement?.blur()")
    left = 0
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = measure(page, "noteFocus")
        if focused is None:  # It began somewhere within, and left at the end; then it comes in at the beginning.
            left += 1
            if left == 2:
                break
            continue
        if not focused["isNew"]:
            break  # Round once: the browser's own controls are not there without a window, or a dialog keeps the focus.
        if not focused["isSeen"]:
            wrong.append(f"{focused['what']} has the focus out of sight")
        if not focused["shows"]:
            wrong.append(f"{focused['what']} does not show that it has the focus")
    else:
        wrong.append(f"the tab key goes on after {MOST_TABS} controls")
    return wrong + [f"the tab key does not reach {each}" for each in measure(page, "notReached")]


def _pixels(page: Page) -> npt.NDArray[np.float64]:
    """What the browser paints, as linear light [H, W, 3]; one pixel is one CSS pixel."""
    encoded = np.frombuffer(page.screenshot(animations="disabled", scale="css"), np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert image is not None
    return _linear(image[..., ::-1].astype(np.float64))


def _linear(levels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    share = levels / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _luminance(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    luminance: npt.NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return luminance


def _ratio(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return (np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05)


def _pale_texts(texts: list[dict[str, Any]], painted: npt.NDArray[np.float64]) -> list[str]:
    wrong = []
    for text in texts:
        x, y, width, height = (round(value) for value in text["box"])
        behind = painted[max(y, 0) : y + height, max(x, 0) : x + width].reshape(-1, 3)
        if not len(behind):
            continue
        # Blending is done with levels, not with light.
        levels = np.where(behind <= 0.0031308, behind * 12.92, 1.055 * behind ** (1 / 2.4) - 0.055) * 255
        shown = np.array(text["colour"], float) * text["alpha"] + levels * (1 - text["alpha"])
        ratios = _ratio(_luminance(_linear(shown)), _luminance(behind))
        limit = CONTRAST_OF_LARGE_TEXT if text["large"] else CONTRAST
        if np.mean(ratios < limit) > SHARE:
            wrong.append(f"{text['what']}: contrast {np.quantile(ratios, SHARE):.2f}, at least {limit}")
    return wrong


def _pale_edges(fields: list[dict[str, Any]], painted: npt.NDArray[np.float64]) -> list[str]:
    wrong = []
    for field in fields:
        x, y, _, height = (round(value) for value in field["box"])
        strip = painted[min(y + height // 2, len(painted) - 1), max(x - 4, 0) : x + 5]
        if len(strip) < 2:
            continue
        ratio = float(_ratio(_luminance(strip[:1]), _luminance(strip)).max())
        if ratio < CONTRAST_OF_EDGES:
            wrong.append(f"the edge of {field['what']}: contrast {ratio:.2f}, at least {CONTRAST_OF_EDGES}")
    return wrong
