#include <gtest/gtest.h>

#include <fstream>
#include <thread>
#include <vector>

#include "base/error.h"
#include "text/jinja/chat_template.h"

namespace megalith {
namespace {

using Json = nlohmann::ordered_json;

/// Renders and returns the text, or "<kind>: <message>" of the error.
std::string outcome(std::string_view source, const Json& variables = Json::object()) {
  try {
    return ChatTemplate(source).render(variables);
  } catch (const Error& error) {
    return (error.kind() == ErrorKind::kUsage ? "usage: " : "invalid: ") + std::string(error.what());
  }
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(ChatTemplate, RendersAsJinja2WithTheSettingsOfTransformers) {
  std::ifstream file(std::string(MEGALITH_TEST_DATA) + "/text/jinja/data/template_goldens.json");
  const Json goldens = Json::parse(file);
  ChatTemplate::RenderOptions options;
  std::tm now{};
  now.tm_year = 125;
  now.tm_mon = 6;
  now.tm_mday = 4;
  now.tm_hour = 15;
  now.tm_min = 9;
  now.tm_sec = 26;
  now.tm_wday = 5;
  now.tm_yday = 184;
  options.now = now;
  ASSERT_GT(goldens["cases"].size(), 400u);
  for (const Json& golden : goldens["cases"]) {
    const std::string source = golden["template"];
    SCOPED_TRACE(golden["group"].get<std::string>() + ": " + source);
    try {
      const std::string text = ChatTemplate(source).render(goldens["variables"], options);
      ASSERT_TRUE(golden.contains("output")) << "rendered, but Jinja2 fails: " << golden["error"];
      EXPECT_EQ(text, golden["output"].get<std::string>());
    } catch (const Error& error) {
      ASSERT_TRUE(golden.contains("error")) << error.what();
      EXPECT_CONTAINS(std::string(error.what()), golden["error"].get<std::string>());
      EXPECT_EQ(error.kind(), golden.contains("by_template") ? ErrorKind::kUsage : ErrorKind::kInvalidModel);
    }
  }
}

TEST(ChatTemplate, NamesTheLine) {
  EXPECT_CONTAINS(outcome("a\nb\n{{ 1 + }}"), "line 3");
  EXPECT_CONTAINS(outcome("a\r\n{% if x %}\r\n{{ x.y.z }}{% endif %}", {{"x", 1}}), "line 3");
  EXPECT_CONTAINS(outcome("{#\n\n#}\n\n{{ raise_exception('no') }}"), "usage: no (line 5");
}

TEST(ChatTemplate, TellsTheConversationsFaultsFromTheTemplates) {
  EXPECT_CONTAINS(outcome("{{ raise_exception('Only user and assistant roles are supported!') }}"),
                  "usage: Only user and assistant roles are supported!");
  EXPECT_CONTAINS(outcome("{{ missing.x }}"), "invalid: chat template: 'missing' is undefined");
  EXPECT_CONTAINS(outcome("x", Json::array()), "usage: ");
  EXPECT_EQ(outcome("{{ n }} {{ n + 1 }} {{ n | tojson }}", {{"n", UINT64_MAX}}),
            "18446744073709551615 18446744073709551616 18446744073709551615");
  Json nested = 1;
  for (int i = 0; i < 1000; ++i) nested = Json::array({std::move(nested)});
  EXPECT_CONTAINS(outcome("{{ x }}", {{"x", std::move(nested)}}), "usage: ");
}

TEST(ChatTemplate, TakesVariablesAsTheyAre) {
  EXPECT_EQ(outcome("{{ tools is none }}{{ tools is defined }}{{ documents is defined }}", {{"tools", nullptr}}),
            "TrueTrueFalse");
  EXPECT_EQ(outcome("{{ x }}", {{"x", Json::parse(R"({"z": 1, "a": [true, null, -0.5, "ü'"]})")}}),
            "{'z': 1, 'a': [True, None, -0.5, \"ü'\"]}");
  EXPECT_EQ(outcome("{{ range }}{{ x }}", {{"range", 5}, {"x", 1}}), "51");  // a variable hides a global
  EXPECT_EQ(outcome("{{ x ~ x | length }}", {{"x",
                                              "a\xff"
                                              "b"}}),
            "a\xff"
            "b3");  // bytes that are no UTF-8 pass
}

TEST(ChatTemplate, KnowsTheTime) { EXPECT_EQ(outcome("{{ strftime_now('%Y') | length }}"), "4"); }

TEST(ChatTemplate, RendersFromManyThreads) {
  const ChatTemplate chat_template(
      "{% macro m(x) %}<{{ x | upper }}>{% endmacro %}{% for i in items %}{{ m('c' ~ i) }}{% endfor %}");
  std::vector<std::string> results(8);
  std::vector<std::thread> threads;
  for (std::string& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) result = chat_template.render({{"items", {1, 2, 3}}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) EXPECT_EQ(result, "<C1><C2><C3>");
}

std::string repeated(std::string_view text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

/// Templates that would take forever, fill the memory or overflow the stack.
struct Hostile {
  std::string source;
  Hostile(const char* text) : source(text) {}  // NOLINT(google-explicit-constructor): a list of texts reads best
  Hostile(std::string text) : source(std::move(text)) {}  // NOLINT(google-explicit-constructor)
};

/// Its beginning: a test's name should fit on a line.
void PrintTo(const Hostile& hostile, std::ostream* out) {  // NOLINT(readability-identifier-naming): googletest's name
  *out << hostile.source.substr(0, 40);
}

class HostileTemplate : public testing::TestWithParam<Hostile> {};

TEST_P(HostileTemplate, EndsWithAnError) { EXPECT_CONTAINS(outcome(GetParam().source), "invalid: "); }

const std::string kForever = "{% for a in range(99999) %}{% for b in range(99999) %}";
const std::string kForeverEnd = "{% endfor %}{% endfor %}";
const std::string kLongText = "{% set s = 'a' * 1000000 %}";

INSTANTIATE_TEST_SUITE_P(
    Steps, HostileTemplate,
    testing::Values(
        kForever + kForeverEnd, kForever + "x" + kForeverEnd,
        kLongText + kForever + "{{ s | upper | length }}" + kForeverEnd,
        "{% set s = 'É' * 500000 %}" + kForever + "{{ s | lower | length }}{{ s.title() | length }}" + kForeverEnd,
        kLongText + kForever + "{{ [s] | string | length }}{{ s.isalpha() }}" + kForeverEnd,
        kLongText + kForever + "{% if s == s ~ '' %}{% endif %}" + kForeverEnd,
        kLongText + kForever + "{% if ('a' * 500000 ~ 'b') in s %}{% endif %}" + kForeverEnd,
        kLongText + kForever + "{% if s.rfind('b' ~ 'a' * 500000) %}{% endif %}" + kForeverEnd,
        kLongText + kForever + "{{ s.count('aaab') }}" + kForeverEnd,
        "{% set l = range(99999) | list %}" + kForever + "{{ l | sort | length }}" + kForeverEnd,
        "{% set l = range(99999) | list %}{{ l | unique | list | length }}",
        "{% set l = range(99999) | list %}" + kForever + "{% if l == l + [] %}{% endif %}" + kForeverEnd,
        "{% set ns = namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}"
        "{{ ns.a == [ns.a[0], ns.a[1]] }}{{ ns.a }}",
        "{% set ns = namespace(a=1) %}{% for i in range(100) %}{% set ns.a = (ns.a, ns.a) %}{% endfor %}"
        "{{ ns.a in {1: 2} }}",
        "{% macro m(n) %}{% if n > 1 %}{{ m(n - 1) }}{{ m(n - 2) }}{% endif %}{% endmacro %}{{ m(90) }}",
        "{% set ns = namespace(d={}) %}{% for i in range(99999) %}{% set ns.d = dict(ns.d, **{i | string: 1}) %}"
        "{% endfor %}",
        "{% set i = 10 ** 4200 %}{% for k in range(99999) %}{% if i == 1e300 %}{% endif %}{% endfor %}",
        "{% set i = 10 ** 4200 %}{% for k in range(99999) %}{% if (i + k) // 7 ** 99 %}{% endif %}{% endfor %}",
        "{% set i = 'z' * 2700 %}{% for k in range(99999) %}{% if i | int(0, 36) %}{% endif %}{% endfor %}",
        "{% set i = 10 ** 4200 %}{% for k in range(99999) %}{% if '%x' % i %}{% endif %}{% endfor %}",
        "{% set i = 10 ** 4200 %}{% for k in range(99999) %}{% if i | round(-400) %}{% endif %}{% endfor %}",
        "{% for k in range(99999) %}{% if 3 ** 9000 %}{% endif %}{% endfor %}",
        "{% for i in range(99999) %}{% macro m() %}{{ i }}{% endmacro %}{% endfor %}{{ '{:016777216,}'.format(1) }}"));

INSTANTIATE_TEST_SUITE_P(
    Memory, HostileTemplate,
    testing::Values(
        "{{ 'a' * 9223372036854775807 }}", "{{ [0] * 9223372036854775807 }}", "{{ 'abc' * 100000000 }}",
        "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(a=1) %}{% for i in range(100) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
        "{% set ns = namespace(a=1) %}{% for i in range(100) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a | "
        "tojson }}",
        kLongText + "{% for i in range(9999) %}{{ s }}{% endfor %}", "{{ 'a' | center(99999999999) }}",
        "{{ '{:99999999999}'.format(1) }}", "{{ '%99999999999d' % 1 }}", "{{ '{:016777216,}'.format(1) }}",
        "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}", "{{ ('b' * 9999).join(['a'] * 100000) }}",
        "{{ ('a,' * 5000000).split(',') | length }}", "{{ ('\\n' * 10000000).splitlines() | length }}",
        "{{ 'x'.strip('ab' * 5000000) }}", "{{ [1] | tojson(indent=999999999) }}", "{{ 'a\nb' | indent(999999999) }}",
        "{{ [1] | batch(99999999999, 0) | list }}", "{{ [1] | slice(99999999999) | list }}", "{{ '%.1001f' % 1 }}",
        "{{ 'a'.zfill(99999999999) }}", "{{ '\t'.expandtabs(99999999999) }}",
        "{% macro m(n) %}{{ 'x' * 100000 }}{{ m(n) }}{% endmacro %}{{ m(1) }}"));

INSTANTIATE_TEST_SUITE_P(
    Depth, HostileTemplate,
    testing::Values("{{ " + repeated("(", 100000), "{{ " + repeated("[", 100000), "{{ " + repeated("{1:", 50000),
                    "{{ " + repeated("-", 100000) + "1 }}", "{{ " + repeated("not ", 50000) + "1 }}",
                    "{{ x" + repeated(".a", 100000) + " }}", "{{ 1" + repeated("+1", 100000) + " }}",
                    "{{ x" + repeated("|e", 100000) + " }}", "{{ 1" + repeated(" if 1 else 1", 30000) + " }}",
                    "{{ x" + repeated("()", 100000) + " }}", "{{ x" + repeated("[0]", 100000) + " }}",
                    repeated("{% if 1 %}", 30000), repeated("{% for a in b %}", 30000),
                    "{% set " + repeated("(", 100000) + "a = 1 %}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
                    "{% macro m() %}{{ caller() }}{{ m() }}{% endmacro %}{% call m() %}{{ m() }}{% endcall %}",
                    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
                    "{% set ns = namespace(a=1) %}{% for i in range(9999) %}{% set ns.a = [ns.a] %}{% endfor %}",
                    "{% set ns = namespace(a=1) %}{% for i in range(9999) %}{% set ns.a = cycler(ns.a) %}{% endfor %}",
                    "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}"));

INSTANTIATE_TEST_SUITE_P(Size, HostileTemplate, testing::Values(std::string(600 * 1024, 'x')));

TEST(ChatTemplate, LeavesNoCycleBehind) {
  // What holds itself is taken apart at the end; the leak checker of the sanitizer build is the judge.
  EXPECT_EQ(
      outcome("{% set ns = namespace() %}{% set ns.self = ns %}{% macro m() %}{% endmacro %}{% set ns.m = m %}"
              "{% for i in [1] %}{% set l = loop %}{% if loop.changed(loop) %}{% endif %}"
              "{% macro k() %}{{ i }}{% endmacro %}{% set ns.k = k %}{% endfor %}{% set out = ns.k %}{{ out() }}"),
      "1");
}

}  // namespace
}  // namespace megalith
