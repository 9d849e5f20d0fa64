"""What goes wrong on the way to another machine or there, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from edgenet.remote.address import Address

_UNREACHABLE = (
    "timed out",
    "No route to host",
    "Network is unreachable",
    "Host is down",
    "Connection reset",
    "Connection closed",
)


def sentence(address: Address, said: str) -> str:
    """Why there is no connection, from what ssh wrote to its standard error."""
    name = address.destination
    if "IDENTIFICATION HAS CHANGED" in said:
        return (
            f"the host key of {name} is not the one that this computer knows; if the device was set"
            f" up anew, run: ssh-keygen -R {_known_as(address)}, and then once: ssh {address.typed}"
        )
    if "host key is known" in said or "Host key verification failed" in said:
        return (
            f"the host key of {name} is not known here; run once: ssh {address.typed}, compare the"
            " fingerprint and answer yes"
        )
    if "Permission denied" in said or "Too many authentication failures" in said:
        return (
            f"{name} accepts none of the keys that ssh offers from here, and edgenet types no"
            f" password; run once: ssh-copy-id {address.typed} (with ssh-keygen before it where"
            " you have no key, and ssh-add where yours has a passphrase)"
        )
    if "Could not resolve hostname" in said:
        return (
            f"no machine is called {address.host!r}; is it switched on and in the same network?"
            " Its IP address will do too"
        )
    if "Connection refused" in said:
        return (
            f"{name} refuses ssh; enable it there (sudo systemctl enable --now ssh), or name the"
            " port as user@host:port"
        )
    if any(words in said for words in _UNREACHABLE):
        return f"{name} cannot be reached; is it switched on and in the same network? {last(said)}"
    return f"ssh cannot connect to {name}: {last(said) or 'it said nothing'}"


def broken(host: str, argv: Sequence[str], said: str) -> str:
    """The connection ended before the command did."""
    return (
        f"the connection to {host} broke during {short(argv)}; {last(said) or 'ssh said nothing'}"
    )


def missing(host: str, argv: Sequence[str]) -> str:
    """There is no such command."""
    word = next((one for one in argv if one not in ("sudo", "-n", "--")), argv[0])
    return f"{host} has no command {word!r}; install it there"


def failed(host: str, argv: Sequence[str], code: int, said: str) -> str:
    """The command ended with an exit code other than 0."""
    what = f"{short(argv)} failed on {host} with exit code {code}"
    return f"{what}: {last(said) or 'it said nothing'}"


def short(argv: Sequence[str]) -> str:
    """A command as a person reads it: a script inside it is left out."""
    words = [word if "\n" not in word and len(word) < 60 else "..." for word in argv]
    return repr(" ".join(words))


def last(said: str) -> str:
    """The last line that holds something."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _known_as(address: Address) -> str:
    return address.host if address.port is None else f"'[{address.host}]:{address.port}'"
