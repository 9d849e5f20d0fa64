"""Microcontrollers: a bundle's model as C, on this machine, in QEMU, or on a board at a port."""
