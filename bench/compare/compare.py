#!/usr/bin/env python3
"""Runs megalith and llama.cpp on the same GGUF files, interleaved, and prints a table of tokens per second.

usage: bench/compare/compare.py MODEL.gguf... [--megalith build/release/bin/megalith] [--peer FOLDER] [--rounds 3]

--peer is a folder with node_modules/node-llama-cpp (npm i --ignore-scripts node-llama-cpp); without it, only megalith
runs. Nothing else may run on the machine meanwhile: a compiler beside it halves the figures.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def run_json(command, cwd=None):
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{command[0]} failed with exit code {result.returncode}:\n{result.stderr}")
    return json.loads(result.stdout)


def megalith(binary, model, arguments):
    """Tokens per second of reading the prompt and of writing the answer."""
    report = run_json([binary, "bench", model, "-p", str(arguments.prompt), "-n", str(arguments.answer), "-r", "2",
                       "-t", str(arguments.threads), "-o", "json"])
    rates = {test["test"]: test["samples"] for test in report}
    return rates[f"pp{arguments.prompt}"], rates[f"tg{arguments.answer}"]


def llama_cpp(folder, model, arguments):
    report = run_json(["node", str(HERE / "llama_cpp.mjs"), model, "--prompt", str(arguments.prompt), "--answer",
                       str(arguments.answer), "--threads", str(arguments.threads), "--repetitions", "2"], cwd=folder)
    return report["prefill"], report["decode"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--megalith", default=str(HERE.parent.parent / "build/release/bin/megalith"))
    parser.add_argument("--peer", help="folder with node_modules/node-llama-cpp")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--answer", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    print("| model | engine | prefill t/s (best, median) | decode t/s (best, median) |")
    print("|---|---|---|---|")
    for model in arguments.models:
        samples = {}
        for _ in range(arguments.rounds):
            engines = {"megalith": lambda: megalith(arguments.megalith, model, arguments)}
            if arguments.peer:
                engines["llama.cpp"] = lambda: llama_cpp(arguments.peer, model, arguments)
            for name, measure in engines.items():
                prefill, decode = measure()
                kept = samples.setdefault(name, ([], []))
                kept[0].extend(prefill)
                kept[1].extend(decode)
        name_of_model = pathlib.Path(model).stem
        for name, (prefill, decode) in samples.items():
            print(f"| {name_of_model} | {name} | {max(prefill):.1f}, {statistics.median(prefill):.1f} "
                  f"| {max(decode):.1f}, {statistics.median(decode):.1f} |")
        if "llama.cpp" in samples:
            ratios = [max(samples["megalith"][i]) / max(samples["llama.cpp"][i]) for i in (0, 1)]
            print(f"| {name_of_model} | ratio of the best | {ratios[0]:.2f} | {ratios[1]:.2f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
