"""Names of the files that an export has beside those of `transformers` and peft."""

SETTINGS = "gaze_vlm.json"  # how frames go in
BLOCK = "gaze_block.safetensors"
