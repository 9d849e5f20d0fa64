"""Build files of a generated folder: built where the tool is here, else read by its own reader.

What is built: CMake (alone, inside another project, cross), make, Arduino's builder with its AVR
core.  What is read: idf_component.yml, library.json and Kconfig, each by the program that users
have.  CMakeLists.txt runs as ESP-IDF and Zephyr would run it, with stand-ins for their functions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import frames
import numpy as np
import pytest

from edgenet.codegen import emit
from edgenet.codegen.program import program
from edgenet.spec import Preprocess

pytest.importorskip("flatbuffers")
TINY = Path(__file__).parents[1] / "golden" / "tiny" / "models" / "int8.tflite"
EXACT = "all layers of all pictures are bit-exact\n"
ARDUINO = Path("/usr/share")
AVR = "arduino:avr:mega:cpu=atmega2560"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A generated folder, read-only by agreement."""
    place = tmp_path_factory.mktemp("builds") / "net"
    emit.write(program(TINY.read_bytes(), "net"), place, preprocess=Preprocess(16, 16))
    return place


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=os.environ | environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert not done.returncode, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.mark.tool("cmake")
@pytest.mark.tool("cc")
def test_cmake_builds_the_folder_and_its_test_passes(folder, tmp_path):
    run("cmake", "-S", folder, "-B", tmp_path, "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror -pedantic")
    run("cmake", "--build", tmp_path)
    assert "100% tests passed" in run("ctest", "--test-dir", tmp_path)


@pytest.mark.slow
@pytest.mark.tool("cmake")
@pytest.mark.tool("cc")
def test_a_cmake_project_adds_the_folder_and_links_it(folder, tmp_path):
    (tmp_path / "main.c").write_text(
        '#include "net_image.h"\nNET_ARENA(arena);\n'
        "int main(void) { return net_selftest(arena); }\n"
    )
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(app C)\n"
        f"add_subdirectory({folder} net)\nadd_executable(app main.c)\n"
        "target_link_libraries(app PRIVATE net)\n"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build")
    run(tmp_path / "build" / "app")
    assert not list((tmp_path / "build").rglob("net_example"))


@pytest.mark.slow
@pytest.mark.tool("cmake")
@pytest.mark.tool("arm-none-eabi-gcc")
def test_cmake_cross_compiles(folder, tmp_path):
    flags = ["-DCMAKE_SYSTEM_NAME=Generic", "-DCMAKE_SYSTEM_PROCESSOR=arm"]
    flags += ["-DCMAKE_C_COMPILER=arm-none-eabi-gcc", "-DCMAKE_C_FLAGS=-mcpu=cortex-m4 -mthumb"]
    flags += ["-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"]
    run("cmake", "-S", folder, "-B", tmp_path, *flags)
    run("cmake", "--build", tmp_path)
    assert "smlad" in run("arm-none-eabi-objdump", "-d", tmp_path / "libnet.a")


@pytest.mark.tool("cc")
def test_make_builds_the_folder_and_runs_its_selftest(folder, tmp_path):
    out = run("make", "-s", "selftest", f"BUILD={tmp_path}/a", "CC=cc -Werror -Wall", cwd=folder)
    assert out == EXACT
    assert "selftest" not in run("make", "-n", f"BUILD={tmp_path}/a", cwd=folder)


IDF = """
function(idf_component_register)
  cmake_parse_arguments(GIVEN "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  if(GIVEN_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${GIVEN_UNPARSED_ARGUMENTS}")
  endif()
  add_library(__idf_net STATIC ${GIVEN_SRCS})
  target_include_directories(__idf_net PUBLIC ${GIVEN_INCLUDE_DIRS})
  set(COMPONENT_LIB __idf_net PARENT_SCOPE)
endfunction()
"""


@pytest.mark.tool("cmake")
@pytest.mark.tool("cc")
def test_the_folder_is_a_component_of_esp_idf(folder, tmp_path):
    """With stand-ins: first read as a script, as IDF does to find out what it needs, then built."""
    (tmp_path / "script.cmake").write_text(
        "set(ESP_PLATFORM 1)\nmacro(idf_component_register)\n"
        '  message(STATUS "registered ${ARGN}")\n  return()\nendmacro()\n'
        f"include({folder}/CMakeLists.txt)\n"
    )
    out = run("cmake", "-P", tmp_path / "script.cmake")
    assert "registered SRCS;src/net.c" in out.replace(" ", ";").replace(
        "registered;", "registered "
    )
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(app C)\nset(ESP_PLATFORM 1)\n{IDF}\n"
        f"add_subdirectory({folder} net)\n"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build")
    assert (tmp_path / "build" / "net" / "lib__idf_net.a").stat().st_size > 10_000


ZEPHYR = """
set(ZEPHYR_BASE /zephyr)
add_library(zephyr_interface INTERFACE)
function(zephyr_include_directories)
  foreach(dir ${ARGN})
    target_include_directories(zephyr_interface INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/${dir})
  endforeach()
endfunction()
macro(zephyr_library)
  set(ZEPHYR_CURRENT_LIBRARY zephyr_net)
  add_library(zephyr_net STATIC "")
endmacro()
function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
function(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()
"""


@pytest.mark.tool("cmake")
@pytest.mark.tool("cc")
@pytest.mark.parametrize("chosen", ["y", ""])
def test_the_folder_is_a_module_of_zephyr(folder, tmp_path, chosen):
    """With stand-ins for its functions: a library where Kconfig chose it, nothing where not."""
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.20)\nproject(app C)\n{ZEPHYR}\n"
        f'set(CONFIG_NET "{chosen}")\nadd_subdirectory({folder} net)\n'
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build")
    run("cmake", "--build", tmp_path / "build")
    assert bool(list((tmp_path / "build").rglob("libzephyr_net.a"))) == bool(chosen)


def test_zephyrs_module_file_has_its_documented_keys(folder):
    """Those of Zephyr's "Modules" page; module.yml has to lie in a folder named zephyr."""
    yaml = pytest.importorskip("yaml")
    module = yaml.safe_load((folder / "zephyr" / "module.yml").read_text())
    assert set(module) == {"name", "build"}
    assert set(module["build"]) == {"cmake", "kconfig"}
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (folder / module["build"]["kconfig"]).is_file()


def test_kconfig_knows_the_symbol_that_cmake_asks_for(folder):
    kconfiglib = pytest.importorskip("kconfiglib")
    found = kconfiglib.Kconfig(str(folder / "Kconfig"))
    assert found.warnings == []
    assert [symbol.name for symbol in found.unique_defined_syms] == ["NET"]
    assert "if(CONFIG_NET)" in (folder / "CMakeLists.txt").read_text()


def test_espressifs_component_manager_reads_its_manifest(folder):
    pytest.importorskip("idf_component_tools")
    program = (
        "import sys; from idf_component_tools.manager import ManifestManager\n"
        "made = ManifestManager(sys.argv[1], 'net').load()\n"
        "print(made.name, made.version, made.license)"
    )
    out = run(sys.executable, "-c", program, folder, IDF_TOOLS_PATH=str(folder.parent))
    assert out == "net 0.1.0 Apache-2.0\n"


PACK = """
import pathlib, sys, tarfile
from platformio.package.manifest.schema import ManifestSchema
from platformio.package.pack import PackagePacker
# the list of licences is the one thing that it would ask the network for
known = {"licenses": [{"licenseId": "Apache-2.0"}]}
ManifestSchema.load_spdx_licenses = staticmethod(lambda: known)
packed = PackagePacker(sys.argv[1]).pack(sys.argv[2])
print(*sorted(tarfile.open(packed).getnames()), sep="\\n")
"""


def test_platformio_packs_the_folder(folder, tmp_path):
    pytest.importorskip("platformio")
    program = [sys.executable, "-c", PACK, folder, tmp_path]
    names = run(*program, PLATFORMIO_CORE_DIR=str(tmp_path), HOME=str(tmp_path)).splitlines()
    assert {"library.json", "src/net.h", "src/net_image.c", "LICENSE"} <= set(names)
    record = json.loads((folder / "library.json").read_text())
    for header in record["headers"]:
        assert (folder / record["build"]["includeDir"] / header).is_file()


def test_the_cmsis_pack_names_what_the_format_asks_for_and_every_source(folder):
    """Open-CMSIS-Pack's PACK.xsd 1.7: what has minOccurs 1 or use="required" on the way."""
    root = ElementTree.parse(folder / "edgenet.net.pdsc").getroot()
    assert root.tag == "package"
    assert root.get("schemaVersion")
    tags = [child.tag for child in root]
    assert {"vendor", "name", "description", "url", "license", "releases"} <= set(tags)
    assert len(set(tags)) == len(tags)
    assert (root.findtext("vendor"), root.findtext("name")) == ("edgenet", "net")
    assert (folder / root.findtext("license")).is_file()
    assert [release.get("version") for release in root.iter("release")] == ["0.1.0"]
    (component,) = root.iter("component")
    assert all(component.get(name) for name in ("Cclass", "Cgroup", "Csub", "Cversion"))
    assert component.findtext("description")
    files = [(file.get("category"), file.get("name")) for file in component.iter("file")]
    assert {kind for kind, _ in files} == {"include", "header", "source"}
    assert all((folder / name).exists() for _, name in files)
    sources = {name for kind, name in files if kind == "source"}
    assert sources == {f"src/{path.name}" for path in folder.glob("src/*.c")}


def test_every_list_of_sources_is_the_folders(folder):
    listed = set()
    for line in (folder / "CMakeLists.txt").read_text().splitlines():
        if line.startswith("  src/"):
            listed.add(line.strip())
    assert listed == {f"src/{path.name}" for path in folder.glob("src/*.c")}


def arduino(sketch: Path, libraries: Path, build: Path) -> tuple[Path, str]:
    """The program that Arduino's builder makes of a sketch, and what it says on the way."""
    command = ["arduino-builder", "-compile", "-warnings", "all", "-fqbn", AVR]
    command += ["-hardware", ARDUINO / "arduino-builder", "-tools", ARDUINO / "arduino-builder"]
    command += ["-hardware", ARDUINO / "arduino" / "hardware", "-libraries", libraries]
    # g++ 5 does not tell C++ of the core's DECIMAL_DIG
    command += ["-prefs", "compiler.cpp.extra_flags=-DDECIMAL_DIG=__DECIMAL_DIG__"]
    build.mkdir()
    command += ["-build-path", build, sketch]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert not done.returncode, said[-3000:]
    return build / f"{sketch.name}.elf", said


@pytest.mark.slow
@pytest.mark.tool("arduino-builder")
@pytest.mark.tool("avr-gcc")
@pytest.mark.tool("simavr")
def test_arduinos_builder_makes_the_sketch_and_an_8_bit_board_computes_the_same(folder, tmp_path):
    """A Mega 2560: int has 16 bits there, and the tiny model fits its 8 KB."""
    libraries = folder.parent
    sketch = folder / "examples" / "selftest" / "selftest.ino"
    _, said = arduino(sketch, libraries, tmp_path / "example")
    assert str(folder) not in said, said
    prove = tmp_path / "prove" / "prove.ino"
    prove.parent.mkdir()
    prove.write_text(
        "#include <net_image.h>\n#include <avr/sleep.h>\nNET_ARENA(arena);\n"
        "static const uint8_t frame[2 * 30 * 20] = {7, 200, 31};\n"
        "void setup() {\n    Serial.begin(115200);\n    Serial.print(net_selftest(arena));\n"
        "    Serial.print(' ');\n"
        "    Serial.print(net_image_rgb565_swapped(arena, frame, 30, 20, 60));\n"
        "    for (int i = 0; i < 6; i++) {\n"
        "        Serial.print(' ');\n        Serial.print(net_input(arena)[i]);\n    }\n"
        "    Serial.println();\n    Serial.flush();\n    cli();\n    sleep_enable();\n"
        "    sleep_cpu();\n}\nvoid loop() {}\n"
    )
    elf, _ = arduino(prove, libraries, tmp_path / "built")
    command = ["simavr", "-m", "atmega2560", "-f", "16000000", elf]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    pixels = np.zeros((20, 30, 2), np.uint8)
    pixels[0, :2] = [[7, 200], [31, 0]]
    expected = frames.Case("rgb565_swapped", pixels, Preprocess(16, 16)).expected.ravel()[:6]
    assert f"0 0 {' '.join(map(str, expected))}.." in done.stderr + done.stdout
