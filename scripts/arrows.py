#!/usr/bin/env python3
"""Holds who may import whom: between the modules of the product, and between the packages. Read as text: every path in `use` lines and in
code. The compiler holds that packages name only what they depend on; this holds the rest, and what `Cargo.toml` may not list."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Which modules a module of the product may name, beside itself. A use case may name all of these, and no other use case.
LAYERS = {
    "time": [],
    "logging": ["time"],
    "web": [],
    "resend": ["time", "web"],
    "policy": ["resend", "time"],
    "message": ["policy", "resend", "time"],
    "aws": ["message", "time"],
    "claude": ["policy", "aws", "time", "web"],
    "store": ["message", "policy", "resend", "aws", "time"],
    "config": ["claude", "policy", "resend", "aws"],
    "metrics": ["message", "policy", "resend", "time"],
}
USE_CASES = ["act", "receive", "protect", "engage", "consent"]

# Which packages the others may name, by the folder that a line is in: the longest that matches.
PACKAGES = {
    "src": [],
    "tests/it": ["rebound", "rebound_dev", "aws_local"],
    "tests/support": ["rebound", "rebound_dev", "aws_local"],
    "fuzz": ["rebound"],
    "crates/aws-local": ["aws_local"],
    "crates/rebound-dev": ["rebound", "aws_local", "rebound_dev"],
    "crates/rebound-cli/src/operate": ["rebound"],
    "crates/rebound-cli/src/resend_api": ["rebound"],
    "crates/rebound-cli": ["rebound", "rebound_dev", "rebound_cli"],
    "crates/rebound-cli/tests": ["rebound", "rebound_dev", "rebound_cli", "aws_local"],
    "benches": ["rebound", "rebound_dev", "aws_local"],
    "benches/measured": ["rebound"],
}
NAMED = re.compile(r"(?<![\w:])(rebound|rebound_dev|rebound_cli|aws_local)::")
INNER = re.compile(r"(?<![\w:$])crate::(\w+)")
GROUP = re.compile(r"(?<![\w:$])crate::\{([^}]*)\}")
# A binary is its own use case's: it names that, and what starts a program.
BINARY = re.compile(r"(?<![\w:])rebound::(\w+)")


def code(text):
    """The text without comments; links in docstrings are words for people."""
    return re.sub(r"//.*", "", text)


def lines_of(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        yield number, code(line)


def wrong_packages(path, relative):
    folder = max((known for known in PACKAGES if relative.startswith(known + "/")), key=len, default=None)
    if folder is None:
        yield 0, "is in no folder that this script knows"
        return
    allowed = set(PACKAGES[folder])
    if relative.startswith("src/bin/"):
        allowed = {"rebound"}
    for number, line in lines_of(path):
        for name in NAMED.findall(line):
            if name not in allowed:
                yield number, f"{folder} may not name {name}"


def wrong_modules(path, relative):
    parts = pathlib.PurePosixPath(relative).parts
    if parts[1] == "bin":
        own = pathlib.PurePosixPath(relative).stem
        for number, line in lines_of(path):
            for name in BINARY.findall(line):
                if name not in (own, "logging", "aws"):
                    yield number, f"the binary {own} may not name {name}"
        return
    module = parts[1].removesuffix(".rs")
    if module == "lib":
        return
    if module in USE_CASES:
        allowed = {module, *LAYERS}
    elif module in LAYERS:
        allowed = {module, *LAYERS[module]}
    else:
        yield 0, f"{module} is no module that this script knows"
        return
    for number, line in lines_of(path):
        named = INNER.findall(line)
        for group in GROUP.findall(line):
            named += [part.strip().split("::")[0] for part in group.split(",")]
        for name in named:
            if name in LAYERS or name in USE_CASES:
                if name not in allowed:
                    yield number, f"{module} may not name {name}"


def main():
    found = []
    for path in sorted(ROOT.rglob("*.rs")):
        relative = path.relative_to(ROOT).as_posix()
        if relative.split("/")[0] in ("target", ".tools") or "/target/" in relative:
            continue
        wrong = list(wrong_packages(path, relative))
        if relative.startswith("src/"):
            wrong += wrong_modules(path, relative)
        found += [f"{relative}:{number}: {what}" for number, what in wrong]
    for line in found:
        print(line)
    if found:
        sys.exit(f"{len(found)} lines name what they may not; scripts/arrows.py says what may be named")


if __name__ == "__main__":
    main()
