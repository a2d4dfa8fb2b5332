"""The page in headless Chromium, with the network off; skipped with the reason where no Chromium is found."""

import os
from pathlib import Path
from typing import Any

from gaze_vlm.cli import main

SCREENSHOTS = os.environ.get("GAZE_VLM_SCREENSHOTS")


def test_the_page_opens_offline_sorts_by_keyboard_and_fits_a_phone(
    browser: Any, compared: Path, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    assert main(["report", f"--config={compared}", f"--output={file}", "--count=1"]) == 0
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    table = page.locator("table.sortable").first
    header, body = table.locator("thead th").nth(1), table.locator("tbody").first
    header.locator("button").focus()
    orders = {}
    for order in ("descending", "ascending"):
        page.keyboard.press("Enter")
        page.wait_for_function("([th, order]) => th.ariaSort === order", arg=[header.element_handle(), order])
        page.wait_for_timeout(50)  # the script sorts a moment later
        orders[order] = body.locator("td:nth-of-type(1)").evaluate_all("all => all.map(td => +td.dataset.sort)")
    assert orders["descending"] == sorted(orders["descending"], reverse=True)
    assert orders["ascending"] == sorted(orders["ascending"])

    pictures = tmp_path if SCREENSHOTS is None else Path(SCREENSHOTS)
    for name, scheme, width in (("light", "light", 1280), ("dark", "dark", 1280), ("phone", "light", 360)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
        page.screenshot(path=pictures / f"page-{name}.png", full_page=True)
        assert (pictures / f"page-{name}.png").stat().st_size > 20_000
    assert page.pdf(path=pictures / "page.pdf").startswith(b"%PDF")
    assert said == []
