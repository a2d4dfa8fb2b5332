"""Run exports' own lines of loading in a process that cannot import gaze_vlm: `python plain_transformers.py JOBS`.

JOBS is a JSON file: a list of folders, each with `load.py`, and `clip.safetensors` that holds `frames`. Beside them go
`answer.txt` and `logits.safetensors`, which are of the last token of the question.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

sys.modules["gaze_vlm"] = None  # type: ignore[assignment]  # any import of it fails

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402


@torch.no_grad()
def main(folders: list[str]) -> None:
    for folder in folders:
        os.chdir(folder)
        names = load_file("clip.safetensors")
        with redirect_stdout(StringIO()) as printed:
            exec(compile(Path("load.py").read_text(encoding="utf-8"), folder, "exec"), names)
        Path("answer.txt").write_text(printed.getvalue(), encoding="utf-8")
        save_file({"logits": names["model"](**names["inputs"]).logits[:, -1].contiguous()}, "logits.safetensors")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
