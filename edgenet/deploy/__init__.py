"""A bundle on a device, as a service: whole releases, one of which runs, and a way back."""
