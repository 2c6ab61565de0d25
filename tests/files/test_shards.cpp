#include <gtest/gtest.h>

#include "files/shards.h"

namespace megalith {
namespace {

TEST(Shards, ReadsNames) {
  const auto name = parse_shard_name("dir/model-q4-00002-of-00010.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->prefix, "dir/model-q4");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->count, 10);
  EXPECT_EQ(name->path_of(10), "dir/model-q4-00010-of-00010.gguf");
}

TEST(Shards, RefusesEverythingElse) {
  for (const char* path : {"", "model.gguf", "-00001-of-00002.gguf", "m-0001-of-0002.gguf", "m-00001-of-00002.bin",
                           "m-00003-of-00002.gguf", "m-00000-of-00002.gguf", "m-00001-of-0000x.gguf",
                           "m-+0001-of-00002.gguf", "m_00001-of-00002.gguf", "m-00001-of-99999.gguf"}) {
    EXPECT_FALSE(parse_shard_name(path).has_value()) << path;
  }
}

}  // namespace
}  // namespace megalith
