"""`python -m gaze_vlm`."""

import sys

from gaze_vlm.cli import main

sys.exit(main())
