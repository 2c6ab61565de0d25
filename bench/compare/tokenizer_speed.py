#!/usr/bin/env python3
"""Runs our tokenizer and the package `tokenizers` on the same vocabulary and text, interleaved, and prints a table.

usage: bench/compare/tokenizer_speed.py FOLDER... [--gguf MODEL.gguf] [--text FILE] [--rounds 3]
                                   [--bench build/release/bench/text_bench]

FOLDER holds a tokenizer.json. Without --text, 10 MB are mixed from this tree's files, documents in several scripts and
generated code points, the same each time. One thread; both are timed by CPU time, best of the rounds. The package is
given documents of 4,000 characters, which it reads faster than one long string.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCRIPTS = ("今日は天気がいいので、川まで歩きました。你好，世界！这是一条很长的河，流过许多城市。 안녕하세요, 오늘은 맑아요. "
           "Быстрая лисица прыгает через ленивую собаку. مرحبا بالعالم، كيف حالك؟ नमस्ते दुनिया, आप कैसे हैं? "
           "Où est la bibliothèque ? Größere Schiffe müssen wenden; ¿dónde está el niño? 🙂👍🏽 x² ≤ 3.14 · 10⁵\n")


def mixed_text(size_bytes):
    generator = random.Random(1)
    patterns = ("src/**/*.cpp", "src/**/*.h", "docs/*.md", "tests/**/*.py", "README.md")
    parts = [path.read_text() for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    common = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种"
    words = SCRIPTS.split(" ")
    for _ in range(len(parts)):
        parts.append(SCRIPTS * 3 + "".join(generator.choice(common) for _ in range(1500)))
        parts.append(" ".join(generator.choice(words) for _ in range(600)))
    chosen, size = [], 0
    while size < size_bytes:
        chosen.append(generator.choice(parts))
        size += len(chosen[-1].encode())
    return "".join(chosen).encode()[:size_bytes].decode(errors="ignore")


def package(folder, text):
    begin = time.process_time()
    tokenizer = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    load_ms = (time.process_time() - begin) * 1e3
    documents = [text[at:at + 4000] for at in range(0, len(text), 4000)]
    begin = time.process_time()
    for document in documents:
        tokenizer.encode(document, add_special_tokens=False)
    return load_ms, len(text.encode()) / (time.process_time() - begin) * 1e-6


def ours(bench, model, text_path):
    result = subprocess.run([bench, model, text_path, "1"], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(result.stderr)
    report = json.loads(result.stdout)
    return report["load_ms"], report["encode_mb_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--gguf", help="our tokenizer is loaded from this file too")
    parser.add_argument("--text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bench", default=str(ROOT / "build/release/bench/text_bench"))
    arguments = parser.parse_args()
    text = pathlib.Path(arguments.text).read_text() if arguments.text else mixed_text(10_000_000)
    print("| tokenizer | engine | load ms | encode MB/s |\n|---|---|---|---|")
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(text.encode())
        file.flush()
        for folder in arguments.folders:
            engines = {"megalith": lambda folder=folder: ours(arguments.bench, folder, file.name),
                       "tokenizers": lambda folder=folder: package(folder, text)}
            if arguments.gguf:
                engines["megalith, GGUF"] = lambda: ours(arguments.bench, arguments.gguf, file.name)
            best = {name: (float("inf"), 0.0) for name in engines}
            for _ in range(arguments.rounds):
                for name, measure in engines.items():
                    load_ms, rate = measure()
                    best[name] = (min(best[name][0], load_ms), max(best[name][1], rate))
            for name, (load_ms, rate) in best.items():
                print(f"| {folder} | {name} | {load_ms:.1f} | {rate:.2f} |")
            print(f"| {folder} | ratio | | {best['megalith'][1] / best['tokenizers'][1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
