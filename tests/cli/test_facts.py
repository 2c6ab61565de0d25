"""Help, version, and the commands that run no model: list, inspect, tokenize, template, doctor."""

import json
import sys
import unittest

from gguf_file import GgufFile
from safetensors_file import safetensors
from program import LLAMA, QWEN2, TEMPLATE, TEMPLATE_KEY, TINY, ProgramTest

COMMANDS = ["run", "inspect", "tokenize", "template", "eval", "list", "bench", "doctor"]


class HelpTest(ProgramTest):
    def test_every_command_explains_itself_with_examples(self):
        overview = self.succeeds("--help")
        self.assertIn("Exit codes:", overview)
        for command in COMMANDS:
            self.assertIn(f"\n  {command} ", overview)
            self.assertIn("Examples:", self.succeeds(command, "--help"), command)
        for command in ["logits", "perplexity"]:
            self.assertIn("Examples:", self.succeeds("eval", command, "--help"), command)

    def test_version(self):
        self.assertRegex(self.succeeds("--version"), r"^megalith \d+\.\d+\.\d+\n$")

    def test_wrong_usage(self):
        self.fails(2, ["no command given", "'megalith --help' explains"])
        self.fails(2, ["unknown command 'rnu'", "did you mean 'run'?"], "rnu")
        self.fails(2, ["unknown command 'logit'", "did you mean 'logits'?"], "eval", "logit")
        self.fails(2, "unknown command 'xyzzy'; there are: run", "xyzzy")
        self.fails(2, "no command given", "eval")
        self.fails(2, ["unknown option '--jsn'", "did you mean '--json'?", "'megalith list --help'"], "list", "--jsn")
        self.fails(2, ["unexpected argument 'is'", "quotes"], "run", LLAMA, "why", "is", "it")
        self.fails(2, "no MODEL given", "inspect")
        self.fails(2, "no MODEL given", "run", given=b"Hello")
        self.fails(2, "MEGALITH_THREADS", "list", MEGALITH_THREADS="many")

    def test_closed_pipe_and_full_disk(self):
        with open("/dev/full", "wb") as full:
            process = self.start("--help", stdout=full)
            _, error = process.communicate()
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"cannot write the output", error)


class ListTest(ProgramTest):
    def test_nothing_found(self):
        out, error = self.run_program("list")
        self.assertEqual(out, "")
        self.assertIn("no models found", error)
        self.assertEqual(self.json_of("list", "--json"), [])

    def test_models_of_a_cache(self):
        snapshot = self.home / ".cache/huggingface/hub/models--tiny--llama/snapshots/0123"
        snapshot.mkdir(parents=True)
        (snapshot / "llama-Q8_0.gguf").write_bytes(LLAMA.read_bytes())
        found = self.json_of("list", "--json")
        self.assertEqual([model["size_bytes"] for model in found], [LLAMA.stat().st_size])
        name = found[0]["name"]
        self.assertIn("tiny/llama", name)
        self.assertIn(name, self.succeeds("list"))
        self.assertEqual(self.json_of("inspect", name, "--json")["path"], found[0]["path"])


class InspectTest(ProgramTest):
    def test_facts(self):
        facts = self.json_of("inspect", LLAMA, "--json")
        golden = json.loads((TINY / "llama.json").read_text(encoding="utf-8"))
        self.assertTrue(facts["supported"])
        self.assertEqual((facts["architecture"], facts["layers"], facts["vocabulary_size"], facts["hidden_width"]),
                         ("llama", golden["layers"], golden["vocabulary"], golden["hidden"]))
        # All tensors are float32 here: the weights of the matmuls are read once, and one row of the embedding.
        embedding = golden["vocabulary"] * golden["hidden"]
        self.assertEqual(facts["weight_bytes"], 4 * facts["parameters"])
        self.assertEqual(facts["bytes_read_per_token"], 4 * (facts["parameters"] - embedding + golden["hidden"]))
        # Two layers of two KV heads: key and value of 16 halves each.
        self.assertEqual(facts["kv_bytes_per_token"], 2 * 2 * 2 * 16 * 2)
        self.assertEqual([share["format"] for share in facts["formats"]], ["F32"])
        self.assertEqual(facts["tokenizer"]["size"], golden["vocabulary"])
        self.assertEqual(facts["tokenizer"]["special"]["bos"]["id"], 1)
        self.assertTrue(facts["chat_template"]["usable"])
        plain = self.write("plain.gguf", GgufFile(LLAMA).hide(TEMPLATE_KEY).data)
        self.assertEqual(self.json_of("inspect", plain, "--json")["chat_template"], {"present": False})

    def test_every_tiny_checkpoint(self):
        for path in sorted(TINY.glob("*.gguf")):
            facts = self.json_of("inspect", path, "--json", "--verify", "--tensors", "--metadata")
            self.assertTrue(facts["supported"], path)
            self.assertTrue(facts["verify"]["intact"], path)
            self.assertEqual(sum(tensor["bytes"] for tensor in facts["tensors"]), facts["weight_bytes"], path)
            self.assertEqual(sum(share["bytes"] for share in facts["formats"]), facts["weight_bytes"], path)
            self.assertEqual(facts["metadata"]["general.architecture"], facts["architecture"])

    def test_text(self):
        text = self.succeeds("inspect", "-m", LLAMA, "--tensors", "--metadata")
        for fragment in ["llama", "KV cache", "read per token", "F32", "blk.0.attn_q.weight", "300 x 64",
                         "tokenizer.ggml.tokens", "(300 values)"]:
            self.assertIn(fragment, text)

    def folder_of_safetensors(self, where, architecture):
        """A folder of an architecture that megalith does not know, but can describe."""
        where.mkdir(parents=True)
        config = {"architectures": [architecture], "hidden_size": 4, "rope_parameters": {"rope_theta": 10000.0}}
        (where / "config.json").write_text(json.dumps(config), encoding="utf-8")
        tensors = {"embed.weight": ("F32", [3, 4], range(12)), "norm.weight": ("F32", [4], range(4)),
                   "ids": ("I64", [2], [1, 2])}
        (where / "model.safetensors").write_bytes(safetensors(tensors))
        return where

    def test_a_folder_of_safetensors_is_described(self):
        folder = self.folder_of_safetensors(self.folder / "tiny-odd", "OddForCausalLM")
        for model in [folder, folder / "model.safetensors"]:
            out, _ = self.run_program("inspect", model, "--json", "--metadata", "--tensors", "--verify", exit_code=4)
            facts = json.loads(out)
            self.assertFalse(facts["supported"])
            self.assertEqual((facts["name"], facts["architecture"], facts["path"]),
                             ("tiny-odd", "OddForCausalLM", str(folder)))
            self.assertEqual((facts["parameters"], facts["weight_bytes"]), (16, 64))
            self.assertEqual(facts["skipped_tensors"], [{"name": "ids", "reason": "has the type I64"}])
            self.assertEqual(facts["metadata"]["config.rope_parameters.rope_theta"], 10000.0)
            self.assertEqual([tensor["shape"] for tensor in facts["tensors"]], [[3, 4], [4]])
            self.assertTrue(facts["verify"]["intact"])
        text, _ = self.run_program("inspect", folder, exit_code=4)
        self.assertIn("OddForCausalLM (not supported)", text)
        self.assertIn("1, the first: ids has the type I64", text)
        (folder / "config.json").unlink()
        self.fails(4, ["tiny-odd has no config.json"], "inspect", folder)

    def test_a_folder_of_safetensors_in_a_cache(self):
        snapshot = self.home / ".cache/huggingface/hub/models--org--odd/snapshots/0123"
        self.folder_of_safetensors(snapshot, "OddForCausalLM")
        (found,) = self.json_of("list", "--json")
        self.assertEqual((found["name"], found["path"]), ("org/odd", str(snapshot)))
        out, _ = self.run_program("inspect", "org/odd", "--json", exit_code=4)
        self.assertEqual(json.loads(out)["name"], "org/odd")

    def test_control_characters_of_a_file_are_shown_not_obeyed(self):
        file = GgufFile(LLAMA)
        at, _ = file.values["general.name"]
        file.data[at + 8] = 0x1B
        text = self.succeeds("inspect", self.write("name.gguf", file.data))
        self.assertIn("\\x1b", text)
        self.assertNotIn("\x1b", text)

    def test_verify_names_tensor_and_row(self):
        file = GgufFile(LLAMA)
        columns = file.tensors["blk.1.ffn_up.weight"]["shape"][0]
        file.put("<f", file.tensor_at("blk.1.ffn_up.weight") + 4 * (5 * columns + 7), float("nan"))
        path = self.write("nan.gguf", file.data)
        self.succeeds("inspect", path)
        self.fails(4, ["blk.1.ffn_up.weight: nan at row 5, column 7"], "inspect", path, "--verify")

    def test_verify_finds_a_block_scale(self):
        file = GgufFile(TINY / "llama-q8_0.gguf")
        file.put("<H", file.tensor_at("blk.0.attn_k.weight"), 0x7C00)  # an infinite half
        path = self.write("inf.gguf", file.data)
        out, error = self.run_program("inspect", path, "--verify", "--json", exit_code=4)
        self.assertIn("blk.0.attn_k.weight", error)
        fault = json.loads(out)["verify"]["faults"][0]
        self.assertEqual((fault["tensor"], fault["row"], fault["column"]), ("blk.0.attn_k.weight", 0, 0))


class BadModelTest(ProgramTest):
    """Issue 3's list of bad input, as far as files go."""

    def test_no_such_model(self):
        self.fails(3, "nowhere.gguf", "inspect", self.folder / "nowhere.gguf")
        self.fails(3, "nosuchmodel", "run", "nosuchmodel", "Hi")

    def test_directory_without_weights(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.fails(3, str(empty), "inspect", empty)

    def test_file_of_another_kind(self):
        self.fails(4, "notes.gguf", "inspect", self.write("notes.gguf", "Dear diary, today I wrote no weights.\n" * 9))
        self.fails(4, "void.gguf", "inspect", self.write("void.gguf", b""))

    def test_truncated(self):
        whole = LLAMA.read_bytes()
        for length in [3, 20, 1000, len(whole) // 2, len(whole) - 1]:
            self.fails(4, "short.gguf", "inspect", self.write("short.gguf", whole[:length]))

    def test_unknown_architecture(self):
        file = GgufFile(LLAMA)
        file.set_text("general.architecture", "lemma")
        path = self.write("lemma.gguf", file.data)
        self.fails(4, "'lemma'", "run", path, "Hi")
        out, error = self.run_program("inspect", path, "--json", exit_code=4)
        self.assertIn("lemma", error)
        self.assertFalse(json.loads(out)["supported"])
        out, _ = self.run_program("inspect", path, exit_code=4)
        self.assertIn("lemma (not supported)", out)

    def test_unknown_tensor_type(self):
        file = GgufFile(LLAMA)
        file.put("<I", file.tensors["blk.0.attn_q.weight"]["type_at"], 16)
        self.fails(4, ["blk.0.attn_q.weight", "IQ2_XXS"], "inspect", self.write("type.gguf", file.data))

    def test_unknown_tokenizer(self):
        file = GgufFile(LLAMA)
        file.set_text("tokenizer.ggml.model", "gpt9")
        path = self.write("tokenizer.gguf", file.data)
        self.fails(4, "gpt9", "inspect", path)
        self.fails(4, "gpt9", "run", path, "Hi")
        file = GgufFile(LLAMA)
        file.set_text("tokenizer.ggml.pre", "smallm")
        self.fails(4, "smallm", "tokenize", self.write("pre.gguf", file.data), "Hi")

    def test_missing_tensor(self):
        file = GgufFile(LLAMA)
        file.rename_tensor("blk.1.ffn_up.weight", "blk.1.ffn_xx.weight")
        self.fails(4, "blk.1.ffn_up.weight", "run", self.write("missing.gguf", file.data), "Hi")

    def test_wrong_shape(self):
        file = GgufFile(LLAMA)
        norm = file.tensors["blk.0.ffn_norm.weight"]
        file.put("<Q", norm["shape_at"], norm["shape"][0] // 2)
        self.fails(4, ["blk.0.ffn_norm.weight", str(norm["shape"][0]), str(norm["shape"][0] // 2)], "run",
                   self.write("shape.gguf", file.data), "Hi")


class TokenizeTest(ProgramTest):
    def test_there_and_back(self):
        golden = json.loads((TINY / "llama.json").read_text(encoding="utf-8"))
        tokens = self.json_of("tokenize", LLAMA, golden["text"], "--json")["tokens"]
        self.assertEqual(tokens, golden["prompt"])
        ids = " ".join(map(str, tokens))
        self.assertEqual(self.succeeds("tokenize", LLAMA, golden["text"]), ids + "\n")
        self.assertEqual(self.succeeds("tokenize", LLAMA, "--decode", ids), golden["text"])
        self.assertEqual(self.succeeds("tokenize", LLAMA, "--decode", given=json.dumps(tokens).encode()), golden["text"])
        self.assertEqual(self.json_of("tokenize", LLAMA, "--decode", ids, "--json"), {"text": golden["text"]})
        self.assertEqual(self.json_of("tokenize", "-m", LLAMA, golden["text"], "--json")["tokens"], golden["prompt"])

    def test_standard_input_byte_for_byte(self):
        for text in ["ends with a line\n", " two  blanks \n\n", "äöü € 😀", ""]:
            tokens = self.json_of("tokenize", LLAMA, "--json", given=text.encode())["tokens"]
            self.assertEqual(self.succeeds("tokenize", LLAMA, "--decode", *([" ".join(map(str, tokens))])), text)

    def test_special_tokens(self):
        special = self.json_of("inspect", LLAMA, "--json")["tokenizer"]["special"]
        text = special["bos"]["text"]
        self.assertEqual(self.json_of("tokenize", LLAMA, text, "--parse-special", "--json"), {"tokens": [1]})
        self.assertNotEqual(self.json_of("tokenize", LLAMA, text, "--json"), {"tokens": [1]})

    def test_a_vocabulary_alone(self):
        file = GgufFile(LLAMA)
        file.put("<Q", 8, 0)
        path = self.write("vocabulary.gguf", file.data[:file.end_of_values])
        golden = json.loads((TINY / "llama.json").read_text(encoding="utf-8"))
        self.assertEqual(self.json_of("tokenize", path, golden["text"], "--json")["tokens"], golden["prompt"])
        self.fails(4, "token_embd.weight", "run", path, "Hi")

    def test_another_pre_tokenizer(self):
        file = GgufFile(LLAMA)
        file.set_text("tokenizer.ggml.pre", "smallm")
        path = self.write("pre.gguf", file.data)
        self.fails(4, ["smallm", "--pre-tokenizer", "llama-bpe"], "tokenize", path, "Hi")
        as_smollm = self.json_of("tokenize", path, "in 2024", "--json", "--pre-tokenizer", "smollm")
        self.assertEqual(as_smollm, self.json_of("tokenize", LLAMA, "in 2024", "--json"))
        self.succeeds("run", path, "Hi", "-n", "1", "--pre-tokenizer", "smollm")
        self.fails(2, ["--pre-tokenizer", "'gpt9'", "smollm"], "tokenize", LLAMA, "Hi", "--pre-tokenizer", "gpt9")
        self.fails(2, "leave the option out", "tokenize", TINY / "gemma3.gguf", "Hi", "--pre-tokenizer", "smollm")

    def test_wrong_ids(self):
        self.fails(2, "'x' is not a token id", "tokenize", LLAMA, "--decode", "1 x 2")
        self.fails(2, "99999", "tokenize", LLAMA, "--decode", "99999")
        self.fails(2, "--special", "tokenize", LLAMA, "--decode", "1", "--special")


class TemplateTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.template = self.write("chat.jinja", TEMPLATE)
        self.messages = self.write("chat.json", json.dumps([{"role": "user", "content": "Hi <ü>"}]))

    def test_from_a_file(self):
        prompt = "<|im_start|>user\nHi <ü><|im_end|>\n"
        arguments = ["template", "--template", self.template, "--messages"]
        self.assertEqual(self.succeeds(*arguments, self.messages), prompt + "<|im_start|>assistant\n")
        self.assertEqual(self.succeeds(*arguments, self.messages, "--no-generation-prompt"), prompt)
        self.assertEqual(self.succeeds(*arguments, "-", given=self.messages.read_bytes()),
                         prompt + "<|im_start|>assistant\n")

    def test_of_a_model(self):
        path = self.write("chat.gguf", GgufFile(QWEN2).hide(TEMPLATE_KEY).with_text(TEMPLATE_KEY, TEMPLATE + "{{ bos_token }}"))
        bos = self.json_of("inspect", path, "--json")["tokenizer"]["special"]["bos"]["text"]
        self.assertTrue(self.succeeds("template", path, "--messages", self.messages).endswith("assistant\n" + bos))
        self.assertTrue(self.json_of("inspect", path, "--json")["chat_template"]["usable"])

    def test_variables_and_tools(self):
        template = self.write("set.jinja", "{{ tools[0].name }}|{{ flag }}|{{ word }}|{{ count + 1 }}")
        tools = self.write("tools.json", '[{"name": "clock"}]')
        self.assertEqual(self.succeeds("template", "--template", template, "--messages", self.messages, "--tools", tools,
                                       "--set", "flag=false", "--set", "word=plain text", "--set", "count=41"),
                         "clock|False|plain text|42")

    def test_what_is_left_out_is_none_or_undefined(self):
        template = self.write("none.jinja", "{{ tools is none }}|{{ documents is none }}|{{ bos_token is defined }}|"
                              "{{ add_generation_prompt }}")
        self.assertEqual(self.succeeds("template", "--template", template, "--messages", self.messages),
                         "True|True|False|True")
        self.assertEqual(self.succeeds("template", LLAMA, "--template", template, "--messages", self.messages),
                         "True|True|True|True")

    def test_failures(self):
        refusing = self.write("no.jinja", "{{ raise_exception('roles must alternate') }}")
        self.fails(2, "roles must alternate", "template", "--template", refusing, "--messages", self.messages)
        broken = self.write("broken.jinja", "{% for x in %}")
        self.fails(4, "line 1", "template", "--template", broken, "--messages", self.messages)
        self.fails(2, "has no chat template", "template", self.write("plain.gguf", GgufFile(LLAMA).hide(TEMPLATE_KEY).data), "--messages", self.messages)
        error = self.fails(2, "bad.json: not JSON: line 1, column 3: ", "template", "--template", self.template, "--messages",
                           self.write("bad.json", "[{"))
        self.assertNotIn("exception", error)
        self.fails(2, "list of messages", "template", "--template", self.template, "--messages", self.write("n.json", "7"))
        self.fails(2, "message 2 must be an object", "template", "--template", self.template, "--messages",
                   self.write("texts.json", '[{"role": "user", "content": "a"}, "b"]'))
        self.fails(2, "n.json: must hold a list of tools, not number", "template", "--template", self.template, "--messages", self.messages,
                   "--tools", self.folder / "n.json")
        self.fails(2, "write key=value", "template", "--template", self.template, "--messages", self.messages, "--set", "x")
        self.fails(4, "too many steps", "template", "--messages", self.messages, "--template",
                   self.write("forever.jinja", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"))
        self.fails(4, "line 2 of the chat template", "template", "--messages", self.messages, "--template",
                   self.write("fault.jinja", "{{ 1 }}\n{{ messages[0].content / 2 }}"))
        self.fails(2, "nowhere.json", "template", "--template", self.template, "--messages", self.folder / "nowhere.json")
        self.fails(2, "give a MODEL", "template", "--messages", self.messages)
        self.fails(2, "--messages", "template", "--template", self.template)


class DoctorTest(ProgramTest):
    def test_facts(self):
        snapshot = self.home / ".cache/huggingface/hub/models--tiny--llama/snapshots/0123"
        snapshot.mkdir(parents=True)
        (snapshot / "llama-Q8_0.gguf").write_bytes(LLAMA.read_bytes())
        (snapshot / "llama-Q4_0.gguf").write_bytes(LLAMA.read_bytes()[:5000])
        found = self.json_of("doctor", "--no-measure", "--json")
        self.assertIn("scalar", found["instruction_sets"])
        self.assertGreaterEqual(found["physical_cores"], 1)
        self.assertGreater(found["memory_bytes"], 0)
        by_path = {model["path"].rsplit("/", 1)[1]: model for model in found["models"]}
        self.assertTrue(by_path["llama-Q8_0.gguf"]["fits"])
        self.assertEqual(by_path["llama-Q8_0.gguf"]["weight_bytes"], self.json_of("inspect", LLAMA, "--json")["weight_bytes"])
        self.assertFalse(by_path["llama-Q4_0.gguf"]["runs"])
        text = self.succeeds("doctor", "--no-measure")
        self.assertIn("instruction sets", text)
        self.assertIn("cannot run", text)

    def test_measured(self):
        found = self.json_of("doctor", "--json")
        peaks = found["multiply_adds_per_second"].values()
        self.assertTrue(peaks)
        for figure in [found["read_bytes_per_second_1_stream"], found["read_bytes_per_second_16_streams"], *peaks]:
            self.assertGreater(figure, 1e6)


if __name__ == "__main__":
    sys.exit(unittest.main())
