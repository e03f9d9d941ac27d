from __future__ import annotations

import subprocess
import sys


def test_reading_source_loads_no_deep_learning_library():
    code = "import sys, pttrust_lightning.source as s; print(*sorted({n.split('.')[0] for n in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    loaded = set(result.stdout.split())
    assert "pttrust_lightning" in loaded
    assert not loaded & {"torch", "transformers", "lightning"}
