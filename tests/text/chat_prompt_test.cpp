// What a chat template is given beyond what its caller says.
#include "text/chat_prompt.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "test_vocabulary.h"

namespace megalith {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kShow =
    "{{ bos_token }}|{{ eos_token }}|{% if tools is not none %}tools{% endif %}|"
    "{% if documents is not none %}documents{% endif %}|{{ add_generation_prompt }}";

TEST(ChatPrompt, CompletesWhatTheCallerLeavesOut) {
  const ChatTemplate show(kShow);
  const auto tokenizer = make_tokenizer(testing::byte_vocabulary("gpt-2"));
  EXPECT_EQ(render_chat(show, tokenizer.get(), Json::object()), "<|bos|>|<|eos|>|||True");
  EXPECT_EQ(render_chat(show, nullptr, Json::object()), "||||True");
  const ChatTemplate ask("{{ bos_token is defined }}");
  EXPECT_EQ(render_chat(ask, nullptr, Json::object()), "False");
}

TEST(ChatPrompt, KeepsWhatTheCallerSays) {
  const auto tokenizer = make_tokenizer(testing::byte_vocabulary("gpt-2"));
  const Json variables{
      {"bos_token", "B"}, {"tools", Json::array()}, {"documents", Json::array()}, {"add_generation_prompt", false}};
  EXPECT_EQ(render_chat(ChatTemplate(kShow), tokenizer.get(), variables), "B|<|eos|>|tools|documents|False");
}

TEST(ChatPrompt, GivesTheTextOfATokenThatIsNoControlToken) {
  Vocabulary vocabulary = testing::byte_vocabulary("gpt-2");
  vocabulary.bos = ' ';  // stored as another character
  const auto tokenizer = make_tokenizer(std::move(vocabulary));
  EXPECT_EQ(render_chat(ChatTemplate("[{{ bos_token }}]"), tokenizer.get(), Json::object()), "[ ]");
}

TEST(ChatPrompt, RefusesVariablesThatAreNoObject) {
  try {
    render_chat(ChatTemplate("x"), nullptr, Json::array());
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

TEST(ParseJson, SaysWhereInAPlainSentence) {
  EXPECT_EQ(parse_json("[1]", "it"), Json::array({1}));
  try {
    parse_json("[{", "chat.json");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_TRUE(std::string_view(error.what()).starts_with("chat.json: not JSON: line 1, column 3: ")) << error.what();
  }
}

TEST(RenderChat, GivesReasoningUnderTheNamesThatTemplatesRead) {
  const ChatTemplate chat_template("{% for m in messages %}{{ m }}{% endfor %}");
  const auto shown = [&](const char* message) {
    return render_chat(chat_template, nullptr, {{"messages", {nlohmann::ordered_json::parse(message)}}});
  };
  EXPECT_EQ(shown(R"({"role": "x", "reasoning": "r"})"),
            "{'thinking': 'r', 'role': 'x', 'reasoning': 'r', 'reasoning_content': 'r'}");
  EXPECT_EQ(shown(R"({"reasoning_content": null, "thinking": "t", "reasoning": "r"})"),
            "{'thinking': 't', 'reasoning_content': 't', 'reasoning': 'r'}");
  EXPECT_EQ(shown(R"({"role": "x", "reasoning": null})"), "{'role': 'x', 'reasoning': None}");
}

TEST(ParseJson, RefusesWhatIsNestedWithoutEnd) {
  const auto nested = [](size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_EQ(parse_json(nested(200), "it").size(), 1U);
  for (const size_t levels : {size_t{300}, size_t{1} << 21}) {
    try {
      parse_json(nested(levels), "chat.json");
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_TRUE(std::string_view(error.what()).starts_with("chat.json: nested deeper than 256")) << error.what();
    }
  }
}

}  // namespace
}  // namespace megalith
