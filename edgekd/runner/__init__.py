"""The runner: frames in, verdicts out, without torch or onnx."""

from edgekd.runner.inspector import Inspector
from edgekd.runner.pipeline import Answer, inspect_image, inspect_stream
from edgekd.runner.sources import Frame, open_source

__all__ = ["Answer", "Frame", "Inspector", "inspect_image", "inspect_stream", "open_source"]
