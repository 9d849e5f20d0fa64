"""What every build system needs to find in a generated folder, from one set of templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable

# where each template of templates/build goes
_PLACES = {
    "CMakeLists.txt": "CMakeLists.txt",
    "Makefile": "Makefile",
    "Kconfig": "Kconfig",
    "module.yml": "zephyr/module.yml",
    "idf_component.yml": "idf_component.yml",
    "library.properties": "library.properties",
    "library.json": "library.json",
    "package.pdsc": "edgenet.{name}.pdsc",
    "selftest.ino": "examples/selftest/selftest.ino",
    "README.md": "README.md",
}
_RUN = """{name}_run(arena);
int32_t best = {name}_top1(arena);"""
_FILL = """/* int8 codes into {name}_input(arena), then */
"""
_FRAME = """/* a camera's frame of any size; rgb565, rgb888 and grey are there, too */
{name}_image_rgb565_swapped(arena, frame, width, height, 2 * width);
"""


def files(
    name: str, sources: Iterable[str], template: Callable[..., str], *, picture: bool, arena: int
) -> dict[str, str]:
    """Build files, an Arduino sketch and a page to read, by place in the folder.

    Args:
        name: of the model.
        sources: its C files, as paths in the folder.
        template: gives a file of ``templates`` with the program's words and more in it.
        picture: whether preprocessing is among the sources.
        arena: its bytes.
    """
    c_files = [source for source in sorted(sources) if source.endswith(".c")]
    headers = [f"{name}.h", *([f"{name}_image.h"] if picture else [])]
    pack = [("header", f"src/{header}") for header in headers]
    pack += [("source", source) for source in c_files]
    words = {
        "sentence": f"{name}, an int8 neural network as C99 without dependencies.",
        "cmake_sources": "\n".join(f"  {source}" for source in c_files),
        "includes": ",".join(headers),
        "headers": ", ".join(f'"{header}"' for header in headers),
        "name_header": headers[-1],
        "use": ((_FRAME if picture else _FILL) + _RUN).format(name=name),
        "arena": f"{arena:,}",
        "pack_files": "\n".join(
            f'        <file category="{kind}" name="{file}"/>' for kind, file in pack
        ),
    }
    return {
        place.format(name=name): template(f"build/{file}", **words)
        for file, place in _PLACES.items()
    }
