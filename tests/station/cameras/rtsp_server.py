"""An RTSP server whose images carry the time of their making; runs with the system's Python, which has GStreamer.

Usage: rtsp_server.py PORT jpeg|h264
"""

import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

WIDTH, HEIGHT, FPS, BLOCK, BITS = 320, 240, 25, 16, 32
ENCODERS = {
    "jpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
    "h264": "x264enc tune=zerolatency key-int-max=25 ! rtph264pay name=pay0 pt=96",
}


def frame() -> bytes:
    """An I420 image that carries `time.monotonic()` in milliseconds."""
    number, across = int(time.monotonic() * 1e3) & 0xFFFFFFFF, WIDTH // BLOCK
    rows = []
    for row in range(HEIGHT // BLOCK):
        bits = range(row * across, min((row + 1) * across, BITS))
        line = b"".join(bytes([220 if number >> bit & 1 else 20]) * BLOCK for bit in bits)
        rows.append(line.ljust(WIDTH, bytes([40])) * BLOCK)
    return b"".join(rows) + bytes([128]) * (WIDTH * HEIGHT // 2)


def feed(source: Gst.Element) -> None:
    due = time.monotonic()
    while source.emit("push-buffer", Gst.Buffer.new_wrapped(frame())) == Gst.FlowReturn.OK:
        due = max(due + 1 / FPS, time.monotonic())
        time.sleep(max(due - time.monotonic(), 0))


def configure(_: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
    source = media.get_element().get_by_name("source")
    threading.Thread(target=feed, args=(source,), daemon=True).start()


Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
caps = f"video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1"
head = f"appsrc name=source is-live=true do-timestamp=true format=time block=true max-buffers=2 caps={caps}"
factory.set_launch(f"( {head} ! {ENCODERS[sys.argv[2]]} )")
factory.connect("media-configure", configure)
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
print("up", flush=True)
GLib.MainLoop().run()
