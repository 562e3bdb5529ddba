"""The runner: frames in, verdicts out, with neither torch nor onnx."""

from edgekd.runner.pipeline import Answer, inspect_picture, inspect_stream
from edgekd.runner.sources import Frame, open_source

__all__ = ["Answer", "Frame", "inspect_picture", "inspect_stream", "open_source"]
