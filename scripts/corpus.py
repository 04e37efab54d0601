#!/usr/bin/env python3
"""Packs a fuzzer's inputs into one file, an input in base64 on each line, and unpacks them again.

    scripts/corpus.py pack fuzz/found/event fuzz/corpus/event.txt     adds the files of the folder to the pack
    scripts/corpus.py unpack fuzz/corpus/event.txt fuzz/found/event   writes each input as a file of the folder
"""

import base64
import hashlib
import pathlib
import sys


def read(pack):
    return {base64.b64decode(line) for line in pack.read_text().splitlines()} if pack.exists() else set()


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    source, target = map(pathlib.Path, sys.argv[2:])
    if sys.argv[1] == "pack":
        inputs = read(target) | {file.read_bytes() for file in source.iterdir()}
        lines = sorted((base64.b64encode(one).decode() for one in inputs), key=lambda line: (len(line), line))
        target.write_text("".join(f"{line}\n" for line in lines))
        print(f"{target}: {len(lines)} inputs")
    else:
        target.mkdir(parents=True, exist_ok=True)
        for one in read(source):
            (target / hashlib.sha1(one).hexdigest()).write_bytes(one)


if __name__ == "__main__":
    main()
