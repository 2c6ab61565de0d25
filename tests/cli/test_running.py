"""The commands that run a model: run, eval, bench; promise P3 through the probes of eval logits; Ctrl-C."""

import csv
import io
import json
import os
import signal
import struct
import sys
import time
import unittest

from gguf_file import GgufFile
from program import LLAMA, QWEN2, TEMPLATE, TEMPLATE_KEY, TIMEOUT_S, TINY, ProgramTest


def golden(name):
    return json.loads((TINY / f"{name}.json").read_text(encoding="utf-8"))


class RunTest(ProgramTest):
    def test_greedy_answer_is_the_goldens(self):
        for name in ["llama", "qwen2", "llama-q8_0"]:
            expected = golden(name)
            answer = self.json_of("run", TINY / f"{name}.gguf", "--raw", expected["text"], "--temp", 0, "-n",
                                  len(expected["greedy"]), "--json")
            self.assertEqual(answer["tokens"], expected["greedy"], name)
            self.assertEqual(answer["finish_reason"], "length")
            self.assertEqual(answer["usage"]["prompt_tokens"], len(expected["prompt"]))
            ids = " ".join(map(str, expected["greedy"]))
            decoded = self.json_of("tokenize", TINY / f"{name}.gguf", "--decode", ids, "--json")["text"]
            self.assertEqual(answer["text"].rstrip("\ufffd"), decoded.rstrip("\ufffd"))

    def test_ways_to_give_a_prompt(self):
        options = ["--temp", "0", "-n", "8", "--raw"]
        expected = self.succeeds("run", LLAMA, "Hello world", *options)
        self.assertTrue(expected.endswith("\n"))
        self.assertEqual(self.succeeds("run", LLAMA, *options, given=b"Hello world\n"), expected)
        self.assertEqual(self.succeeds("run", LLAMA, "-", *options, given=b"Hello world"), expected)
        self.assertEqual(self.succeeds("run", "-m", LLAMA, "Hello world", *options), expected)
        self.assertEqual(self.succeeds("run", "-m", LLAMA, "-p", "Hello world", *options), expected)
        tokens = self.succeeds("tokenize", LLAMA, "Hello world")
        self.assertEqual(self.succeeds("run", LLAMA, "--tokens", tokens, "--temp", 0, "-n", 8), expected)

    def test_template_and_system(self):
        path = self.write("chat.gguf", GgufFile(QWEN2).hide(TEMPLATE_KEY).with_text(TEMPLATE_KEY, TEMPLATE))
        text = "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        tokens = self.json_of("tokenize", path, text, "--parse-special", "--json")["tokens"]
        options = ["--temp", "0", "-n", "6", "--json"]
        through_template = self.json_of("run", path, "Hi", "--system", "Be brief", *options)
        by_hand = self.json_of("run", path, "--tokens", json.dumps(tokens), *options)
        self.assertEqual(through_template["usage"]["prompt_tokens"], len(tokens))
        self.assertEqual(through_template["tokens"], by_hand["tokens"])

    def test_template_prints_what_run_uses(self):
        template = ("{{ bos_token }}{% if tools is not none %}tools{% endif %}"
                    "{% if documents is not none %}documents{% endif %}" + TEMPLATE + "{{ eos_token }}")
        path = self.write("chat.gguf", GgufFile(QWEN2).hide(TEMPLATE_KEY).with_text(TEMPLATE_KEY, template))
        messages = self.write("chat.json", json.dumps([{"role": "user", "content": "Hi"}]))
        prompt = self.succeeds("template", path, "--messages", messages)
        self.assertNotIn("tools", prompt)
        self.assertNotIn("documents", prompt)
        tokens = self.json_of("tokenize", path, prompt, "--parse-special", "--json")["tokens"]
        options = ["--temp", "0", "-n", "6", "--json", "--logprobs", "0"]
        through_run = self.json_of("run", path, "Hi", *options)
        by_hand = self.json_of("run", path, "--tokens", json.dumps(tokens), *options)
        self.assertEqual(through_run["usage"]["prompt_tokens"], len(tokens))
        # Equal scores, not only equal choices: nothing but the same tokens gives them.
        self.assertEqual(through_run["logprobs"], by_hand["logprobs"])

    def test_no_template_is_said(self):
        plain = self.write("plain.gguf", GgufFile(LLAMA).hide(TEMPLATE_KEY).data)
        _, error = self.run_program("run", plain, "Hi", "-n", 1)
        self.assertIn("no chat template", error)
        self.fails(2, "--system needs", "run", plain, "Hi", "--system", "x")

    def test_seeds(self):
        def answer(*options):
            return self.json_of("run", LLAMA, "--raw", "Hi", "-n", 20, "--temp", 2, "--top-k", 0, "--min-p", 0, "--json",
                                *options)
        first = answer("--seed", 7)
        self.assertEqual(first["seed"], 7)
        self.assertEqual(answer("--seed", 7, "-t", 1)["tokens"], first["tokens"])
        self.assertNotEqual(answer("--seed", 8)["tokens"], first["tokens"])
        drawn = answer()
        self.assertEqual(answer("--seed", drawn["seed"])["tokens"], drawn["tokens"])

    def test_stop_and_length(self):
        whole = self.json_of("run", LLAMA, "--raw", "Hi", "--temp", 0, "-n", 24, "--json")["text"]
        at = next(i for i in range(4, len(whole)) if whole[i].isascii() and whole[i].isprintable())
        stopped = self.json_of("run", LLAMA, "--raw", "Hi", "--temp", 0, "-n", 24, "--stop", whole[at], "--json")
        self.assertEqual(stopped["finish_reason"], "stop")
        self.assertEqual(stopped["text"], whole[:whole.index(whole[at])])
        none = self.json_of("run", LLAMA, "--raw", "Hi", "-n", 0, "--json")
        self.assertEqual((none["text"], none["tokens"], none["finish_reason"]), ("", [], "length"))

    def test_logprobs(self):
        answer = self.json_of("run", LLAMA, "--raw", "Hi", "--temp", 0, "-n", 3, "--json", "--logprobs", 4)
        self.assertEqual(len(answer["logprobs"]), 3)
        for entry, token in zip(answer["logprobs"], answer["tokens"]):
            self.assertEqual((entry["token"], entry["token"]), (token, entry["top"][0]["token"]))
            self.assertLess(entry["logprob"], 0)
            self.assertEqual(len(entry["top"]), 4)
            logprobs = [other["logprob"] for other in entry["top"]]
            self.assertEqual(logprobs, sorted(logprobs, reverse=True))
        self.fails(2, "--json", "run", LLAMA, "Hi", "--logprobs", 4)

    def test_statistics(self):
        _, error = self.run_program("run", LLAMA, "--raw", "Hi", "-n", 5, "--temp", 0, "--stats")
        self.assertRegex(error, r"prompt \d+ tokens, [\d.]+ t/s \| answer 5 tokens, [\d.]+ t/s \| first token after \d+ ms")
        _, error = self.run_program("run", LLAMA, "--raw", "Hi", "-n", 0, "--temp", 0, "--stats")
        self.assertIn("answer 0 tokens", error)
        self.assertNotIn("first token after", error)
        _, error = self.run_program("run", LLAMA, "--raw", "Hi", "-n", 5, "--temp", 0)
        self.assertEqual(error, "")

    def test_environment(self):
        self.fails(2, "MEGALITH_CTX", "run", LLAMA, "Hi", MEGALITH_CTX="-5")
        self.fails(2, "quantum", "run", LLAMA, "Hi", MEGALITH_ISA="quantum")
        found = self.succeeds("run", LLAMA, "--raw", "Hi", "-n", 1, "--json", MEGALITH_ISA="scalar", MEGALITH_THREADS="1",
                              MEGALITH_CTX="77")
        engine = json.loads(found)["engine"]
        self.assertEqual((engine["instruction_set"], engine["threads"], engine["context_tokens"]), ("scalar", 1, 77))

    def test_bad_input(self):
        self.fails(3, "the first argument is the MODEL", "run", "Why is the sky blue?")
        self.fails(2, "the prompt is empty", "run", LLAMA, "")
        self.fails(2, "the prompt is empty", "run", LLAMA, given=b"\n")
        self.fails(2, ["not valid UTF-8", "0xff at offset 3"], "run", LLAMA, given=b"abc\xffdef")
        self.fails(2, ["not valid UTF-8", "0xc3 at offset 0"], "run", LLAMA, os.fsdecode(b"\xc3"))
        self.fails(2, ["40 tokens", "32 tokens", "--ctx"], "run", LLAMA, "--tokens", "5 " * 40, "--ctx", 32)
        self.fails(5, ["--ctx", "the largest that safely fits"], "run", LLAMA, "Hi", "--ctx", 1 << 30)
        self.fails(2, "token id 300 is not in the vocabulary of 300", "run", LLAMA, "--tokens", "300")
        self.fails(2, "'-4' is not a token id", "run", LLAMA, "--tokens", "1 -4")
        self.fails(2, "--tokens is empty", "run", LLAMA, "--tokens", "")
        self.fails(2, "leave one out", "run", LLAMA, "Hi", "--tokens", "1")
        self.fails(2, "leave one out", "run", LLAMA, "Hi", "-p", "Ho")
        self.fails(2, "--raw", "run", LLAMA, "Hi", "--raw", "--system", "x")
        self.fails(2, "scalar", "run", LLAMA, "Hi", "--isa", "abacus")
        for option, value in [("--temp", "-1"), ("--temp", "nan"), ("--top-p", "2"), ("--min-p", "x"), ("--top-k", "-1"),
                              ("-n", "-2"), ("--ctx", "0"), ("-t", "0"), ("--repeat-penalty", "0"), ("--seed", "-1")]:
            self.fails(2, option.lstrip("-"), "run", LLAMA, "Hi", option, value)

    def test_whole_numbers(self):
        most = 2**64 - 1
        for option, value, sentence in [
                ("--seed", "1.5", f"'1.5' is not a whole number; give a seed from 0 to {most}"),
                ("--seed", most + 1, f"'{most + 1}' is not a seed from 0 to {most}"),
                ("--seed", "-1", f"'-1' is not a seed from 0 to {most}"),
                ("-n", "1.5", "'1.5' is not a whole number; give a number of tokens from -1 to 1073741824"),
                ("-n", "-2", "'-2' is not a number of tokens from -1 to 1073741824"),
                ("-n", "many", "'many' is not a number of tokens from -1 to 1073741824"),
                ("-n", "1e3", "'1e3' is not a whole number"),
                ("-n", "", "'' is not a number of tokens"),
                ("-c", 1 << 31, f"'{1 << 31}' is not a number of tokens from 1 to 1073741824"),
                ("-t", 5000, "'5000' is not a number of threads from 1 to 4096")]:
            self.fails(2, sentence, "run", LLAMA, "Hi", option, value)
        answer = self.json_of("run", LLAMA, "--raw", "Hi", "-n", "010", "--seed", most, "--temp", 2, "--json")
        self.assertEqual(answer["seed"], most)
        self.assertLessEqual(answer["usage"]["completion_tokens"], 10)
        ten = self.json_of("run", LLAMA, "--raw", "Hi", "--temp", 0, "-n", "010", "--json")
        self.assertEqual(ten["tokens"], self.json_of("run", LLAMA, "--raw", "Hi", "--temp", 0, "-n", 10, "--json")["tokens"])

    def test_file_truncated_while_mapped(self):
        path = self.write("shrinking.gguf", endless_llama())
        process = self.start("run", path, "--raw", "Hi", "--temp", 0, "--ctx", 1 << 17)
        process.stdin.close()
        self.assertTrue(process.stdout.read(20))
        os.truncate(path, 4096)
        process.stdout.read()
        error = process.stderr.read().decode()
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(process.wait(TIMEOUT_S), 1, error)
        self.assertIn("shrinking.gguf", error)
        self.assertIn("truncated", error)


def endless_llama():
    """A model that never ends an answer by itself when greedy: its special tokens, the first three, always score 0."""
    file = GgufFile(LLAMA)
    at, length = file.tensor_at("output.weight"), 3 * 4 * file.tensors["output.weight"]["shape"][0]
    file.data[at:at + length] = bytes(length)
    return file.data


class InterruptTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.model = self.write("endless.gguf", endless_llama())

    def start_answer(self, *options):
        process = self.start("run", self.model, "--raw", "Hi", "--temp", 0, "--ctx", 1 << 17, *options)
        process.stdin.close()
        process.stdin = None
        self.addCleanup(process.kill)
        return process

    def test_interrupt_ends_the_answer(self):
        process = self.start_answer("--stats")
        self.assertTrue(process.stdout.read(20))
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 130)
        self.assertTrue(out.endswith(b"\n"))
        self.assertIn(b"answer", error)
        self.assertNotIn(b"megalith:", error)

    def test_interrupt_gives_json_what_there_is(self):
        process = self.start_answer("--json")
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 130)
        if out:  # under a sanitizer the model may not even have been open yet
            self.assertEqual(json.loads(out)["finish_reason"], "cancelled")

    def test_interrupt_while_waiting_for_the_prompt(self):
        process = self.start("run", self.model)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual((process.returncode, error), (130, b""))

    def test_interrupt_of_a_bench(self):
        process = self.start("bench", self.model, "-n", 100000, "-p", 0, "-r", 1)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 130)

    def test_closed_pipe_ends_quietly(self):
        process = self.start_answer()
        self.assertTrue(process.stdout.read(10))
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(TIMEOUT_S), 0, error)
        self.assertNotIn(b"megalith:", error)


class EvalTest(ProgramTest):
    def logits_text(self, name, *options):
        """Equal text means equal bits: floats are printed exactly."""
        ids = " ".join(map(str, golden(name)["prompt"]))
        return self.succeeds("eval", "logits", TINY / f"{name}.gguf", "--tokens", ids, "--json", *options)

    def test_logits_are_the_goldens(self):
        for name in ["llama", "qwen2"]:
            expected = golden(name)
            raw = (TINY / f"{name}.f32").read_bytes()
            last = struct.unpack(f"<{len(raw) // 4}f", raw)[-expected["vocabulary"]:]
            found = json.loads(self.logits_text(name))
            self.assertEqual(len(found["token_logprobs"]), len(expected["prompt"]) - 1)
            # Float32 weights: a thousand times the oracle's own rounding covers the F16 cache of keys and values.
            tolerance = max(1000 * expected["oracle_rounding_error"], 5e-3)
            for mine, theirs in zip(found["logits_last"], last, strict=True):
                self.assertAlmostEqual(mine, theirs, delta=tolerance)
            for mine, theirs in zip(found["token_logprobs"], expected["token_logprobs"], strict=True):
                self.assertAlmostEqual(mine, theirs, delta=tolerance)

    def test_promise_p3(self):
        instruction_sets = self.json_of("doctor", "--no-measure", "--json")["instruction_sets"]
        for name in ["llama-k", "llama-q4_1", "qwen2-q5_0", "llama-linear"]:
            for instruction_set in instruction_sets:
                base = ["--isa", instruction_set]
                alone = self.logits_text(name, *base, "-t", 1)
                for probe in [["-t", 2], ["-t", 3], ["-t", 4], ["--chunk", 1], ["--chunk", 7], ["--chunk", 64],
                              ["--chunk", 512], ["--neighbours", 7], ["--neighbours", 7, "--chunk", 7, "-t", 3]]:
                    self.assertEqual(self.logits_text(name, *base, *probe), alone, f"{name} {base} {probe}")

    def test_every_kind_of_file_keeps_its_bits_in_the_engine(self):
        # All that the models' tests know, as a user has them: folders by themselves, recurrent state in the engine's slots.
        paths = sorted(path for path in TINY.iterdir() if path.suffix == ".gguf" or (path / "config.json").exists())
        self.assertGreater(len(paths), 20)
        tokens = ["--tokens", " ".join(str(i * 37 % 290 + 3) for i in range(90)), "--json"]
        for path in paths:
            alone = self.succeeds("eval", "logits", path, *tokens, "-t", 1)
            probed = self.succeeds("eval", "logits", path, *tokens, "-t", 2, "--chunk", 7, "--neighbours", 3)
            self.assertEqual(probed, alone, path.name)
            answer = self.json_of("run", path, "--raw", "Hi", "-n", 4, "--temp", 0, "--json")
            self.assertGreater(len(answer["tokens"]), 0, path.name)

    def test_logits_for_people(self):
        text = self.succeeds("eval", "logits", LLAMA, "--tokens", "5 6 7")
        self.assertIn("LIKELIEST NEXT", text)
        self.assertIn("(2 tokens)", text)

    def test_one_token(self):
        found = self.json_of("eval", "logits", LLAMA, "--tokens", "5", "--json")
        self.assertEqual((len(found["logits_last"]), found["token_logprobs"]), (300, []))

    def test_perplexity_is_that_of_the_logprobs(self):
        expected = golden("llama")
        logprobs = json.loads(self.logits_text("llama"))["token_logprobs"]
        path = self.write("text.txt", expected["text"])
        found = self.json_of("eval", "perplexity", LLAMA, path, "--json")
        self.assertEqual(found["scored_tokens"], len(logprobs))
        self.assertAlmostEqual(found["mean_log_likelihood"], sum(logprobs) / len(logprobs), places=6)
        piped = self.json_of("eval", "perplexity", LLAMA, "--json", given=expected["text"].encode())
        self.assertEqual(piped["perplexity"], found["perplexity"])
        text = self.succeeds("eval", "perplexity", LLAMA, path)
        self.assertIn(f"perplexity {found['perplexity']:.4f}", text)

    def test_perplexity_in_windows(self):
        expected = golden("llama")
        found = self.json_of("eval", "perplexity", LLAMA, "--ctx", 10, "--json", given=expected["text"].encode())
        tokens = len(expected["prompt"])
        windows = [min(10, tokens - begin) for begin in range(0, tokens, 10)]
        self.assertEqual(found["scored_tokens"], sum(length - 1 for length in windows))
        self.assertEqual(found["window_tokens"], 10)

    def test_bad_input(self):
        self.fails(2, "--tokens", "eval", "logits", LLAMA)
        self.fails(2, "--tokens is empty", "eval", "logits", LLAMA, "--tokens", "")
        self.fails(2, "fewer than two tokens", "eval", "perplexity", LLAMA, given=b"")
        self.fails(2, ["window of 1 token ", "MEGALITH_CTX"], "eval", "perplexity", LLAMA, given=b"Hello world", MEGALITH_CTX="1")
        self.fails(2, "nowhere.txt", "eval", "perplexity", LLAMA, self.folder / "nowhere.txt")
        self.fails(2, "is a directory", "eval", "perplexity", LLAMA, self.folder)
        self.fails(3, "nowhere.gguf", "eval", "perplexity", self.folder / "nowhere.gguf", given=b"x")


class BenchTest(ProgramTest):
    OPTIONS = ["-p", "20,40", "-n", "4", "-d", "0,16", "-r", "2", "-t", "1,2"]
    TESTS = ["pp20", "pp40", "tg4", "tg4 @ d16"]

    def test_forms_of_output(self):
        results = self.json_of("bench", LLAMA, *self.OPTIONS, "-o", "json")
        self.assertEqual([result["test"] for result in results], self.TESTS * 2)
        self.assertEqual([result["threads"] for result in results], [1] * 4 + [2] * 4)
        for result in results:
            self.assertEqual(len(result["samples"]), 2)
            self.assertAlmostEqual(result["tokens_per_second"], sum(result["samples"]) / 2, places=3)
            self.assertGreater(result["fraction_of_limit"], 0)
            self.assertGreater(result["peak_memory_bytes"], 1 << 20)
        self.assertGreater(results[2]["bytes_read_per_second"], 0)
        self.assertGreater(results[0]["multiply_adds_per_second"], 0)

        lines = self.succeeds("bench", LLAMA, *self.OPTIONS, "-o", "jsonl").splitlines()
        self.assertEqual([json.loads(line)["test"] for line in lines], self.TESTS * 2)
        rows = list(csv.DictReader(io.StringIO(self.succeeds("bench", LLAMA, *self.OPTIONS, "-o", "csv"))))
        self.assertEqual([row["test"] for row in rows], self.TESTS * 2)
        self.assertTrue(all(float(row["tokens_per_second"]) > 0 for row in rows))
        table = self.succeeds("bench", LLAMA, "-p", "20", "-n", "4", "-r", "1")
        self.assertIn("| test |", table)
        self.assertIn(" pp20 |", table)
        self.assertIn("peak memory", table)

    def test_answers_at_once(self):
        results = self.json_of("bench", LLAMA, "-p", "0", "-n", "4", "-b", "1,3", "-r", "1", "-o", "json")
        self.assertEqual([(result["test"], result["sequences"]) for result in results], [("tg4", 1), ("tg4 b3", 3)])
        self.assertTrue(all(result["fraction_of_limit"] > 0 for result in results))
        self.fails(2, "-b", "bench", LLAMA, "-b", "0")

    def test_profile(self):
        result = self.json_of("bench", LLAMA, "-p", "0", "-n", "4", "-r", "2", "--profile", "-o", "json")[0]
        operations = {line["op"]: line for line in result["profile"]}
        self.assertIn("attention", operations)
        self.assertTrue(all(line["calls"] > 0 for line in operations.values()))
        self.assertGreater(operations["linear"]["fraction_of_limit"], 0)
        self.assertIsNone(operations["add"]["fraction_of_limit"])
        self.assertIn("attention", self.succeeds("bench", LLAMA, "-p", "0", "-n", "4", "-r", "1", "--profile"))

    def test_bad_input(self):
        self.fails(2, "both -p and -n are 0", "bench", LLAMA, "-p", "0", "-n", "0")
        self.fails(2, "-p", "bench", LLAMA, "-p", "twelve")
        self.fails(2, "--output", "bench", LLAMA, "-o", "xml")
        self.fails(2, "-r", "bench", LLAMA, "-r", "0")
        self.fails(3, "nosuchmodel", "bench", "nosuchmodel")


if __name__ == "__main__":
    sys.exit(unittest.main())
