"""Which network fits a device, before anybody trains it."""
