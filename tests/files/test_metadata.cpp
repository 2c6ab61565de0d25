#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/expect_error.h"
#include "files/checkpoint.h"

namespace megalith {
namespace {

Metadata sample() {
  Metadata metadata("m.gguf");
  metadata.add("integer", int64_t{-3});
  metadata.add("huge", UINT64_MAX);
  metadata.add("number", 0.5);
  metadata.add("string", std::string_view("text"));
  metadata.add("boolean", true);
  metadata.add("integers", std::vector<int64_t>{1, 2});
  metadata.add("numbers", std::vector<double>{0.5});
  metadata.add("strings", std::vector<std::string_view>{"a"});
  metadata.add("booleans", std::vector<bool>{true});
  return metadata;
}

TEST(Metadata, GivesWhatIsThere) {
  const Metadata metadata = sample();
  EXPECT_EQ(metadata.source(), "m.gguf");
  EXPECT_EQ(metadata.integer("integer"), -3);
  EXPECT_EQ(metadata.number("number"), 0.5);
  EXPECT_EQ(metadata.number("integer"), -3.0);
  EXPECT_EQ(metadata.number("huge"), 18446744073709551616.0);
  EXPECT_EQ(metadata.string("string"), "text");
  EXPECT_TRUE(metadata.boolean("boolean"));
  EXPECT_EQ(metadata.integers("integers"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(metadata.numbers("numbers"), (std::vector<double>{0.5}));
  EXPECT_EQ(metadata.numbers("integers"), (std::vector<double>{1, 2}));
  EXPECT_EQ(metadata.strings("strings"), (std::vector<std::string_view>{"a"}));
  EXPECT_EQ(metadata.booleans("booleans"), (std::vector<bool>{true}));
}

TEST(Metadata, OptionalValuesMayBeMissing) {
  const Metadata metadata = sample();
  EXPECT_FALSE(metadata.has("none"));
  EXPECT_FALSE(metadata.find_integer("none") || metadata.find_number("none") || metadata.find_string("none") ||
               metadata.find_boolean("none"));
  EXPECT_TRUE(metadata.integers("none").empty() && metadata.numbers("none").empty() &&
              metadata.strings("none").empty() && metadata.booleans("none").empty());
}

TEST(Metadata, NamesFileKeyAndKind) {
  const Metadata metadata = sample();
  EXPECT_ERROR(metadata.integer("none"), ErrorKind::kInvalidModel, "m.gguf: key 'none' is missing");
  EXPECT_ERROR(metadata.number("none"), ErrorKind::kInvalidModel, "is missing");
  EXPECT_ERROR(metadata.string("none"), ErrorKind::kInvalidModel, "is missing");
  EXPECT_ERROR(metadata.boolean("none"), ErrorKind::kInvalidModel, "is missing");
  EXPECT_ERROR(metadata.integer("number"), ErrorKind::kInvalidModel, "key 'number' is a number, expected an integer");
  EXPECT_ERROR(metadata.integer("huge"), ErrorKind::kInvalidModel, "18446744073709551615, which is too large");
  EXPECT_ERROR(metadata.find_integer("string"), ErrorKind::kInvalidModel, "is a string, expected an integer");
  EXPECT_ERROR(metadata.find_number("boolean"), ErrorKind::kInvalidModel, "is a boolean, expected a number");
  EXPECT_ERROR(metadata.find_string("integer"), ErrorKind::kInvalidModel, "is an integer, expected a string");
  EXPECT_ERROR(metadata.find_boolean("integer"), ErrorKind::kInvalidModel, "expected a boolean");
  EXPECT_ERROR(metadata.integers("numbers"), ErrorKind::kInvalidModel, "is a list of numbers");
  EXPECT_ERROR(metadata.numbers("strings"), ErrorKind::kInvalidModel, "expected a list of numbers");
  EXPECT_ERROR(metadata.strings("string"), ErrorKind::kInvalidModel, "expected a list of strings");
  EXPECT_ERROR(metadata.booleans("integers"), ErrorKind::kInvalidModel, "expected a list of booleans");
}

TEST(Metadata, RefusesAKeyTwice) {
  Metadata metadata = sample();
  EXPECT_ERROR(metadata.add("integer", int64_t{1}), ErrorKind::kInvalidModel, "key 'integer' appears twice");
}

}  // namespace
}  // namespace megalith
