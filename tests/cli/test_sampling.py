"""The sampling options of run, each seen to act on a model; several choices; and what is refused."""

import sys
import unittest

from program import LLAMA, ProgramTest

WIDE = ["--temp", "5", "--top-k", "0", "--top-p", "1", "--min-p", "0"]


class SamplingTest(ProgramTest):
    def answer(self, *options, tokens=24):
        return self.json_of("run", LLAMA, "--raw", "Hi", "-n", tokens, "--json", *options)

    def tokens(self, *options, tokens=24):
        return self.answer(*options, tokens=tokens)["tokens"]

    def test_cuts_that_leave_the_likeliest(self):
        greedy = self.tokens("--temp", 0)
        self.assertNotEqual(self.tokens(*WIDE, "--seed", 1), greedy)
        for cut in [["--top-k", 1], ["--top-p", 1e-6], ["--min-p", 1], ["--top-n-sigma", 1e-4], ["--top-nsigma", 1e-4],
                    ["--mirostat-tau", 1e-6, "--mirostat-eta", 0], ["--mirostat-ent", 1e-6, "--mirostat-lr", 0]]:
            given = dict(zip(WIDE[::2], WIDE[1::2])) | dict(zip(cut[::2], cut[1::2]))
            self.assertEqual(self.tokens("--seed", 1, *(word for pair in given.items() for word in pair)), greedy, cut)

    def test_typical_leaves_one_that_need_not_be_the_likeliest(self):
        typical = self.tokens(*WIDE, "--seed", 1, "--typical", 1e-6)
        self.assertEqual(self.tokens(*WIDE, "--seed", 2, "--typical-p", 1e-6), typical)
        self.assertNotEqual(typical, self.tokens("--temp", 0))

    def test_xtc_takes_the_least_likely_of_those_above(self):
        options = ["--top-k", 3, "--top-p", 1, "--min-p", 0, "--xtc-threshold", 0, "--logprobs", 3]
        for entry in self.answer(*options, "--xtc-probability", 1)["logprobs"]:
            self.assertEqual(entry["token"], entry["top"][2]["token"])
        never = self.answer(*options, "--xtc-probability", 0, "--seed", 3)["tokens"]
        self.assertEqual(never, self.tokens("--top-k", 3, "--top-p", 1, "--min-p", 0, "--seed", 3))

    def test_mirostat_learns(self):
        options = [*WIDE, "--seed", 1, "--mirostat-tau", 3]
        self.assertNotEqual(self.tokens(*options, "--mirostat-eta", 0), self.tokens(*options, "--mirostat-eta", 10))

    def test_logit_bias(self):
        self.assertEqual(set(self.tokens("--temp", 0, "--logit-bias", "42=1000")), {42})
        self.assertEqual(set(self.tokens("--temp", 0, "--logit-bias", "42+1000", "--logit-bias", "43=+2000")), {43})
        first = self.tokens("--temp", 0)[0]
        for forbid in [f"{first}=-inf", f"{first}-1000"]:
            self.assertNotIn(first, self.tokens("--temp", 0, "--logit-bias", forbid))

    def test_penalties(self):
        greedy = self.tokens("--temp", 0, tokens=60)
        self.assertLess(len(set(greedy)), len(greedy), "the model must repeat itself for this to be a test")
        for option in ["--presence-penalty", "--frequency-penalty"]:
            penalised = self.tokens("--temp", 0, option, 100, tokens=60)
            self.assertEqual(len(set(penalised)), len(penalised), option)
        self.assertNotEqual(self.tokens("--temp", 0, "--repeat-penalty", 3, tokens=60), greedy)
        self.assertEqual(self.tokens("--temp", 0, "--repeat-penalty", 3, "--repeat-last-n", 0, tokens=60), greedy)

    def test_dry(self):
        def pairs(tokens):
            return list(zip(tokens, tokens[1:]))
        def unique(items):
            return len(set(items)) == len(items)
        bias = ["--logit-bias", "42=20"]  # so that the model repeats itself
        greedy = self.tokens("--temp", 0, *bias, tokens=60)
        self.assertFalse(unique(pairs(greedy)))
        strict = ["--temp", 0, *bias, "--dry-multiplier", 100, "--dry-allowed-length", 1]
        without_breakers = self.tokens(*strict, "--dry-sequence-breaker", "none", tokens=60)
        self.assertTrue(unique(pairs(without_breakers)))
        self.assertEqual(self.tokens(*strict, "--dry-penalty-last-n", 0, tokens=60), greedy)
        text = self.succeeds("tokenize", LLAMA, "--decode", "42").strip()
        self.assertTrue(text)
        self.assertEqual(self.tokens(*strict, "--dry-sequence-breaker", text, tokens=3), [42] * 3)
        # The penalty is 2 * base ^ (n - 1): with base 1 a repeated token costs no more than the bias gave.
        self.assertEqual(self.tokens("--temp", 0, *bias, "--dry-multiplier", 2, "--dry-base", 1, "--dry-allowed-length", 1), [42] * 24)

    def test_out_of_range(self):
        for option, value, sentence in [
                ("--top-n-sigma", "-1", "a number of deviations from 0 to 1"), ("--typical", "1.5", "a probability from 0 to 1"),
                ("--typical", "0", "typical-p is 0"), ("--top-p", "0", "top-p is 0"),
                ("--xtc-probability", "2", "a probability"), ("--xtc-threshold", "-0.1", "a probability"),
                ("--mirostat-tau", "nan", "a number of bits"), ("--mirostat-eta", "11", "a learning rate from 0 to 10"),
                ("--repeat-penalty", "0", "a penalty from 0.01 to 100"), ("--repeat-last-n", "-2", "a number of tokens from -1"),
                ("--presence-penalty", "101", "a penalty from -100 to 100"), ("--frequency-penalty", "x", "a penalty from -100"),
                ("--dry-multiplier", "-1", "a penalty from 0 to 100"), ("--dry-base", "0.5", "a base from 1 to 100"),
                ("--dry-allowed-length", "0", "a number of tokens from 1"), ("--dry-penalty-last-n", "1.5", "whole number"),
                ("--choices", "0", "a number of answers from 1 to 1000"),
                ("--logit-bias", "42", "'42' is not a token id"), ("--logit-bias", "x=1", "'x=1'"), ("--logit-bias", "1=", "'1='"),
                ("--logit-bias", "-1=1", "'-1=1'"), ("--logit-bias", "1=nan", "'1=nan'"), ("--logit-bias", "1=1x", "'1=1x'"),
                ("--logit-bias", "300=1", "vocabulary's size, 300"), ("--logit-bias", "1=inf", "below 1e30")]:
            # With '=': a value that begins with '-' would be taken for an option.
            error = self.fails(2, sentence, "run", LLAMA, "Hi", f"{option}={value}")
            named = option.lstrip("-").replace("logit-bias", "logit")
            self.assertIn(named, error, (option, value))
        self.fails(2, "--dry-sequence-breaker is empty", "run", LLAMA, "Hi", "--dry-sequence-breaker", "")


class ChoicesTest(ProgramTest):
    OPTIONS = ["run", LLAMA, "--raw", "Hi", "-n", 12, "--temp", 2, "--seed", 7]

    def test_each_has_random_numbers_of_its_own(self):
        one = self.json_of(*self.OPTIONS, "--json")
        self.assertNotIn("choices", one)
        # More than run at once.
        many = self.json_of(*self.OPTIONS, "--choices", 10, "--json", "--logprobs", 1)
        self.assertEqual([choice["index"] for choice in many["choices"]], list(range(10)))
        self.assertEqual({choice["seed"] for choice in many["choices"]}, {7})
        answers = [choice["tokens"] for choice in many["choices"]]
        self.assertEqual(answers[0], one["tokens"])
        self.assertEqual(len({tuple(answer) for answer in answers}), 10)
        self.assertTrue(all(len(choice["logprobs"]) == len(choice["tokens"]) for choice in many["choices"]))
        fewer = self.json_of(*self.OPTIONS, "--choices", 3, "--json", "-t", 1)
        self.assertEqual([choice["tokens"] for choice in fewer["choices"]], answers[:3])

    def test_a_drawn_seed_is_shared_and_reported(self):
        drawn = self.json_of(*self.OPTIONS[:-2], "--choices", 2, "--json")["choices"]
        self.assertEqual(drawn[0]["seed"], drawn[1]["seed"])
        again = self.json_of(*self.OPTIONS[:-1], drawn[0]["seed"], "--choices", 2, "--json")["choices"]
        self.assertEqual([choice["tokens"] for choice in again], [choice["tokens"] for choice in drawn])

    def test_they_are_printed_apart(self):
        texts = [choice["text"] for choice in self.json_of(*self.OPTIONS, "--choices", 3, "--json")["choices"]]
        printed, error = self.run_program(*self.OPTIONS, "--choices", 3, "--stats")
        expected = "\n".join(f"--- choice {index}\n{text}" + ("" if text.endswith("\n") else "\n") for index, text in enumerate(texts))
        self.assertEqual(printed.replace("\ufffd", ""), expected.replace("\ufffd", ""))
        self.assertEqual(error.count("seed 7"), 3)


if __name__ == "__main__":
    sys.exit(unittest.main())
