#!/usr/bin/env python3
"""Compares chat templates of real models, rendered by megalith and by Jinja2 with transformers' settings.

    ninja -C build/release render_templates megalith
    python3 tests/oracle/compare_templates.py FOLDER build/release/tests/text/jinja/render_templates build/release/bin/megalith

Every *.jinja file of the folder meets every conversation below, with and without tools, thinking and the rest; outputs
must have the same bytes, and where one raises, the other must. Some of the cases go through `megalith template` too.
Ends with 1 if anything differs.
"""

import argparse
import collections
import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from transformers.utils import chat_template_utils

from template_reference import Ours, disagreement, reference

ODD_TEXT = "a\tb\n\n  c \"q\" 'p' <b>&amp;</b> \\n \u0000\u0001\u001f\u007f\u0085\u2028 é ß 世界 🎉 {{ x }} {% y %} </s>"


def user(content, **more):
    return {"role": "user", "content": content, **more}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content, **more):
    return {"role": "system", "content": content, **more}


def tool(content, **more):
    return {"role": "tool", "content": content, **more}


def call(name, arguments, **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def text(content):
    return {"type": "text", "text": content}


ARGUMENTS = {"city": "Zürich", "days": 3, "exact": True, "none": None, "scale": 1.0, "big": 1e20, "small": 1e-7,
             "list": [1, 2.5, "x", [], {}], "nested": {"a": {"b": ["<&>", "\"q\"", "\n"]}}}
WEATHER = call("get_weather", ARGUMENTS, id="call00001")
WEATHER_TEXT = call("get_weather", json.dumps(ARGUMENTS, ensure_ascii=False), id="call00001")
FLAT = {"name": "get_weather", "arguments": {"city": "Rome"}, "id": "abcdef123"}
EMPTY = call("now", {}, id="call00002")

CONVERSATIONS = {
    "hello": [user("Hi")],
    "empty list": [],
    "system": [system("Be brief."), user("Hi")],
    "developer": [{"role": "developer", "content": "Be brief."}, user("Hi")],
    "turns": [user("Hi"), assistant("Hello!"), user("How?"), assistant("Fine."), user("Bye")],
    "system and turns": [system(" s \n"), user(" a \n"), assistant("\nb "), user("c"), assistant(""), user("d")],
    "ends with the assistant": [user("Hi"), assistant("Hello, I ")],
    "system only": [system("s")],
    "assistant first": [assistant("Hello"), user("Hi")],
    "user twice": [user("a"), user("b"), assistant("c"), assistant("d"), user("e")],
    "system late": [user("a"), assistant("b"), system("late"), user("c")],
    "two systems": [system("one"), system("two"), user("a")],
    "odd text": [system(ODD_TEXT), user(ODD_TEXT), assistant(ODD_TEXT), user(ODD_TEXT + " ")],
    "empty contents": [system(""), user(""), assistant(""), user("")],
    "white space": [system(" \n\t "), user("\u00a0\u3000 x \u2003\n"), assistant("\r\n y \r\n"), user("\x0b z \x1c")],
    "none contents": [system("s"), user("a"), assistant(None), user("b")],
    "missing contents": [user("a"), {"role": "assistant"}, user("b")],
    "missing roles": [{"content": "a"}, user("b")],
    "odd roles": [{"role": "critic", "content": "x"}, user("a")],
    "role of another case": [{"role": "User", "content": "x"}],
    "role none": [{"role": None, "content": "x"}],
    "number content": [user(5), assistant(1.5), user(True)],
    "dict content": [user({"text": "x", "a": [1]}), assistant("y"), user("z")],
    "ipython": [user("a"), assistant("b"), {"role": "ipython", "content": "out"}, user("c")],
    "function role": [user("a"), assistant("b"), {"role": "function", "name": "f", "content": "out"}, user("c")],
    "names": [user("a", name="Ann"), assistant("b", name="Bob"), user("c", name="Ann")],
    "parts": [system([text("s1"), text("s2")]), user([text("a"), text("b")]), assistant([text("c")]), user([text("d ")])],
    "no parts": [user([]), assistant([]), user([])],
    "parts as texts": [user(["a", "b"]), assistant("c"), user(["d"])],
    "image": [user([{"type": "image"}, text("What is this?")])],
    "image url": [system("s"), user([text("What?"), {"type": "image_url", "image_url": {"url": "http://x/y.png"}}]),
                  assistant("A cat."), user("Sure?")],
    "image data": [user([{"type": "image", "image": "data:image/png;base64,AAAA"}, text("?"), {"type": "image", "url": "u"}])],
    "audio and video": [user([{"type": "audio", "audio_url": "u"}, {"type": "video", "video": "v"}, text("t")]), assistant("ok"),
                        user([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}])],
    "unknown part": [user([{"type": "smell", "smell": "rose"}, text("?")])],
    "image in system": [system([{"type": "image"}, text("s")]), user("a")],
    "reasoning": [user("a"), assistant("b", reasoning_content="Let me\nthink."), user("c"), assistant("d", reasoning_content="\n\nx\n"), user("e")],
    "thinking": [user("a"), assistant("b", thinking="hm", reasoning="hm"), user("c")],
    "think tags": [user("a"), assistant("<think>\nhm\n</think>\n\nb"), user("c"), assistant("<think></think>d"), user("e")],
    "half think tags": [user("a"), assistant("hm</think>b</think>c"), user("c <think>"), assistant("<think>never"), user("e")],
    "reasoning at the end": [user("a"), assistant("b", reasoning_content="r")],
    "think switches": [system("s /no_think"), user("a /think"), assistant("b"), user("c /no_think")],
    "tool call": [user("w?"), assistant("", tool_calls=[WEATHER]), tool('{"t": 21}', tool_call_id="call00001", name="get_weather"),
                  assistant("21"), user("ok")],
    "tool call of text arguments": [user("w?"), assistant(None, tool_calls=[WEATHER_TEXT]), tool("21", tool_call_id="call00001"), user("x")],
    "flat tool call": [user("w?"), assistant("", tool_calls=[FLAT]), tool("21", tool_call_id="abcdef123"), assistant("ok")],
    "two tool calls": [system("s"), user("w?"), assistant("Let me see.", tool_calls=[WEATHER, EMPTY]),
                       tool("21", tool_call_id="call00001", name="get_weather"), tool("12:00", tool_call_id="call00002", name="now"),
                       assistant("Done."), user("ok"), assistant("", tool_calls=[EMPTY]), tool("12:01", tool_call_id="call00002")],
    "tool call without content": [user("w?"), {"role": "assistant", "tool_calls": [WEATHER]}, tool("x")],
    "tool call with reasoning": [user("w?"), assistant("", reasoning_content="Use it.", tool_calls=[WEATHER]),
                                 tool("21", tool_call_id="call00001"), assistant("ok", reasoning_content="Good.")],
    "tool call not answered": [user("w?"), assistant("x", tool_calls=[WEATHER])],
    "tool calls empty": [user("a"), assistant("b", tool_calls=[]), user("c"), assistant("d", tool_calls=None), user("e")],
    "tool result of parts": [user("w?"), assistant("", tool_calls=[WEATHER]), tool([text("2"), text("1")], tool_call_id="call00001")],
    "tool result of JSON": [user("w?"), assistant("", tool_calls=[WEATHER]), tool({"t": 21.0, "é": ["<", None]}, tool_call_id="call00001")],
    "tool result alone": [tool("x")],
    "tool id too short": [user("w?"), assistant("", tool_calls=[call("f", {}, id="1")]), tool("x", tool_call_id="1"), user("y")],
    "no tool id": [user("w?"), assistant("", tool_calls=[call("f", {"a": 1})]), tool("x"), user("y")],
    "odd names": [user("w?"), assistant("", tool_calls=[call("naïve \"f\"", {"a b": "c", "": 1})]), tool("x")],
    "channels": [user("a"), assistant("b", channel="final"), user("c"), assistant("d", content_type="text", recipient="all")],
    "fields of old": [user("a", prefix="p", weight=0), assistant("b", prefix=True, train=False), user("c")],
    "long": [turn for n in range(40) for turn in (user(f"question {n}"), assistant(f"answer {n}"))] + [user("last")],
}


def function(name, description, parameters, **more):
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters, **more}}


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Die <Stadt> & \"Ort\", 世界"},
        "unit": {"type": "string", "enum": ["°C", "°F"], "default": "°C"},
        "days": {"type": "integer", "minimum": 1, "maximum": 9007199254740993, "default": 3},
        "scale": {"type": "number", "minimum": 1.0, "maximum": 1e20, "multipleOf": 1e-7, "default": -0.0},
        "flags": {"type": ["array", "null"], "items": {"type": "boolean"}, "default": None},
        "where": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number", "nullable": True}},
                  "required": ["lat"], "additionalProperties": False},
        "any": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object", "properties": {"x": {"$ref": "#/$defs/x"}}}}]},
        "one": {"oneOf": [{"type": "integer", "description": "i"}, {"const": "auto"}]},
    },
    "required": ["city", "unit"],
    "$defs": {"x": {"type": "string", "pattern": "^\\d+\\n$"}},
}
TOOLS = {
    "none": None,
    "weather": [function("get_weather", "The weather.\nOf a city.", SCHEMA, strict=True, **{"return": {"type": "number", "description": "°C"}})],
    "several": [function("now", "", {"type": "object", "properties": {}}), function("f_é", "é", {"type": "object", "properties": {
        "a": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}}, "required": []}),
        function("get_weather", "w", {"type": "object", "properties": {"city": {"type": "string", "description": "c"}}, "required": ["city"]})],
    "flat": [{"name": "get_weather", "description": "w", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}],
    "bare": [{"type": "function", "function": {"name": "f"}}],
    "empty": [],
}
DOCUMENTS = [{"title": "Tïtle", "text": "Some <text>."}, {"doc_id": 2, "title": "T2", "text": "More\n", "snippet": ["x"]}]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
# What a case adds to messages, tools, documents and add_generation_prompt.
OPTIONS = [
    {},
    {"enable_thinking": True},
    {"enable_thinking": False, "thinking": False},
    {"thinking": True, "reasoning_effort": "high", "preserve_thinking": True, "clear_thinking": False},
    {"reasoning_effort": "none", "builtin_tools": ["browser", "python"], "model_identity": "You are X.", "date_string": "01 Jan 2026"},
    {"documents": DOCUMENTS, "citation_mode": "fast", "controls": {"length": "long", "originality": "abstractive"}},
    {"tools_in_user_message": False, "custom_tools": TOOLS["weather"], "add_vision_id": True, "keep_past_thinking": True},
    {"builtin_tools": ["code_interpreter", "brave_search"], "code_interpreter": True, "system_message": "S", "truncate_history_thinking": False},
]


def cases(seed):
    """(name, variables): every conversation plainly, and with some of all combinations."""
    choose = random.Random(seed)
    for name, messages in CONVERSATIONS.items():
        combinations = list(itertools.product(TOOLS, (True, False), OPTIONS))
        chosen = [("none", True, {}), ("none", False, {}), ("weather", True, {}), *choose.sample(combinations, 5)]
        for tools, prompt, more in chosen:
            yield (f"{name}, tools {tools}, prompt {prompt}, {json.dumps(more)[:60]}",
                   {"messages": messages, "tools": TOOLS[tools], "documents": None, "add_generation_prompt": prompt, **TOKENS, **more})


def through_program(program, template, variables):
    """As render_templates answers, but by the program; its clock is the machine's."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(variables, file)
        file.flush()
        done = subprocess.run([program, "template", "--template", template, "--messages", file.name], capture_output=True, check=False)
    if done.returncode == 0:
        return {"output": done.stdout.decode("utf-8")}
    return {"error": done.stderr.decode("utf-8").removeprefix("megalith: "), "kind": {2: "usage", 4: "invalid"}[done.returncode]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tool", help="render_templates of the build")
    parser.add_argument("program", nargs="?", help="megalith; without it nothing goes through the program")
    parser.add_argument("--report", help="a file for all that differs")
    arguments = parser.parse_args()
    ours, counts, differences = Ours(arguments.tool), collections.Counter(), []
    for seed, path in enumerate(sorted(arguments.folder.glob("*.jinja"))):
        template = path.read_text(encoding="utf-8")
        names, variables = zip(*cases(seed))
        variables = json.loads(json.dumps(variables))
        counts["templates"] += 1
        for name, given, mine in zip(names, variables, ours.render(template, variables)):
            theirs = reference(template, given)
            kind = disagreement(theirs, mine)
            counts[next(iter(theirs))] += 1
            if kind:
                differences.append({"file": path.name, "case": name, "kind": kind, "theirs": theirs, "ours": mine})
        if arguments.program and "strftime_now" not in template:
            given = variables[seed % len(variables)]
            mine = through_program(arguments.program, path, given)
            counts["through the program"] += 1
            messages = chat_template_utils._alias_reasoning_fields(given["messages"])
            kind = disagreement(reference(template, {**given, "messages": messages}), mine)
            if kind:
                differences.append({"file": path.name, "case": names[seed % len(names)], "kind": "program: " + kind, "ours": mine})
    for row in differences[:20]:
        print(json.dumps(row, ensure_ascii=False)[:1500])
    if arguments.report:
        pathlib.Path(arguments.report).write_text("".join(json.dumps(row) + "\n" for row in differences), encoding="utf-8")
    print(dict(counts), "differences:", len(differences), "in", len({row["file"] for row in differences}), "templates")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
