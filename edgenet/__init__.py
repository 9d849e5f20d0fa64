"""edgenet: from labelled images to a measured int8 MobileNet on a small device."""

__version__ = "0.1.0"
