#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "base/expect_error.h"
#include "base/temporary_folder.h"
#include "files/checkpoint.h"
#include "files/gguf_builder.h"

namespace megalith {
namespace {

std::vector<float> ramp(size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

TEST(Checkpoint, OpensAFileAndFindsItsWeights) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model.gguf", GgufBuilder()
                                                          .key("general.architecture", "llama")
                                                          .tensor("a", {2, 3}, Format::kF32, ramp(6))
                                                          .tensor("b", {64}, Format::kQ8_0, ramp(64))
                                                          .build());
  const auto checkpoint = open_checkpoint(path);
  EXPECT_EQ(checkpoint->path(), path);
  EXPECT_EQ(checkpoint->metadata().string("general.architecture"), "llama");
  EXPECT_EQ(checkpoint->metadata().source(), path);
  ASSERT_NE(checkpoint->find("b"), nullptr);
  EXPECT_EQ(checkpoint->find("b")->view.format, Format::kQ8_0);
  EXPECT_EQ(checkpoint->find("c"), nullptr);
  EXPECT_EQ(checkpoint->weight_bytes(), 24u + 68u);
  EXPECT_EQ(checkpoint->file_bytes(), std::filesystem::file_size(path));
  std::vector<float> row(3);
  const NamedWeight& weight = checkpoint->require("a", std::vector<int64_t>{2, 3});
  format_info(weight.view.format).decode(weight.view, 1, 0, row);
  EXPECT_EQ(row, (std::vector<float>{4, 5, 6}));
  EXPECT_NO_THROW(checkpoint->check_intact());
}

TEST(Checkpoint, NamesAMissingTensorAndBothShapes) {
  const TemporaryFolder folder;
  const std::string path = folder.write("m.gguf", GgufBuilder().tensor("a", {2, 3}, Format::kF32, ramp(6)).build());
  const auto checkpoint = open_checkpoint(path);
  EXPECT_ERROR(checkpoint->require("b", std::vector<int64_t>{2}), ErrorKind::kInvalidModel, "tensor 'b' is missing");
  EXPECT_ERROR(checkpoint->require("a", std::vector<int64_t>{3, 2}), ErrorKind::kInvalidModel,
               "m.gguf: tensor 'a' has the shape [2, 3], expected [3, 2]");
  EXPECT_ERROR(checkpoint->require("a", std::vector<int64_t>{6}), ErrorKind::kInvalidModel, "expected [6]");
}

TEST(Checkpoint, RefusesOtherFiles) {
  const TemporaryFolder folder;
  EXPECT_ERROR(open_checkpoint(folder.path() + "/none.gguf"), ErrorKind::kModelNotFound, "none.gguf");
  EXPECT_ERROR(open_checkpoint(folder.path()), ErrorKind::kInvalidModel, "has no config.json");
  EXPECT_ERROR(open_checkpoint(folder.write("e.gguf", "")), ErrorKind::kInvalidModel, "is empty");
  EXPECT_ERROR(open_checkpoint(folder.write("h.gguf", "<html>")), ErrorKind::kInvalidModel, "HTML page");
}

TEST(Checkpoint, NoticesTruncationWhileMapped) {
  const TemporaryFolder folder;
  const std::string path =
      folder.write("model.gguf", GgufBuilder().tensor("a", {100000}, Format::kF32, ramp(100000)).build());
  const auto checkpoint = open_checkpoint(path);
  std::filesystem::resize_file(path, 8192);
  const WeightView& view = checkpoint->find("a")->view;
  std::vector<float> row(static_cast<size_t>(view.columns));
  format_info(view.format).decode(view, 0, 0, row);
  EXPECT_EQ(row.back(), 0.0f);
  EXPECT_ERROR(checkpoint->check_intact(), ErrorKind::kRuntime, path + " was truncated");
}

TEST(Checkpoint, NoticesACutWithinTheLastPage) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model.gguf", GgufBuilder().tensor("a", {40}, Format::kF32, ramp(40)).build());
  const auto checkpoint = open_checkpoint(path);
  EXPECT_NO_THROW(checkpoint->check_intact());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4);
  EXPECT_ERROR(checkpoint->check_intact(), ErrorKind::kRuntime, path + " was truncated");
}

GgufBuilder shard(uint16_t number, uint16_t count, int32_t n_tensors) {
  GgufBuilder builder;
  builder.key("split.no", number).key("split.count", count).key("split.tensors.count", n_tensors);
  return builder;
}

class SplitCheckpoint : public testing::Test {
 protected:
  std::string write(int number, const GgufBuilder& builder) const {
    return folder_.write("big-0000" + std::to_string(number) + "-of-00003.gguf", builder.build());
  }
  /// Three shards; the first holds metadata only, as llama.cpp's gguf-split may write it.
  void write_all() const {
    write(1, shard(0, 3, 3).key("general.architecture", "qwen2"));
    write(2, shard(1, 3, 3).tensor("a", {4}, Format::kF32, ramp(4)).tensor("b", {4}, Format::kF32, ramp(4)));
    write(3, shard(2, 3, 3).tensor("c", {4}, Format::kF32, ramp(4)));
  }
  std::string path(int number) const {
    return folder_.path() + "/big-0000" + std::to_string(number) + "-of-00003.gguf";
  }
  TemporaryFolder folder_;
};

TEST_F(SplitCheckpoint, AnyShardOpensAll) {
  write_all();
  for (int number = 1; number <= 3; ++number) {
    const auto checkpoint = open_checkpoint(path(number));
    EXPECT_EQ(checkpoint->path(), path(1));
    EXPECT_EQ(checkpoint->metadata().string("general.architecture"), "qwen2");
    EXPECT_EQ(checkpoint->weights().size(), 3u);
    EXPECT_EQ(checkpoint->weight_bytes(), 48u);
    ASSERT_NE(checkpoint->find("c"), nullptr);
    std::vector<float> row(4);
    format_info(Format::kF32).decode(checkpoint->find("c")->view, 0, 0, row);
    EXPECT_EQ(row, ramp(4));
  }
}

TEST_F(SplitCheckpoint, NamesAllMissingShards) {
  write_all();
  std::filesystem::remove(path(1));
  std::filesystem::remove(path(3));
  EXPECT_ERROR(open_checkpoint(path(2)), ErrorKind::kModelNotFound, "big-00001-of-00003.gguf, big-00003-of-00003.gguf");
}

TEST_F(SplitCheckpoint, RefusesShardsThatDoNotBelongTogether) {
  write_all();
  write(3, shard(1, 3, 3).tensor("c", {4}, Format::kF32, ramp(4)));
  EXPECT_ERROR(open_checkpoint(path(1)), ErrorKind::kInvalidModel, "says it is shard 2 of 3");
  write(3, shard(2, 3, 3).tensor("a", {4}, Format::kF32, ramp(4)));
  EXPECT_ERROR(open_checkpoint(path(1)), ErrorKind::kInvalidModel, "tensor 'a' appears twice");
  write(3, GgufBuilder().tensor("c", {4}, Format::kF32, ramp(4)));
  EXPECT_ERROR(open_checkpoint(path(1)), ErrorKind::kInvalidModel, "says it is shard 0 of 0");
  write(3, shard(2, 3, 3));
  EXPECT_ERROR(open_checkpoint(path(1)), ErrorKind::kInvalidModel, "hold 2 tensors, but key split.tensors.count is 3");
  write(3, shard(2, 3, 3).key("split.odd", 1));
  std::filesystem::resize_file(path(3), 20);
  EXPECT_ERROR(open_checkpoint(path(1)), ErrorKind::kInvalidModel, "big-00003-of-00003.gguf");
}

TEST_F(SplitCheckpoint, ARenamedShardSaysWhatItsNameShouldBe) {
  const std::string path = folder_.write("renamed.gguf", shard(0, 3, 0).build());
  EXPECT_ERROR(open_checkpoint(path), ErrorKind::kInvalidModel, "-00001-of-00003.gguf");
  const std::string other = folder_.write("x-00001-of-00002.gguf", shard(0, 3, 0).build());
  EXPECT_ERROR(open_checkpoint(other), ErrorKind::kInvalidModel, "is one of 3 shards");
}

TEST_F(SplitCheckpoint, OneOfOneIsAFile) {
  const std::string path = folder_.write("one.gguf", shard(0, 1, 1).tensor("a", {4}, Format::kF32, ramp(4)).build());
  EXPECT_EQ(open_checkpoint(path)->weights().size(), 1u);
  const std::string many = folder_.write("many.gguf", shard(0, 65535, 1).build());
  EXPECT_ERROR(open_checkpoint(many), ErrorKind::kInvalidModel, "split.count' is 65535");
}

}  // namespace
}  // namespace megalith
