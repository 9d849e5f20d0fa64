"""An RTSP server on loopback, GStreamer's, run by Debian's own python3: FOLDER [USER PASSWORD].

Serves FOLDER/card%03d.jpg (320x240) at 25 frames/s as /cam, over and over; prints its port.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    '( multifilesrc location="{}/card%03d.jpg" loop=true'
    ' caps="image/jpeg,width=320,height=240,framerate=25/1"'
    " ! identity sync=true ! rtpjpegpay name=pay0 pt=26 )"
)

Gst.init(None)
folder, *credentials = sys.argv[1:]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_shared(True)
factory.set_launch(LAUNCH.format(folder))
if credentials:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*credentials), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
sys.stdout.write(f"{server.get_bound_port()}\n")
sys.stdout.flush()
GLib.MainLoop().run()
