"""megalith chat, from a pipe and at a pseudo-terminal. The models' answers are written by hand (scripted_model.py)."""

import json
import re
import signal
import stat
import sys
import unittest

from program import TEMPLATE, TIMEOUT_S, ProgramTest
from pseudo_terminal import Terminal
from scripted_model import scripted_model

THINKING = ["<think>", "Let me", " see.", "</think>", "It is **for", "ty-two**."]
HARMONY = ["<|channel|>", "analysis", "<|message|>", "They ask.", "<|end|>", "<|start|>", "assistant",
           # A token can come once only, so that the second channel is another token of the same text.
           "<|channel|>fin", "al<|message|>", "Hel", "lo!"]
UP, PASTE, PASTE_END = "\x1b[A", "\x1b[200~", "\x1b[201~"
# The conversation as the model sees it, as an answer: raise_exception gives it to the user.
SHOW_PROMPT = "{{ raise_exception(messages | tojson) }}"


class ChatTest(ProgramTest):
    def model(self, pieces=("Hel", "lo!"), name="chat.gguf", **how):
        return self.write(name, scripted_model(list(pieces), **how))

    def chat(self, model, *arguments, given, **how):
        return self.run_program("chat", model, *arguments, given=given.encode(), **how)

    def prompts(self, *texts, pieces=("Hel", "lo!"), arguments=()):
        """The messages that the template is given for the last text, which ends the chat with exit code 2."""
        # Refuses once the conversation ends with LAST.
        template = "{% if messages[-1].content == 'LAST' %}" + SHOW_PROMPT + "{% endif %}" + TEMPLATE
        given = "".join(text + "\n" for text in (*texts, "LAST"))
        _, error = self.chat(self.model(pieces, template=template), *arguments, given=given, exit_code=2)
        return json.loads(re.search(r"\[\{.*\}\]", error)[0])


class PipeTest(ChatTest):
    def test_each_line_is_a_turn(self):
        out, error = self.chat(self.model(), given="Hi\n\nAnd now?")
        self.assertEqual((out, error), ("Hello!\nHello!\n", ""))

    def test_the_conversation_is_handed_on(self):
        self.assertEqual(self.prompts("Hi", arguments=["--system", "Be brief"]),
                         [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"},
                          {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "LAST"}])

    def test_lines_make_up_texts(self):
        messages = self.prompts("one\\", "two", '"""', "a\\", "", " /b", '"""', "//usr", "/system Be kind")
        self.assertEqual([m["content"] for m in messages if m["role"] == "user"],
                         ["one\ntwo", "a\\\n\n /b", "/usr", "LAST"])
        self.assertEqual(messages[0], {"role": "system", "content": "Be kind"})
        self.assertEqual(len(self.prompts("Hi", "/clear", "/system x", "/system -")), 1)
        self.fails(2, "inside a block", "chat", self.model(), given=b'"""\nabc\n')
        self.fails(2, "after a backslash", "chat", self.model(), given=b"abc\\\n")

    def test_reasoning_is_no_part_of_the_answer(self):
        out, error = self.chat(self.model(THINKING), given="Hi\n")
        self.assertEqual((out, error), ("It is **forty-two**.\n", ""))
        out, error = self.chat(self.model(THINKING), "--reasoning", "show", given="Hi\n/reasoning\n")
        self.assertEqual(out, "It is **forty-two**.\nLet me see.\n")
        self.assertRegex(error, r"^Let me see\.\n\(thought for \d+ s, \d tokens\)\n$")
        _, error = self.chat(self.model(THINKING), "--reasoning", "fold", given="Hi\n")
        self.assertRegex(error, r"^\(thought for \d+ s, \d tokens\)\n$")

    def test_reasoning_goes_back_in_a_field_of_its_own(self):
        answer = self.prompts("Hi", pieces=THINKING)[1]
        # Under both names that templates read.
        self.assertEqual(answer, {"role": "assistant", "content": "It is **forty-two**.",
                                  "reasoning_content": "Let me see.", "thinking": "Let me see."})

    def test_reasoning_that_the_template_opens(self):
        template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
        out, _ = self.chat(self.model(["So", " it is.", "</think>", "\n\nDone"], template=template), given="Hi\n/reasoning\n")
        self.assertEqual(out, "Done\nSo it is.\n")

    def test_harmony(self):
        # The template names the channels, and their marks are control tokens.
        template = "{# <|channel|> #}" + TEMPLATE
        controls = ["<|channel|>", "<|message|>", "<|end|>", "<|start|>"]
        path = self.model(HARMONY, template=template, controls=controls[:2] + controls[3:])
        out, _ = self.chat(path, given="Hi\n/reasoning\n")
        self.assertEqual(out, "Hello!\nThey ask.\n")

    def test_limits_of_an_answer(self):
        out, error = self.chat(self.model(), "-n", 1, given="Hi\n")
        self.assertEqual(out, "Hel\n")
        self.assertIn("ended after 1 tokens", error)
        self.assertEqual(self.chat(self.model(), "--stop", "lo", given="Hi\n")[0], "Hel\n")

    def test_save_and_load(self):
        path = self.model(THINKING)
        file = self.folder / "kept.json"
        self.chat(path, given=f"/system Be brief\nHi\n/save {file}\n")
        saved = json.loads(file.read_text())
        self.assertEqual(saved["messages"], [
            {"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "It is **forty-two**.", "reasoning_content": "Let me see."}])
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.fails(2, ["exists already", "/save!"], "chat", path, given=f"Hi\n/save {file}\n".encode())
        self.assertEqual(json.loads(file.read_text()), saved)
        self.chat(path, given=f"Ho\n/save! {file}\n")
        self.assertEqual(json.loads(file.read_text())["messages"][0]["content"], "Ho")
        self.assertEqual(self.prompts(f"/load {file}")[0], json.loads(file.read_text())["messages"][0])
        self.fails(2, ["not saved", "/load!"], "chat", path, given=f"Hi\n/load {file}\n".encode())
        self.assertIn("2 messages read", self.chat(path, given=f"Hi\n/load! {file}\n")[0])
        self.fails(2, ["cannot write", "No such file"], "chat", path, given=f"Hi\n/save {self.folder}/no/x\n".encode())

    def test_loading_what_others_wrote(self):
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        file = self.write("api.json", json.dumps([{"role": "developer", "content": "D"}, {"role": "user", "content": parts}]))
        self.assertIn("/regen answers it", self.chat(self.model(), given=f"/load {file}\n")[0])
        self.assertEqual(self.chat(self.model(), given=f"/load {file}\n/regen\n")[0].splitlines()[-1], "Hello!")
        for content, fragments in [
                ("{", "not JSON"), ("3", "neither a list"), ("[3]", "message 1"), ('[{"role":"tool","content":"x"}]', "'tool'"),
                ('[{"role":"user","content":[{"type":"image_url"}]}]', "no text"),
                ('[{"role":"user","content":"x"},{"role":"system","content":"y"}]', "message 2"),
                ('[{"role":"assistant","tool_calls":[{}]}]', "tool calls")]:
            bad = self.write("bad.json", content)
            self.fails(2, ["bad.json", fragments], "chat", self.model(), given=f"/load {bad}\n".encode())
        self.fails(2, "nowhere.json", "chat", self.model(), given=b"/load nowhere.json\n")

    def test_context_overflow_names_both_counts(self):
        self.fails(2, ["with this message", "the context is 64 tokens", "/clear", "--ctx"], "chat", self.model(), "--ctx", 64,
                   given=b"x" * 100 + b"\n")
        _, error = self.chat(self.model(begins_over=True), "--ctx", 64, given="Hi\n")
        self.assertIn("the context of 64 tokens is full", error)

    def test_statistics(self):
        out, error = self.chat(self.model(), "--stats", given="Hi\n/stats\n")
        self.assertRegex(out, r"context +\d+ of \d+ tokens, 2 messages")
        self.assertRegex(error, r"prompt \d+ tokens, [\d.]+ t/s \| answer 2 tokens")

    def test_set(self):
        out, _ = self.chat(self.model(), given="/set temp 0\n/set --seed 7\n/set max-tokens 1\nHi\n/set\n")
        self.assertIn("Hel\n", out)
        self.assertIn("temp 0 ", out)
        self.assertIn("seed 7 ", out)
        for line, fragment in [("/set temp", "needs a value"), ("/set tmp 1", "did you mean 'temp"), ("/set temp hot", "temperature"),
                               ("/set seed -1", "seed")]:
            self.fails(2, fragment, "chat", self.model(), given=line.encode())

    def test_bad_input(self):
        self.fails(2, ["unknown command '/hepl'", "did you mean '/help'", "//"], "chat", self.model(), given=b"/hepl\n")
        self.fails(2, "takes no argument", "chat", self.model(), given=b"/clear all\n")
        self.fails(2, "show, fold or hide", "chat", self.model(), given=b"/reasoning loud\n")
        self.fails(2, "no message to answer", "chat", self.model(), given=b"/regen\n")
        self.fails(2, "nothing to save", "chat", self.model(), given=b"/save x.json\n")
        self.fails(2, "needs a file", "chat", self.model(), given=b"/save\n")
        self.fails(2, "not valid UTF-8", "chat", self.model(), given=b"a\xff\n")
        self.fails(2, "no usable chat template", "chat", self.model(template="{% broken"), given=b"Hi\n")
        self.fails(2, "--reasoning", "chat", self.model(), "--reasoning", "loud")
        self.fails(3, "nowhere", "chat", "nowhere")
        self.fails(2, "only nice words", "chat", self.model(template="{{ raise_exception('only nice words') }}"), given=b"Hi\n")

    def test_interrupt_and_end(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.start("chat", self.model(begins_over=True), "--ctx", 1 << 17)
            self.addCleanup(process.kill)
            process.stdin.write(b"Hi\n")
            process.stdin.flush()
            self.assertTrue(process.stdout.read(20))
            process.send_signal(number)
            out, error = process.communicate(timeout=TIMEOUT_S)
            self.assertEqual(process.returncode, 130, error)
            self.assertNotIn(b"megalith:", error)
            self.assertTrue(out.endswith(b"\n"))


class TerminalTest(ChatTest):
    def open(self, model, *arguments, columns=100):
        environment = self.environment | {"TERM": "xterm", "XDG_STATE_HOME": str(self.folder / "state")}
        terminal = Terminal(["chat", model, *arguments], environment, columns)
        self.addCleanup(terminal.kill)
        terminal.expect("Ctrl-D leaves.")
        self.prompt(terminal)
        return terminal

    def prompt(self, terminal):
        return terminal.expect("\x1b[0m > ")

    def ask(self, terminal, keys):
        terminal.type(keys)
        return self.prompt(terminal)

    def leave(self, terminal, keys="\x04"):
        terminal.type(keys)
        self.assertEqual(terminal.wait(), 0, terminal.screen)

    def test_markdown_and_reasoning(self):
        terminal = self.open(self.model(THINKING))
        shown = self.ask(terminal, "Hi\r")
        self.assertRegex(shown, r"\x1b\[2mLet me see\.\x1b\[0m\r\n\x1b\[2m\(thought for \d+ s, \d tokens\)\x1b\[0m\r\n\r\n"
                                r"It is \x1b\[1mforty-two\x1b\[0m\.\r\n")
        self.assertEqual(self.ask(terminal, "/reasoning fold\r").count("Let me"), 0)
        shown = self.ask(terminal, "Hi\r")
        self.assertNotIn("Let me", shown)
        self.assertIn("/reasoning shows it", shown)
        self.assertIn("Let me see.", self.ask(terminal, "/reasoning\r"))
        self.ask(terminal, "/reasoning hide\r")
        self.assertNotIn("thought for", self.ask(terminal, "Hi\r"))
        self.leave(terminal)

    def test_no_color(self):
        terminal = Terminal(["chat", self.model(THINKING)], self.environment | {"TERM": "xterm", "NO_COLOR": "1"})
        self.addCleanup(terminal.kill)
        terminal.expect(" > ")
        terminal.type("Hi\r")
        shown = terminal.expect(" > ")
        self.assertIn("(thinking)\r\nLet me see.", shown)
        self.assertIn("It is **forty-two**.\r\n", shown)
        self.assertNotRegex(shown, r"\x1b\[\d*m")
        self.leave(terminal)

    def test_context_use_stands_before_the_prompt(self):
        terminal = self.open(self.model(), "--ctx", 300)
        self.assertRegex(self.ask(terminal, "Hi\r"), r"\x1b\[2m[1-9]\d*/300\x1b\[0m > $")
        self.assertRegex(self.ask(terminal, "/clear\r"), r"\x1b\[2m0/300\x1b\[0m > $")
        self.leave(terminal, "/quit\r")

    def test_interrupt_stops_the_answer_and_not_the_program(self):
        terminal = self.open(self.model(begins_over=True), "--ctx", 1 << 17)
        terminal.type("Hi\r")
        terminal.expect("Hello!Hello!")
        terminal.type("\x03")
        self.assertIn("stopped", self.prompt(terminal))
        file = self.folder / "kept.json"
        self.assertIn("2 messages written", self.ask(terminal, f"/save {file}\r"))
        answer = json.loads(file.read_text())["messages"][1]
        self.assertTrue(answer["content"].startswith("Hello!Hello!"))
        self.assertEqual(answer["finish_reason"], "cancelled")
        self.leave(terminal)

    def test_interrupt_at_the_prompt(self):
        terminal = self.open(self.model())
        terminal.type("abc")
        terminal.expect("abc")
        self.assertIn("^C", self.ask(terminal, "\x03"))
        self.assertNotIn("leaves", self.ask(terminal, "\x03"))
        self.assertIn("Ctrl-D or /quit leaves", self.ask(terminal, "\x03"))
        # What was cleared is not part of the next message.
        terminal.type('"""\r')
        terminal.expect("... ")
        terminal.type("\x03")
        self.prompt(terminal)
        self.ask(terminal, "Hi\r")
        self.leave(terminal)

    def test_history(self):
        terminal = self.open(self.model())
        self.ask(terminal, "first\r")
        self.ask(terminal, "second\r")
        file = self.folder / "kept.json"
        self.ask(terminal, UP + UP + "\r")
        self.ask(terminal, f"/save {file}\r")
        self.leave(terminal)
        said = [message["content"] for message in json.loads(file.read_text())["messages"] if message["role"] == "user"]
        self.assertEqual(said, ["first", "second", "first"])
        kept = self.folder / "state" / "megalith" / "chat_history"
        self.assertEqual([json.loads(line) for line in kept.read_text().splitlines()],
                         ["first", "second", "first", f"/save {file}"])
        self.assertEqual(stat.S_IMODE(kept.stat().st_mode), 0o600)
        # The next chat has it.
        terminal = self.open(self.model())
        terminal.type(UP + UP)
        terminal.expect("first")
        self.ask(terminal, "\x03")
        self.leave(terminal)

    def test_no_history(self):
        terminal = self.open(self.model(), "--no-history")
        self.ask(terminal, "secret\r")
        terminal.type(UP)
        terminal.expect("secret")  # within the chat
        self.ask(terminal, "\x03")
        self.leave(terminal)
        self.assertFalse((self.folder / "state").exists())

    def last_message(self, terminal, keys):
        file = self.folder / "kept.json"
        self.ask(terminal, keys)
        self.ask(terminal, f"/save! {file}\r")
        return json.loads(file.read_text())["messages"][-2]["content"]

    def test_messages_of_several_lines(self):
        terminal = self.open(self.model())
        self.assertEqual(self.last_message(terminal, "a\\\rb\r"), "a\nb")
        self.assertEqual(self.last_message(terminal, '"""\rc\r\r d\r"""\r'), "c\n\n d")
        self.assertEqual(self.last_message(terminal, f"{PASTE}one\rtwo\nthree\x1b[31m\t{PASTE_END}!\r"),
                         "one\ntwo\nthree[31m    !")
        self.assertEqual(self.last_message(terminal, "x\x1b\ry\r"), "x\ny")  # Alt-Enter
        self.leave(terminal)

    def test_wide_characters_are_edited_whole(self):
        terminal = self.open(self.model())
        # One stroke deletes one character; left moves over one.
        self.assertEqual(self.last_message(terminal, "日本語x\x7f\x7f一é\x1b[D\x1b[D中\r"), "日本中一é")
        self.leave(terminal)

    def test_wide_answers_are_broken_at_the_width(self):
        terminal = self.open(self.model(["日本語の文章を", "書きます", "ので読んでください"]), columns=21)
        shown = self.ask(terminal, "Hi\r")
        self.assertIn("日本語の文章を書きま\r\nすので読んでください\r\n", shown)
        self.leave(terminal)

    def test_a_new_size_of_the_terminal(self):
        terminal = self.open(self.model(["aaaa", " bbbb", " cccc"]))
        terminal.type("Hi")
        terminal.expect("Hi")
        terminal.resize(10)
        terminal.expect("Hi")  # the line is drawn again
        self.assertIn("aaaa bbbb\r\ncccc\r\n", self.ask(terminal, "\r"))
        self.leave(terminal)

    def test_completion_and_suggestion(self):
        terminal = self.open(self.model())
        terminal.type("/st\t")
        terminal.expect("ats ")
        self.assertIn("context", self.ask(terminal, "\r"))
        self.assertIn("did you mean '/clear'", self.ask(terminal, "/claer\r"))
        self.assertIn("/regen", self.ask(terminal, "/help\r"))
        self.leave(terminal)

    def test_a_refusing_template_leaves_the_conversation_usable(self):
        template = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TEMPLATE
        terminal = self.open(self.model(template=template), "--system", "x")
        self.assertIn("System role not supported", self.ask(terminal, "Hi\r"))
        self.ask(terminal, "/system -\r")
        self.assertIn("Hello!", self.ask(terminal, "/regen\r"))  # the message was not lost
        self.leave(terminal)

    def test_overflow_keeps_conversation_and_message(self):
        terminal = self.open(self.model(), "--ctx", 120)
        self.assertIn("Hello!", self.ask(terminal, "Hi\r"))
        self.assertIn("the context is 120 tokens", self.ask(terminal, "y" * 85 + "\r"))
        self.assertIn("2 messages", self.ask(terminal, "/stats\r"))
        self.ask(terminal, "/clear\r")
        self.assertIn("Hello!", self.ask(terminal, "/regen\r"))
        self.leave(terminal)

    def test_regenerate(self):
        file = self.folder / "kept.json"
        terminal = self.open(self.model(), "--temp", 0)
        self.ask(terminal, "Hi\r")
        shown = self.ask(terminal, "/regen\r")
        self.assertIn("Hello!", shown)
        self.assertIn("same answer", shown)
        self.ask(terminal, f"/save {file}\r")
        self.assertEqual(len(json.loads(file.read_text())["messages"]), 2)
        self.leave(terminal)

    def test_control_characters_are_shown_not_obeyed(self):
        terminal = self.open(self.model(["a\x1b[2J", "b\x07"]))
        self.assertIn("a\\x1b[2Jb\\x07", self.ask(terminal, "Hi\r"))
        self.leave(terminal)

    def test_signals_end_it(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            terminal = self.open(self.model())
            terminal.signal(number)
            self.assertEqual(terminal.wait(), 130)


if __name__ == "__main__":
    sys.exit(unittest.main())
