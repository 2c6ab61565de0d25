#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/expect_error.h"
#include "files/allocation_meter.h"
#include "files/config_json.h"

namespace megalith {
namespace {

Metadata flatten(std::string_view text) {
  Metadata metadata("folder");
  add_json_object(metadata, "config", text, "folder/config.json");
  return metadata;
}

TEST(ConfigJson, IsFlattenedWithItsTypes) {
  const Metadata metadata = flatten(R"({
    "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "rms_norm_eps": 1e-05, "tie": false,
    "rope_parameters": {"rope_theta": 10000.0, "nested": {"deep": "t\u00e9xt\n"}},
    "sliding_window": null, "eos_token_id": [1, 2], "factors": [1, 2.5], "flags": [true, false],
    "nothing": [], "empty": {}, "large": 18446744073709551615, "negative": -3
  })");
  EXPECT_EQ(metadata.strings("config.architectures"), std::vector<std::string_view>{"LlamaForCausalLM"});
  EXPECT_EQ(metadata.integer("config.hidden_size"), 64);
  EXPECT_EQ(metadata.number("config.rms_norm_eps"), 1e-5);
  EXPECT_FALSE(metadata.boolean("config.tie"));
  EXPECT_EQ(metadata.number("config.rope_parameters.rope_theta"), 10000.0);
  EXPECT_EQ(metadata.string("config.rope_parameters.nested.deep"), "t\xc3\xa9xt\n");
  EXPECT_EQ(metadata.integers("config.eos_token_id"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(metadata.numbers("config.factors"), (std::vector<double>{1, 2.5}));
  EXPECT_EQ(metadata.booleans("config.flags"), (std::vector<bool>{true, false}));
  EXPECT_EQ(metadata.integer("config.negative"), -3);
  EXPECT_EQ(std::get<uint64_t>(*metadata.find("config.large")), UINT64_MAX);
  for (const char* key : {"config.sliding_window", "config.nothing", "config.empty", "config.rope_parameters"}) {
    EXPECT_FALSE(metadata.has(key)) << key;
  }
  EXPECT_EQ(metadata.entries().size(), 11u);
  EXPECT_ERROR(metadata.integer("config.none"), ErrorKind::kInvalidModel, "folder: key 'config.none' is missing");
}

TEST(ConfigJson, ListsOfSeveralTypesGoByPosition) {
  const Metadata metadata = flatten(
      R"({"mixed": [1, "a", null, 2.5, true], "objects": [{"name": "x"}, {"name": "y", "n": [1]}],
          "lists": [[1, 2], [], ["a"]], "after": [1, null]})");
  EXPECT_EQ(metadata.integer("config.mixed.0"), 1);
  EXPECT_EQ(metadata.string("config.mixed.1"), "a");
  EXPECT_FALSE(metadata.has("config.mixed.2"));
  EXPECT_EQ(metadata.number("config.mixed.3"), 2.5);
  EXPECT_TRUE(metadata.boolean("config.mixed.4"));
  EXPECT_EQ(metadata.string("config.objects.0.name"), "x");
  EXPECT_EQ(metadata.string("config.objects.1.name"), "y");
  EXPECT_EQ(metadata.integers("config.objects.1.n"), std::vector<int64_t>{1});
  EXPECT_EQ(metadata.integers("config.lists.0"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(metadata.strings("config.lists.2"), std::vector<std::string_view>{"a"});
  EXPECT_EQ(metadata.integer("config.after.0"), 1);
  EXPECT_EQ(metadata.entries().size(), 10u);
}

TEST(ConfigJson, TextsOutliveTheFile) {
  Metadata copy;
  {
    std::string text = R"({"a": "a text that is longer than a short string would keep"})";
    const Metadata metadata = flatten(text);
    copy = metadata;
    text.assign(text.size(), 'x');
  }
  EXPECT_EQ(copy.string("config.a"), "a text that is longer than a short string would keep");
}

TEST(ConfigJson, RefusesWhatIsNoConfig) {
  std::string deep = "{\"a\":";
  for (int i = 0; i < 40; ++i) deep += "[";
  for (const auto& [text, cause] : std::vector<std::pair<std::string, std::string>>{
           {"", "is no valid JSON at byte"},
           {"{", "is no valid JSON at byte"},
           {"{\"a\":1}x", "is no valid JSON at byte"},
           {"{\"a\":1e999}", "is no valid JSON at byte"},
           {std::string("{\"a\":1}\0", 8), "is no valid JSON at byte 7"},
           {"[]", "is no JSON object"},
           {"1", "is no JSON object"},
           {"null", "is no JSON object"},
           {"\"a\"", "is no JSON object"},
           {R"({"a":1,"a":2})", "key 'config.a' appears twice"},
           {R"({"a.b":1,"a":{"b":2}})", "key 'config.a.b' appears twice"},
           {R"({")" + std::string(2000, 'k') + R"(":1})", "a key of more than 1024 bytes"},
           {R"({")" + std::string(2000, 'k') + R"(":{}})", "a key of more than 1024 bytes"},
           {deep, "nests more than 32 deep"},
           {std::string(5 << 20, ' '), "more than the 4194304 that megalith reads"},
       }) {
    EXPECT_ERROR(flatten(text), ErrorKind::kInvalidModel, "folder/config.json: ");
    EXPECT_ERROR(flatten(text), ErrorKind::kInvalidModel, cause);
  }
}

TEST(ConfigJson, HostileTextsCostLittle) {
  std::string members;
  for (int i = 0; i < 50000; ++i) members += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
  const std::string repeated = R"({")" + std::string(1000, 'k') + R"(":{)" + members + "}}";
  AllocationMeter::reset();
  EXPECT_ERROR(flatten(repeated), ErrorKind::kInvalidModel, "more keys than any model's");
  EXPECT_LT(AllocationMeter::total_bytes(), uint64_t{64} << 20);
  const std::string deep(1 << 20, '[');
  AllocationMeter::reset();
  EXPECT_ERROR(flatten("{\"a\":" + deep), ErrorKind::kInvalidModel, "nests more than 32 deep");
  EXPECT_LT(AllocationMeter::total_bytes(), uint64_t{4} << 20);
}

TEST(ConfigJson, EveryFlippedBitAndTruncationIsRefusedOrHarmless) {
  std::string text = R"({"architectures":["A"],"n":64,"e":1e-5,"r":{"t":[1,2.5],"u":null},"o":[{"a":1},true]})";
  const auto try_it = [](std::string_view changed) {
    try {
      const Metadata metadata = flatten(changed);
      for (const Metadata::Entry& entry : metadata.entries()) EXPECT_TRUE(entry.key.starts_with("config."));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel);
    }
  };
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_ERROR(flatten(text.substr(0, size)), ErrorKind::kInvalidModel, "folder/config.json");
  }
  for (char& c : text) {
    for (int bit = 0; bit < 8; ++bit) {
      c = static_cast<char>(c ^ (1 << bit));
      try_it(text);
      c = static_cast<char>(c ^ (1 << bit));
    }
  }
}

}  // namespace
}  // namespace megalith
