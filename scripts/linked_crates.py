#!/usr/bin/env python3
"""Lists the crates that are really linked into each of the functions: docs/dependencies.md.

`cargo tree` knows packages, not programs: all functions are one package, so it names for each of them what any of
them needs, and what never makes an instruction. So the functions are built as they are deployed, but with line tables, and
disassembled: of each instruction that is left, inlined or not, the table says from which file it is, and the file's path
names the crate and its version. Rust's own standard library is not counted, nor is what is data alone.

With `--check` nothing is built: it fails if the list is of other functions than there are, or of another set of crates
than `cargo tree` names today.
"""

import json
import pathlib
import re
import subprocess
import sys

FUNCTIONS = ["receive", "protect", "engage", "consent", "act"]
ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "docs" / "dependencies.md"
SOURCE = re.compile(rb"/.*/registry/src/[^/]+/([A-Za-z0-9_-]+?)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/")
PACKAGE = re.compile(r"^(\S+) v(\d\S*)( \(proc-macro\))?")
ROW = re.compile(r"^\| `([^` ]+)` \| (\d+\.\d[^ |]*) \|", re.MULTILINE)
FUNCTION_ROW = re.compile(r"^\| `([^` ]+)` \| \d+ \|$", re.MULTILINE)
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]


def named():
    """What `cargo tree` names for the functions, (name, version) each: of it the macros, and all else but Rebound itself."""
    command = ["cargo", "tree", "--locked", "--package", "rebound", "--edges", "normal", "--prefix", "none"]
    command += [argument for target in TARGETS for argument in ("--target", target)]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    found = [match.groups() for match in map(PACKAGE.match, lines) if match]
    macros = {(name, version) for name, version, macro in found if macro}
    return macros, {(name, version) for name, version, _ in found if name != "rebound"} - macros


def linked(program):
    """The crates that a program has instructions from."""
    command = ["objdump", "--disassemble", "--line-numbers", "--no-show-raw-insn", str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as disassembler:
        found = {match.groups() for match in map(SOURCE.match, disassembler.stdout) if match}
    if disassembler.returncode or not found:
        sys.exit(f"{program} can't be read; this takes a program for Linux, and binutils")
    return {(name.decode(), version.decode()) for name, version in found}


def build():
    """Builds the functions with line tables, and says where they are."""
    command = ["cargo", "build", "--locked", "--profile", "linked", "--message-format", "json-render-diagnostics"]
    command += [argument for function in FUNCTIONS for argument in ("--bin", function)]
    messages = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    programs = [program for program in (json.loads(line).get("executable") for line in messages) if program]
    return {pathlib.Path(program).name: pathlib.Path(program) for program in programs}


def written(programs):
    """The list."""
    macros, others = named()
    crates = {function: linked(programs[function]) for function in FUNCTIONS}
    everywhere = set().union(*crates.values())
    strangers = everywhere - others
    if strangers:
        sys.exit(f"linked, and not named by cargo tree: {sorted(strangers)}")
    lines = [
        "# Which crates are in the functions?",
        "",
        "<!-- Made by `make deps`. `make lint` fails if it does not match Cargo.lock and Cargo.toml. -->",
        "",
        "The crates that are linked into each Lambda function: at least one instruction of the function comes from the crate.",
        "The functions are built as for deployment, for x86_64. Rust's standard library and crates of data alone do not count.",
        "",
        "| function | crates |",
        "| --- | --: |",
        *(f"| `{function}` | {len(crates[function])} |" for function in FUNCTIONS),
        f"| all together | {len(everywhere)} |",
        "",
        "| crate | version | " + " | ".join(f"`{function}`" for function in FUNCTIONS) + " |",
        "| --- | --- |" + " :-: |" * len(FUNCTIONS),
    ]
    for crate in sorted(everywhere):
        marks = " | ".join("✓" if crate in crates[function] else "" for function in FUNCTIONS)
        lines.append(f"| `{crate[0]}` | {crate[1]} | {marks} |")
    absent = sorted((others | macros) - everywhere)
    lines += [
        "",
        "## Built, but linked into no function",
        "",
        f"`cargo tree` names {len(absent)} more for the functions: macros and their dependencies, which run at build time; crates",
        "of types and constants; crates for other processors; and crates that no function calls, which the linker removes.",
        "",
        "| crate | version | |",
        "| --- | --- | --- |",
        *(f"| `{name}` | {version} | {'macro' if (name, version) in macros else ''} |" for name, version in absent),
        "",
    ]
    return "\n".join(lines)


def check():
    """Fails if the list is of other functions than there are, or of other crates than `cargo tree` names."""
    text = LIST.read_text()
    missing = sorted({path.stem for path in (ROOT / "src" / "bin").glob("*.rs")} ^ set(FUNCTION_ROW.findall(text)))
    if missing:
        sys.exit(f"{LIST.relative_to(ROOT)} is out of date, run `make deps`: {', '.join(missing)}")
    macros, others = named()
    listed = set(ROW.findall(text))
    wrong = sorted(listed ^ (macros | others))
    if wrong:
        changed = ", ".join(f"{name} {version}" for name, version in wrong)
        sys.exit(f"{LIST.relative_to(ROOT)} is out of date, run `make deps`: {changed}")


def main():
    """Writes the list and prints its beginning, or checks it."""
    if sys.argv[1:] == ["--check"]:
        return check()
    text = written(build())
    LIST.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
