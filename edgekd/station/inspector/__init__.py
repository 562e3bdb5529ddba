"""The inspector: a process of its own for cameras and engines, and the client that control speaks to it through.

Control imports `client` alone, which needs neither cv2 nor an engine; everything else runs in the process.
"""
