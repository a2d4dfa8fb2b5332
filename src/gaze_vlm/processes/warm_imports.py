"""What a run imports and reads before its first step, whatever it trains: the warmed process imports this.

Nothing here computes with torch: a fork would lack the threads of the computation.
"""
# ruff: noqa: F401

import einops
import nltk
import pyarrow.dataset
import sentence_transformers
import transformers.models.clip.modeling_clip
import transformers.models.llama.modeling_llama
import transformers.models.llava.processing_llava

import gaze_vlm.training.lightning_cli
from gaze_vlm.formats.vocabulary import lemmas
from gaze_vlm.training.checks.versions import misfits

lemmas("warm", "VERB")  # reads the dictionary
misfits()  # reads what each installed package needs
