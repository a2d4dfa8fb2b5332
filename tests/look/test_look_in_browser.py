"""The page in headless Chromium, with the network off; skipped with the reason where no Chromium is found."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from backbone_families import make_clip
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.look.frames import Frames
from gaze_vlm.look.look import look_at
from gaze_vlm.look.page import render_look
from gaze_vlm.look.watching import watched_layers

SCREENSHOTS = os.environ.get("GAZE_VLM_SCREENSHOTS")
RIGHT_TO_LEFT = ["يقطع", " الكوب", " الأحمر"]
FIRST_PAD = "document.querySelector('.frames canvas').toDataURL()"


def test_a_token_a_layer_and_a_head_are_chosen_by_mouse_and_keyboard(
    browser: Any, tiny_llava: Path, tmp_path: Path
) -> None:
    backbone, clip = load_backbone(tiny_llava), make_clip(0)
    watched = {source: watched_layers(backbone, source) for source in ("vision", "language")}
    frames = Frames(clip.frames, 0.0, clip.frame_times_s)
    made = look_at(backbone, frames, "what is the camera wearer doing ?", "cut red cup", watched, 10**6)
    language = made.sources[1]
    file = tmp_path / "page.html"
    file.write_text(render_look(made, "gaze-vlm look"), encoding="utf-8")
    page = browser.new_context(offline=True, viewport={"width": 1280, "height": 800}).new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]

    def shares() -> list[str]:
        return page.locator(".share").all_text_contents()

    def expected(token: int, layer: int, head: int) -> list[str]:
        return [f"{100 * share:.1f} %" for share in language.shares[token, layer, head]]

    assert shares() == expected(0, 0, 0)
    before = page.evaluate(FIRST_PAD)
    page.get_by_role("radio", name="red", exact=True).click()
    assert shares() == expected(2, 0, 0)
    assert page.evaluate(FIRST_PAD) != before
    assert "token 2 of 4" in page.locator("#chosen").text_content()
    page.keyboard.press("ArrowRight")
    assert shares() == expected(3, 0, 0)
    page.locator("#layer").select_option("2")
    page.locator("#head").select_option("1")
    assert shares() == expected(3, 2, 1)
    page.locator("#overview button").nth(0).click()
    assert shares() == expected(3, 1, 1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert shares() == expected(3, 2, 2)
    assert page.evaluate("document.activeElement.ariaLabel").startswith("layer 1, head 1: ")
    page.locator("#source").select_option("0")
    assert "the same for every token" in page.locator("#chosen").text_content()

    pictures = tmp_path if SCREENSHOTS is None else Path(SCREENSHOTS)
    for name, scheme, width in (("light", "light", 1280), ("dark", "dark", 800), ("phone", "light", 360)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
        page.screenshot(path=pictures / f"look-{name}.png", full_page=True)
    assert page.pdf(path=pictures / "look.pdf").startswith(b"%PDF")
    assert said == []


def test_an_answer_runs_from_right_to_left(browser: Any, tiny_llava: Path, tmp_path: Path) -> None:
    backbone, clip = load_backbone(tiny_llava), make_clip(0)
    frames = Frames(clip.frames, 0.0, clip.frame_times_s)
    watched = {"language": watched_layers(backbone, "language")}
    made = look_at(backbone, frames, "what is the camera wearer doing ?", "cut red cup", watched, 10**6)
    page = browser.new_context(offline=True, viewport={"width": 1280, "height": 800}).new_page()
    for tokens, sign in ((made.tokens, 1), (RIGHT_TO_LEFT[: len(made.tokens)], -1)):
        file = tmp_path / "page.html"
        file.write_text(render_look(replace(made, tokens=tokens), "gaze-vlm look"), encoding="utf-8")
        page.goto(file.as_uri())
        lefts = [box["x"] for box in (one.bounding_box() for one in page.locator(".tokens label").all())]
        assert lefts == sorted(lefts, reverse=sign < 0)
        assert len(set(lefts)) == len(lefts)
