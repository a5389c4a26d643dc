"""The source tree keeps its layers, and no source or test file is left out of the build.

Arguments: the modules, bottom up.
"""

import pathlib
import re
import sys

import tap

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODULES = sys.argv[1:]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def sources(module):
    return sorted(path for path in (ROOT / "src" / module).rglob("*") if path.suffix in (".c", ".h"))


def fail_on(problems):
    assert not problems, "\n".join(problems)


def folders_are_modules():
    known = set(MODULES)
    fail_on([f"src/{path.name} is not in the list of modules in meson.build"
             for path in (ROOT / "src").glob("*/") if path.is_dir() and path.name not in known])


def modules_include_only_below():
    problems = []
    for rank, module in enumerate(MODULES):
        for path in sources(module):
            for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
                owner = name.split("/")[0] if "/" in name else module
                if owner in MODULES and MODULES.index(owner) > rank:
                    problems.append(f"{path.relative_to(ROOT)} includes {name} of a module above it")
                if owner != module and name.endswith("_int.h"):
                    problems.append(f"{path.relative_to(ROOT)} includes {name}, which is private to {owner}")
    fail_on(problems)


def every_source_is_built():
    # A folder without a meson.build is left out on purpose: it is not built yet.
    problems = []
    folders = [*(ROOT / "src").glob("*/"), *(ROOT / "tests").rglob("*/")]
    for folder in folders:
        build_file = folder / "meson.build"
        if not build_file.is_file():
            continue
        listed = build_file.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.c")):
            if f"'{path.name}'" not in listed:
                problems.append(f"{path.relative_to(ROOT)} is not named in its meson.build")
    fail_on(problems)


def every_unit_test_folder_is_built():
    problems = []
    for folder in (ROOT / "tests/unit").glob("*/"):
        if list(folder.glob("test_*.c")) and not (folder / "meson.build").is_file():
            problems.append(f"{folder.relative_to(ROOT)} has tests but no meson.build")
        if folder.name not in MODULES + ["build"]:
            problems.append(f"{folder.relative_to(ROOT)} belongs to no module")
    fail_on(problems)


tap.run(
    folders_are_modules,
    modules_include_only_below,
    every_source_is_built,
    every_unit_test_folder_is_built,
)
