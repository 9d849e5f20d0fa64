"""A Raspberry Pi without the Pi: Debian for arm64 in an emulator, with a camera, systemd and sshd.

It proves that things work there, never how fast: emulation is some fifty times slower than a Pi.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from . import host, image, machine, summary
from .host import Failure, say

# what a Pi's firmware answers, for those commands that edgenet asks
VCGENCMD = """\
#!/bin/sh
case "$*" in
  measure_temp) echo "temp={temperature}'C" ;;
  get_throttled) echo "throttled={throttled}" ;;
  "measure_clock arm") echo "frequency(48)={hertz}" ;;
  "measure_volts core" | measure_volts) echo "volt=0.8600V" ;;
  *) echo "error=1 error_msg=\\"Command not registered\\"" ;;
esac
"""
PLACE = "/usr/bin/vcgencmd"


def main() -> int:
    arguments = parser().parse_args()
    found = machine.Machine(image.current(), arguments.state)
    try:
        return COMMANDS[arguments.command](found, arguments)
    except Failure as error:
        say(f"Error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run it again to go on")
        return 130


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="scripts/pi_vm", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    made.add_argument(
        "--state", type=Path, metavar="DIR", default=machine.default_state(),
        help="where the machine's disk and ssh configuration lie (default: %(default)s)",
    )  # fmt: skip
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="make the image, once; goes on where it was interrupted")
    start = commands.add_parser("start", help="boot until ssh answers; prints the way in")
    start.add_argument("--online", action="store_true", help="let it reach the network")
    start.add_argument("--memory", type=int, default=1024, metavar="MIB", help="default: 1024")
    ssh = commands.add_parser("ssh", help="a shell there, or a command")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    commands.add_parser("status", help="whether it is built and runs; ends with 1 if it does not")
    commands.add_parser("stop", help="shut it down")
    commands.add_parser("unplug", help="end it at once, as a power cut would")
    commands.add_parser("reset", help="back to the image, as on the first day")
    remove = commands.add_parser("remove", help="end it and delete its disk")
    remove.add_argument("--image", action="store_true", help="and every image that was built")
    firmware = commands.add_parser("vcgencmd", help="give it a Pi's firmware command, or take it")
    firmware.add_argument("--temperature", type=float, default=51.0, metavar="CELSIUS")
    firmware.add_argument("--throttled", default="0x0", metavar="BITS", help="such as 0x50005")
    firmware.add_argument("--clock", type=int, default=1_500_000_000, metavar="HZ")
    test = commands.add_parser("test", help="all that a person does to a Pi; half an hour")
    test.add_argument("--record", action="store_true", help="and write down in docs what worked")
    firmware.add_argument("--absent", action="store_true", help="take it away again")
    return made


def build(found: machine.Machine, arguments: argparse.Namespace) -> int:
    print(image.build().folder)
    return 0


def start(found: machine.Machine, arguments: argparse.Namespace) -> int:
    seconds = found.start(online=arguments.online, memory_mib=arguments.memory)
    say(f"up after {seconds:.0f} s; scripts/pi_vm ssh, or:")
    print(f"ssh -F {found.ssh_config} {machine.ALIAS}")
    return 0


def ssh(found: machine.Machine, arguments: argparse.Namespace) -> int:
    return found.ssh(arguments.words, tty=sys.stdin.isatty()).returncode


def status(found: machine.Machine, arguments: argparse.Namespace) -> int:
    number = found.pid()
    print(f"image   {found.image.folder if found.image.built else 'not built'}")
    print(f"machine {f'runs, process {number}' if number else 'does not run'}")
    if number:
        print(f"ssh     ssh -F {found.ssh_config} {machine.ALIAS}")
    return 0 if number else 1


def stop(found: machine.Machine, arguments: argparse.Namespace) -> int:
    found.stop()
    return 0


def unplug(found: machine.Machine, arguments: argparse.Namespace) -> int:
    found.unplug()
    return 0


def reset(found: machine.Machine, arguments: argparse.Namespace) -> int:
    found.reset()
    return 0


def remove(found: machine.Machine, arguments: argparse.Namespace) -> int:
    found.remove()
    if arguments.image:
        for path in found.image.folder.parent.glob("*"):
            image.discard(path)
    return 0


def vcgencmd(found: machine.Machine, arguments: argparse.Namespace) -> int:
    if arguments.absent:
        return found.ssh(["sudo", "rm", "-f", PLACE]).returncode
    text = VCGENCMD.format(
        temperature=arguments.temperature,
        throttled=hex(int(arguments.throttled, 0)),
        hertz=arguments.clock,
    )
    line = ["ssh", "-F", str(found.ssh_config), machine.ALIAS]
    write = f"sudo tee {PLACE} >/dev/null && sudo chmod 755 {PLACE}"
    return subprocess.run([*line, write], input=text, text=True, check=False).returncode


def test(found: machine.Machine, arguments: argparse.Namespace) -> int:
    image.build()
    environment = os.environ | {"EDGENET_PI_VM": "1", "PYTHONUNBUFFERED": "1"}
    if arguments.record:
        environment["EDGENET_PI_VM_RECORD"] = str(summary.RECORD)
    words = ["-m", "pytest", "-m", "slow", "-x", "-v", "-rA", "tests/e2e/test_pi_vm.py"]
    environment.pop("PYTHONPATH", None)
    code = subprocess.run(
        [host.python(), *words], cwd=host.REPOSITORY, env=environment, check=False
    ).returncode
    if code == 0 and arguments.record:
        summary.write()
    return code


COMMANDS = {
    "build": build,
    "start": start,
    "ssh": ssh,
    "status": status,
    "stop": stop,
    "unplug": unplug,
    "reset": reset,
    "remove": remove,
    "vcgencmd": vcgencmd,
    "test": test,
}

if __name__ == "__main__":
    sys.exit(main())
