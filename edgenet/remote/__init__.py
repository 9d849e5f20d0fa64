"""Another machine, over the user's own ssh: commands, files, and sentences when it fails."""

from edgenet.remote.connection import Completed, Remote

__all__ = ["Completed", "Remote"]
