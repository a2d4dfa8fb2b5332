"""What a test shares with a training is counted by hand on small stores."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gaze_vlm.comparison.contamination import contamination, overlap
from gaze_vlm.preparation.store import read_clips, read_manifest, write_clips, write_manifest


@pytest.fixture
def store(prepared: Path, tmp_path: Path) -> Path:
    """A store of three clips: two to train on, one of another session and person to test."""
    clip = read_clips(prepared / "clips.parquet")[0]
    seen = replace(clip, activity_text="Cut Onion", activity_verb="cut", activity_noun="onion", future_text="wash pan")
    seen = replace(seen, future_verb="wash", future_noun="pan", session="a", participant="P1", split="train")
    seen = replace(seen, session_start_s=0.0, start_s=0.0, end_s=4.0)
    other = replace(seen, clip_id="c3", session="b", participant="P2", split="test", future_text="wash pot")
    write(tmp_path / "store", prepared, [seen, replace(seen, clip_id="c2"), replace(other, future_noun="pot")])
    return tmp_path / "store"


def write(store: Path, like: Path, clips: list, **parameters: object) -> None:
    store.mkdir(exist_ok=True)
    write_clips(store / "clips.parquet", clips)
    manifest = read_manifest(like)
    write_manifest(store, replace(manifest, parameters=manifest.parameters | parameters))
    overlap.cache_clear()


def test_texts_pairs_and_people_are_counted(store: Path) -> None:
    found = overlap(store, store)
    assert asdict(found) == {
        "unit": "sessions",
        "shared": 0,
        "seconds": 0,
        "people": 0,
        "of_people": 1,
        "texts": 0.5,
        "pairs": 0.5,
        "is_official": False,
    }
    assert str(found) == (
        "0 sessions, 0 s; 0 of 1 people of the test; 50.0 % of its target texts; 50.0 % of its (verb, noun) pairs"
    )
    assert [*contamination(store, {}, "test")] == []


def test_people_of_whom_nobody_said_who_they_are_are_unknown(store: Path) -> None:
    clips = read_clips(store / "clips.parquet")
    write(store, store, [replace(clip, participant=clip.video_id) for clip in clips])
    found = overlap(store, store)
    assert found.people is None
    assert str(found).startswith("0 sessions, 0 s; people unknown; 50.0 % of its target texts")


@pytest.mark.parametrize("split_by", ["session", "official"])
def test_shared_sessions_are_refused_but_of_an_official_split(store: Path, split_by: str) -> None:
    *trained, tested = read_clips(store / "clips.parquet")
    write(store, store, [*trained, replace(tested, session="a", start_s=3.0, end_s=7.0)], split_by=split_by)
    [(text, fatal)] = contamination(store, {}, "test")
    assert fatal == (split_by == "session")
    assert text.startswith("the test shares 1 sessions, 1 s with the training")
    assert ("prepare it again" in text) == fatal


def test_videos_of_another_store_are_known_by_their_files(store: Path, tmp_path: Path) -> None:
    trained, _, _ = read_clips(store / "clips.parquet")
    other = tmp_path / "other"
    write(other, store, [replace(trained, clip_id="x", session="another-name", split="test")])
    [(text, fatal)] = contamination(store, {"other": other}, "test")
    assert fatal
    assert "the test on other shares 1 videos, 4 s with the training" in text
    assert "take other out of also_test" in text
    assert overlap(store, other).people is None
    video = trained.video_id
    manifest = read_manifest(other)
    files = manifest.videos | {video: replace(manifest.videos[video], file_ends="another file")}
    write_manifest(other, replace(manifest, videos=files))
    overlap.cache_clear()
    assert [*contamination(store, {"other": other}, "test")] == []
