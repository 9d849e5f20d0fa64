"""``python -m edgenet``."""

from edgenet.cli.main import main

main(prog_name="edgenet")
