"""Cameras: one module a kind, all with the same few methods.

`open_camera` of `opening` opens one; `ReconnectingCamera` of `reconnect` keeps it open. This package imports nothing by
itself, so that control, which must not load cv2, may import its neighbours.
"""
