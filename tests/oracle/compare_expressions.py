#!/usr/bin/env python3
"""Compares random small templates, rendered by megalith and by Jinja2 with transformers' settings.

    ninja -C build/release render_templates
    python3 tests/oracle/compare_expressions.py build/release/tests/text/jinja/render_templates --count 100000 --seed 1

Expressions are made by type, so that most of them have a value; now and then a type is wrong on purpose. Outputs must
have the same bytes, and where one raises, the other must. Ends with 1 if anything differs.
"""

import argparse
import collections
import json
import random
import sys

from template_reference import Ours, disagreement, reference

VARIABLES = {
    "n": None, "yes": True, "no": False, "i": 7, "j": -3, "zero": 0, "big": 9007199254740993, "f": 2.5, "g": -0.1, "h": 1e20, "e": 1e-7,
    "s": "Hello, World", "t": "", "u": "Grüße ßẞ ǆ Ǆ İı ﬁ 世界 🎉 Σίσυφος", "w": "  two\twords \n\u00a0\u2003", "lines": "one\ntwo\r\n\nfour\x0b\u2028six",
    "html": "<a href=\"x\">&'</a>", "l": [3, 1, 2], "m": [], "names": ["pear", "Apple", "fig", "apple"], "mix": [1, "two", None, True, 2.5, [1], {"a": 1}],
    "d": {"a": 1, "b": [1, 2], "c": {"x": None}, "é": "ü", "items": 5}, "o": {}, "nums": [1, 2.0, True, -4, 0.5],
    "people": [{"name": "Ada", "age": 36, "role": "user"}, {"name": "bob", "age": 25, "role": "tool"}, {"name": "Cyd", "age": 36, "role": "user"}],
}
WORDS = ["a", "", " ", "l", "ß", "e", "ab", "World", ",", "\n", "é", "o, ", "x" * 9, "A", "İ", "1", "-12", "1.5", "0x1f", " 7 ", "nan", "1_000", "%s", "{}", "user"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = []  # set by the template so far

    def pick(self, *options):
        return self.random.choice(options)

    def of(self, kind, depth):
        """An expression of a type: int, float, str, list, dict, bool or any."""
        if self.random.random() < 0.04:
            kind = self.pick("int", "float", "str", "list", "dict", "bool", "any", "missing")
        if kind == "any":
            kind = self.pick("int", "float", "str", "str", "list", "list", "dict", "bool", "none")
        if kind == "number":
            kind = self.pick("int", "float")
        if kind == "missing":
            return self.pick("missing", "d.missing", "l[9]", "(1 if no)")
        if kind == "none":
            return self.pick("n", "none", "None", "d.c.x")
        if self.names and self.random.random() < 0.1:
            return self.random.choice(self.names)
        return getattr(self, "leaf_" + kind)() if depth <= 0 else getattr(self, "make_" + kind)(depth - 1)

    # ---- leaves
    def leaf_int(self):
        return self.pick("i", "j", "zero", "1", "2", "0", "-1", "10", "d.a", "(l|length)", "big", "1_000", "0x1F", "yes", "18446744073709551616", "-99999999999999999999999", "9223372036854775807", "(2 ** 70)")

    def leaf_float(self):
        return self.pick("f", "g", "h", "e", "1.0", "0.1", "-2.5", "1e3", "1e16", "1.5e-5", "100.0", "0.5", "3.14159", "1e100")

    def literal(self, text):
        quote = self.pick("'", '"')
        return quote + "".join({"\\": "\\\\", quote: "\\" + quote, "\n": "\\n"}.get(c, c) for c in text) + quote

    def leaf_str(self):
        return self.pick("s", "t", "u", "w", "lines", "html", "d.é", "names[0]", "people[0].name", self.literal(self.pick(*WORDS)))

    def leaf_list(self):
        return self.pick("l", "m", "names", "mix", "nums", "people", "[1, 2]", "(1, 'a')", "()", "range(4)", "(3,)", "[]", "d.b", "range(5, 0, -2)")

    def leaf_dict(self):
        return self.pick("d", "o", "people[1]", "{'k': 1}", "{}", "{1: 'a', 'b': n, (1, 2): 2.0, none: yes}", "dict(a=1, b='x')")

    def leaf_bool(self):
        return self.pick("yes", "no", "true", "False", "1", "0", "n is none", "missing is defined")

    # ---- by type
    def make_int(self, depth):
        a, b, s, l = (self.of(k, depth) for k in ("int", "int", "str", "list"))
        w = self.literal(self.pick(*WORDS))
        return self.pick(
            f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"{a} // {b}", f"{a} % {b}", f"(-{a})", f"({a} ** 2)", f"(2 ** {self.pick('3', '10', '62', '64', '200')})",
            f"{s}|length", f"{l}|count", f"{s}.find({w})", f"{s}.rfind({w})", f"{s}.count({w})", f"{s}.index({w})", f"{l}.index({self.of('any', 0)})",
            f"{l}.count({self.of('any', 0)})", f"{self.of('any', depth)}|int", f"{self.of('any', depth)}|int({a})", f"{s}|int(0, {self.pick('16', '2', '8', '36', '0')})",
            f"{a}|abs", f"{l}|sum", f"nums|sum(start={a})", f"people|sum(attribute='age')", f"{s}|wordcount", f"{s}.find({w}, {a}, {b})", f"{s}.count({w}, {a})",
            f"{self.of('float', depth)}|round|int", f"({a} if {self.of('bool', depth)} else {b})", f"nums|max", f"{l}|min", f"{l}|first", f"({a})|round({self.pick('0', '1', '-1', '-2')})",
            f"[{a}, {b}]|max", f"{self.of('dict', depth)}|length")

    def make_float(self, depth):
        a, b = self.of("number", depth), self.of("number", depth)
        return self.pick(f"({a} / {b})", f"({a} * {self.of('float', depth)})", f"({self.of('float', depth)} + {b})", f"({self.of('float', depth)} - {b})",
                         f"{self.of('float', depth)} % {b}", f"{a} // {self.of('float', depth)}", f"{self.of('any', depth)}|float", f"{a}|float(1.5)",
                         f"{self.of('float', depth)}|round({self.pick('0', '1', '2', '3', '-1', '10')})", f"{a}|round(1, {self.pick(repr('ceil'), repr('floor'), repr('common'))})",
                         f"({a}|abs ** {self.pick('0.5', '-1', '2', '-2')})", f"{self.of('float', depth)}|abs", f"nums|sum", f"(-{self.of('float', depth)})")

    def make_str(self, depth):
        s, a = self.of("str", depth), self.of("any", depth)
        w, v = self.literal(self.pick(*WORDS)), self.literal(self.pick(*WORDS))
        x, y = self.of("int", 0), self.of("int", 0)
        simple = self.pick("upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "swapcase", "expandtabs")
        fltr = self.pick("upper", "lower", "title", "capitalize", "trim", "e", "escape", "string", "safe", "urlencode", "reverse", "first", "last", "default('x')",
                         "d(1)", "forceescape", "length|string", "list|join", "tojson")
        return self.pick(
            f"{s}.{simple}()", f"{s}.strip({w})", f"{s}.lstrip({w})", f"{s}.rstrip({w})", f"{s}|{fltr}", f"({s} ~ {a})", f"({s} + {w})", f"({s} * {self.pick('0', '2', '3', '-1')})",
            f"{s}.replace({w}, {v})", f"{s}.replace({w}, {v}, {x})", f"{s}|replace({w}, {v})", f"{s}|replace({w}, {v}, {x})", f"{s}[{x}]", f"{s}[{x}:{y}]", f"{s}[::{self.pick('-1', '2', '-2', '3')}]",
            f"{s}[{x}:{y}:{self.pick('-1', '2', '1', '-3')}]", f"{s}[:{x}]", f"{s}[{x}:]", f"{self.of('list', depth)}|join({w})", f"names|join({w})", f"{w}.join(names)", f"{w}.join({self.of('list', depth)})",
            f"{a}|string", f"{a}|tojson", f"{a}|tojson(indent={self.pick('0', '1', '2', '4', 'none', repr('--'))})", f"{a}|tojson(ensure_ascii={self.pick('true', 'false')}, sort_keys=true)",
            f"{a}|tojson(separators=(',', ':'))", f"{a}|tojson(separators=[', ', ': '], indent=2)", f"{s}|indent({self.pick('2', '4', repr('> '))}, {self.pick('true', 'false')}, {self.pick('true', 'false')})",
            f"{s}|truncate({self.pick('3', '5', '12')}, {self.pick('true', 'false')}, {self.pick(repr('...'), repr(''), repr('…'))}, {self.pick('0', '2', '5')})", f"{s}|center({self.pick('3', '20', '21')})",
            f"{s}.center({self.pick('3', '20', '21')}, {self.pick(repr('*'), repr('é'))})", f"{s}.ljust(20)", f"{s}.rjust(21, '.')", f"{s}.zfill({self.pick('3', '20')})",
            f"{s}.removeprefix({w})", f"{s}.removesuffix({w})", f"({s} if {self.of('bool', depth)} else {w})", f"({s} if {self.of('bool', depth)})", f"{self.percent(depth)}", f"{self.braces(depth)}",
            f"{self.of('list', depth)}|string", f"{self.of('dict', depth)}|string", f"{self.of('float', depth)}|string",
            f"{s}.partition({w})[{x}]", f"({s} or {w})", f"({s} and {w})", f"{s}|default({w}, true)", f"{s}|trim({w})", f"{s}.title()", f"strftime_now({self.pick(repr('%Y-%m-%d'), repr('%d %B %Y %H:%M:%S'), repr('%A %b %j %p %I %y %%'), repr('%e %-d %Z %s'))})",
            f"{s}.splitlines()|join('|')", f"{s}|format({a})")

    def percent(self, depth):
        spec = "%" + self.pick("", "-", "0", "+", " ", "#", "-#", "+0") + self.pick("", "5", "12", "1") + self.pick("", ".0", ".2", ".5", ".10")
        kind = self.pick("d", "i", "x", "X", "o", "e", "E", "f", "F", "g", "G", "s", "r", "c", "a")
        value = self.of("str" if kind in "sr" else "int" if kind in "dixXoc" else "number", depth)
        return self.pick(f"('[{spec}{kind}]' % {value})", f"('[{spec}{kind}]' % ({value},))", f"('{spec}{kind}|%s|%%' % ({value}, {self.of('any', 0)}))", f"'{spec}{kind}'|format({value})",
                         f"'%(a)s-%(b){self.pick('s', 'r')}'|format(a={value}, b=1)", f"('%(a)s %(é)s' % d)")

    def braces(self, depth):
        spec = self.pick("", ":" + self.pick("", "<", ">", "^", "*^", "é>", "=") + self.pick("", "+", " ", "-") + self.pick("", "#") + self.pick("", "0") + self.pick("", "3", "12") +
                         self.pick("", "", ",", "_") + self.pick("", ".0", ".2", ".3") + self.pick("", "d", "x", "X", "o", "b", "e", "E", "f", "F", "g", "G", "s", "%", "c", "n"))
        return self.pick(f"'{{{spec}}}'.format({self.of('any', depth)})", f"'{{0{spec}}}{{1}}{{0}}'.format({self.of('number', depth)}, {self.of('any', 0)})",
                         f"'{{a{spec}}}{{{{}}}}'.format(a={self.of('str', depth)})", f"'{{}}{self.pick('', '{!r}', '{!s}', '{!a}')}'.format({self.of('any', 0)}, {self.of('str', 0)})",
                         f"'{{0.a}}{{0[b]}}{{0[b][1]}}'.format(d)", f"'{{:{{}}}}'.format({self.of('str', 0)}, {self.pick('9', '3')})")

    def make_list(self, depth):
        l, s, a = self.of("list", depth), self.of("str", depth), self.of("any", depth)
        x, y, w = self.of("int", 0), self.of("int", 0), self.literal(self.pick(*WORDS))
        test = self.pick("'string'", "'number'", "'none'", "'odd'", "'defined'", "'eq', 1", "'in', [1, 'fig']", "'gt', 1", "'mapping'", "'sequence'", "'upper'", "'equalto', 'fig'")
        return self.pick(
            f"[{a}, {self.of('any', 0)}]", f"({a}, {self.of('any', 0)})", f"({l} + {self.of('list', depth)})", f"({l} * 2)", f"{l}[{x}:{y}]", f"{l}[::{self.pick('-1', '2', '-2')}]", f"{l}[{x}:]", f"{l}[:{x}]",
            f"{s}.split()", f"{s}.split({w})", f"{s}.split({w}, {x})", f"{s}.rsplit({w}, 1)", f"{s}.rsplit(none, 1)", f"{s}.split(maxsplit=1)", f"{s}.splitlines()", f"{s}.splitlines(true)", f"{s}.partition({w})", f"{s}.rpartition({w})",
            f"{s}|list", f"{l}|list", f"{self.of('dict', depth)}|list", f"{self.of('dict', depth)}.keys()|list", f"{self.of('dict', depth)}.values()|list", f"{self.of('dict', depth)}.items()|list",
            f"{self.of('dict', depth)}|items|list", f"{self.of('dict', depth)}|dictsort", f"d|dictsort(false, 'value')", f"people[0]|dictsort(reverse=true)", f"{l}|sort", f"names|sort(case_sensitive=true)", f"names|sort(reverse=true)",
            f"people|sort(attribute='age')", f"people|sort(attribute='age,name', reverse=true)", f"{l}|reverse|list", f"{l}|unique|list", f"names|unique(true)|list", f"people|unique(attribute='age')|list", f"{l}|map('string')|list",
            f"names|map({self.pick(repr('upper'), repr('length'), repr('title'), repr('replace') + ', ' + repr('p') + ', ' + repr('P'))})|list", f"people|map(attribute='{self.pick('name', 'age', 'zip', 'name.0')}')|list",
            f"people|map(attribute='zip', default={a})|list", f"{l}|select|list", f"{l}|reject|list", f"{l}|select({test})|list", f"{l}|reject({test})|list", f"people|selectattr('age', 'gt', 30)|list",
            f"people|rejectattr('role', 'equalto', 'user')|list", f"people|selectattr('name')|list", f"people|groupby('role')|list", f"people|groupby('zip', default='x')", f"people|groupby('age')|map('last')|list", f"{l}|batch(2)|list", f"{l}|batch(2, 'x')|list", f"{l}|slice(2)|list", f"{l}|slice(3, 0)|list",
            f"({l} if {self.of('bool', depth)} else m)", f"range({x})|list", f"range({x}, {y})|list", f"range({x}, {y}, 2)|list", f"dict(a={a}).items()|list", f"{l}.copy()", f"{s}|list|sort|unique|list", f"{s}|batch(3)|map('join')|list")

    def make_dict(self, depth):
        a = self.of("any", depth)
        return self.pick(f"{{'a': {a}, 'b': {self.of('any', 0)}}}", f"dict(x={a})", f"dict(d, y={a})", f"{{{self.of('str', 0)}: {a}, {self.of('int', 0)}: 1}}", "d.c", "d.copy()", "people|first", "people|last", f"dict([('a', {a})])",
                         f"{{'b': {a}, 'a': 1, 'b': 2}}", f"dict({self.of('dict', depth)}, **{{'z': 1}})")

    def make_bool(self, depth):
        a, b = self.of("any", depth), self.of("any", depth)
        x, y, z, s = self.of("number", depth), self.of("number", depth), self.of("number", 0), self.of("str", depth)
        w = self.literal(self.pick(*WORDS))
        test = self.pick("defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "callable", "true", "false", "odd", "even", "upper", "lower",
                         "divisibleby(2)", "divisibleby 3", "sameas(none)", "in([1, none, 'a'])", "eq(1)", "ne 1", "gt 1", "lessthan(3)", "equalto('a')", "escaped", "filter", "test")
        is_cased = self.pick("isalpha", "isdigit", "isalnum", "isspace", "islower", "isupper", "istitle", "isnumeric", "isdecimal", "isprintable", "isascii")
        return self.pick(
            f"({x} {self.pick('<', '>', '<=', '>=', '==', '!=')} {y})", f"({x} < {y} < {z})", f"({x} == {y} != {z})", f"({a} == {b})", f"({a} != {b})", f"({s} < {w})", f"({w} in {s})", f"({w} not in {s})", f"({a} in {self.of('list', depth)})",
            f"({w} in d)", f"(not {a})", f"({a} and {b})", f"({a} or {b})", f"({a} is {test})", f"({a} is not {test})", f"{s}.startswith({w})", f"{s}.endswith({w})", f"{s}.startswith(({w}, 'H'))", f"{s}.endswith(('d', {w}))",
            f"{s}.{is_cased}()", f"({a} is {test} and {b})", f"(not {a} is {test})", f"({self.of('list', depth)} < {self.of('list', depth)})", f"({a} is {test} or yes)")

    # ---- statements
    def statements(self, depth):
        return "".join(self.statement(depth) for _ in range(self.random.randint(1, 3)))

    def tag(self, content):
        return self.pick("{% ", "{%- ", "{%+ ", "\n  {% ", "x {% ") + content + self.pick(" %}", " -%}", " %}\n", "%}", " +%}")

    def statement(self, depth):
        kind = "print" if depth <= 0 else self.pick("print", "print", "set", "if", "for", "macro", "with", "filter", "text", "comment", "raw", "namespace", "block set", "call", "special for", "generation")
        names = list(self.names)
        any_name = self.pick("v1", "v2", "v3", "i", "s")
        result = ""
        if kind == "print":
            return self.pick("{{ ", "{{- ", "{{", "\n{{ ") + self.of("any", 2) + self.pick(" }}", " -}}", "}}", " }}\n")
        if kind == "text":
            return self.pick("text\n", "  \n", "\t", "a\r\nb", "{ x }", "é\n\n")
        if kind == "comment":
            return self.pick("{# c #}", "{#- c -#}", "  {# c #}\n", "{#\n#}\n\n")
        if kind == "raw":
            return self.tag("raw") + self.pick("{{ x }}\n", " {% y %} ", "{# #}") + self.tag("endraw")
        if kind == "set":
            value = self.of("any", 2)
            self.names.append(any_name)
            return self.tag(self.pick(f"set {any_name} = {value}", f"set {any_name}, v2 = {value}, {self.of('any', 1)}"))
        if kind == "block set":
            body = self.statements(depth - 1)
            self.names = [*names, any_name]
            return self.tag(self.pick(f"set {any_name}", f"set {any_name} | upper", f"set {any_name} | replace('a', 'b') | length")) + body + self.tag("endset")
        if kind == "namespace":
            return self.tag(f"set ns = namespace({self.pick('', 'a=1', 'a=[]')})") + self.tag(self.pick(f"for q in l", "if yes", "for q in 'ab' if q != 'a'")).replace("for q", "for q") and (
                self.tag("set ns = namespace(a=1, b='')") + self.tag("for q in l") + self.tag(f"set ns.a = {self.pick('ns.a + q', 'q', 'ns.a ~ q', '[ns.a]')}") + "{{ ns.a }}" + self.tag("endfor") + "{{ ns.a }}{{ ns.b }}{{ ns.c }}")
        if kind == "if":
            result = self.tag("if " + self.of("bool", 1)) + self.statements(depth - 1)
            self.names = list(names)
            if self.random.random() < 0.3:
                result += self.tag("elif " + self.of("bool", 1)) + self.statements(depth - 1)
                self.names = list(names)
            if self.random.random() < 0.5:
                result += self.tag("else") + self.statements(depth - 1)
            result += self.tag("endif")
        elif kind == "for":
            target = self.pick("k", "k, v", "v1", "i", "(k, v)")
            source = self.pick("d.items()", "d|items", "people|map('list')", "o.items()", "[(1, 2), (3, 4)]") if "," in target else self.of("list", 1)
            condition = self.pick("", "", " if " + target.split(",")[0].strip("( ") + self.pick(" is string", "", " is defined", " != 1"), " if loop.index is defined")
            self.names += target.replace("(", "").replace(")", "").split(", ")
            inside = "".join(self.pick("{{ loop.index }}", "{{ loop.first }}", "{{ loop.last }}", "{{ loop.length }}", "{{ loop.revindex0 }}", "{{ loop.cycle('a', 'b') }}", "{{ loop.previtem }}", "{{ loop.nextitem is defined }}", "{{ loop.changed(k) }}",
                                       "{{ loop.depth }}", self.tag("break"), self.tag("if loop.index == 2") + self.tag("continue") + self.tag("endif"), "", ",") for _ in range(2))
            result = self.tag(f"for {target} in {source}{condition}") + inside + self.statements(depth - 1)
            self.names = list(names)
            if self.random.random() < 0.3:
                result += self.tag("else") + self.statements(depth - 1)
            result += self.tag("endfor")
        elif kind == "special for":
            result = (self.tag("for q in [[1, [2]], [3]] recursive") + "<" + self.pick("{{ q }}", "{{ loop.depth }}", "{{ loop.index0 }}") + self.tag("if q is sequence") + "{{ loop(q) }}" + self.tag("endif") + ">" +
                      self.tag("endfor"))
        elif kind == "macro":
            parameters = self.pick("", "a", "a, b=1", "a='x', b=a", "s, i=i", "v1=v1")
            self.names += [p.split("=")[0].strip() for p in parameters.split(",") if p]
            body = self.statements(depth - 1) + self.pick("", "{{ varargs }}", "{{ kwargs }}", "{{ caller is defined }}", "{{ caller() if caller }}", "{{ varargs|length }}{{ kwargs.z }}")
            self.names = list(names)
            result = self.tag(f"macro mac({parameters})") + body + self.tag("endmacro") + self.pick("{{ mac() }}", "{{ mac(1) }}", "{{ mac(1, 2) }}", "{{ mac(b=5, a=4) }}", "{{ mac(1, 2, 3, z=4) }}", "{{ mac(*[1, 2]) }}", "{{ mac(**{'a': 1}) }}", "{{ mac.name }}", "{{ mac('x')|length }}")
        elif kind == "call":
            result = (self.tag("macro cm(a=1)") + "[" + self.pick("{{ caller() }}", "{{ caller(1) }}", "{{ caller(a, 2) }}", "{{ caller(q=3) }}", "") + "]" + self.tag("endmacro") +
                      self.tag(self.pick("call cm()", "call(q) cm(2)", "call(q=5) cm()", "call(q, r=1) cm(a=i)")) + self.statements(depth - 1) + self.tag("endcall"))
        elif kind == "with":
            value = self.of("any", 1)
            self.names.append(any_name)
            result = self.tag(self.pick(f"with {any_name} = {value}", f"with {any_name} = {value}, v3 = {any_name}", "with")) + self.statements(depth - 1) + self.tag("endwith")
        elif kind == "filter":
            result = self.tag(self.pick("filter upper", "filter trim | title", "filter replace('a', 'é')", "filter indent(2)", "filter length")) + self.statements(depth - 1) + self.tag("endfilter")
        elif kind == "generation":
            result = self.tag("generation") + self.statements(depth - 1) + self.tag("endgeneration")
        self.names = names
        return result

    def template(self):
        return self.statements(2) if self.random.random() < 0.4 else "{{ " + self.of("any", self.random.randint(1, 3)) + " }}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", help="render_templates of the build")
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=15)
    arguments = parser.parse_args()
    ours, counts, differences = Ours(arguments.tool), collections.Counter(), []
    for number in range(arguments.count):
        template = Maker(f"{arguments.seed}.{number}").template()
        theirs = reference(template, json.loads(json.dumps(VARIABLES)))
        mine = ours.render(template, [VARIABLES])[0]
        counts[next(iter(theirs))] += 1
        kind = disagreement(theirs, mine)
        if kind:
            differences.append((kind, template, theirs, mine))
    differences.sort(key=lambda row: len(row[1]))
    for kind, template, theirs, mine in differences[:arguments.show]:
        print(f"--- {kind}: {template!r}\n  there: {json.dumps(theirs, ensure_ascii=False)[:300]}\n  here:  {json.dumps(mine, ensure_ascii=False)[:300]}")
    print(dict(counts), "differences:", len(differences))
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
