#!/usr/bin/env python3
"""Fails if `make test` compiles a crate again that `make demo` has compiled.

Cargo compiles a crate once for each set of features. `make demo` builds `rebound-dev` alone, `make test` the whole workspace with
its tests: a crate that asks for one more feature of a common dependency makes `make test` compile this dependency, and all crates
that use it, a second time. The profile of tests does that on purpose with the embedded DynamoDB: see Cargo.toml.
"""

import collections
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def features(*arguments):
    """The features of each dependency in a build, by its name and version. A macro may have two sets."""
    command = ["cargo", "tree", "--locked", "--prefix", "none", "--format", "{p}|{f}", *arguments]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    found = collections.defaultdict(set)
    for line in lines:
        package, _, names = line.removesuffix(" (*)").partition("|")
        found[package].add(names)
    return found


def main():
    demo = features("--package", "rebound-dev", "--edges", "normal,build")
    tests = features("--workspace", "--edges", "normal,build,dev")
    again = {package: (names, tests[package]) for package, names in demo.items() if not names <= tests[package]}
    for package, (before, after) in sorted(again.items()):
        print(f"{package}: make demo compiles it with {sorted(before)}, make test with {sorted(after)}", file=sys.stderr)
    if again:
        sys.exit("make test would compile these crates, and all that use them, again: ask for the same features in Cargo.toml")


if __name__ == "__main__":
    main()
