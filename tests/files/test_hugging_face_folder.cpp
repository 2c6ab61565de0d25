#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/expect_error.h"
#include "base/temporary_folder.h"
#include "files/checkpoint.h"
#include "files/safetensors_builder.h"

namespace megalith {
namespace {

std::vector<float> ramp(size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

class HuggingFaceFolder : public testing::Test {
 protected:
  HuggingFaceFolder() { write("config.json", R"({"architectures":["LlamaForCausalLM"],"hidden_size":3})"); }
  std::string write(const std::string& name, std::string_view text) const { return folder_.write(name, text); }
  std::string write(const std::string& name, const SafetensorsBuilder& builder) const {
    return folder_.write(name, builder.build());
  }
  /// Two shards and their index.
  void write_shards() const {
    write("model-00001-of-00002.safetensors", SafetensorsBuilder().tensor("a", {2, 3}, Format::kF32, ramp(6)));
    write("model-00002-of-00002.safetensors", SafetensorsBuilder().tensor("b", {4}, Format::kF16, ramp(4)));
    write("model.safetensors.index.json",
          R"({"metadata":{"total_size":32,"more":[1]},"weight_map":{"a":"model-00001-of-00002.safetensors",)"
          R"("b":"model-00002-of-00002.safetensors"}})");
  }
  std::shared_ptr<const Checkpoint> open() const { return open_checkpoint(folder_.path()); }
  const std::string& path() const { return folder_.path(); }
  void remove(const std::string& name) const { std::filesystem::remove(path() + "/" + name); }

  TemporaryFolder folder_;
};

TEST_F(HuggingFaceFolder, OpensByItsPathItsWeightsOrItsIndex) {
  const std::string file =
      write("model.safetensors", SafetensorsBuilder()
                                     .tensor("model.embed_tokens.weight", {2, 3}, Format::kF32, ramp(6))
                                     .tensor("model.norm.weight", {4}, Format::kBF16, ramp(4))
                                     .tensor("experts", {2, 3, 4}, Format::kF16, ramp(24))
                                     .tensor("scalar", {}, Format::kF32, ramp(1)));
  write("generation_config.json", R"({"eos_token_id":[7,8],"temperature":0.6})");
  for (const std::string& model : {path(), file}) {
    const auto checkpoint = open_checkpoint(model);
    EXPECT_EQ(checkpoint->path(), path());
    EXPECT_EQ(checkpoint->naming(), Naming::kHuggingFace);
    EXPECT_EQ(checkpoint->metadata().strings("config.architectures"),
              std::vector<std::string_view>{"LlamaForCausalLM"});
    EXPECT_EQ(checkpoint->metadata().integers("generation_config.eos_token_id"), (std::vector<int64_t>{7, 8}));
    EXPECT_EQ(checkpoint->metadata().source(), path());
    const NamedWeight& embedding = checkpoint->require("model.embed_tokens.weight", std::vector<int64_t>{2, 3});
    std::vector<float> row(3);
    format_info(embedding.view.format).decode(embedding.view, 1, 0, row);
    EXPECT_EQ(row, (std::vector<float>{4, 5, 6}));
    EXPECT_EQ(checkpoint->require("model.norm.weight", std::vector<int64_t>{4}).view.format, Format::kBF16);
    const NamedWeight& experts = checkpoint->require("experts", std::vector<int64_t>{2, 3, 4});
    EXPECT_EQ(experts.view.rows, 6);
    EXPECT_EQ(experts.view.columns, 4);
    EXPECT_NE(checkpoint->find("scalar"), nullptr);
    EXPECT_EQ(checkpoint->weight_bytes(), 24u + 8u + 48u + 4u);
    EXPECT_EQ(checkpoint->file_bytes(), std::filesystem::file_size(file));
    EXPECT_NO_THROW(checkpoint->check_intact());
  }
}

TEST_F(HuggingFaceFolder, AFileOfAnotherNameServesIfItIsTheOnlyOne) {
  write("weights.safetensors", SafetensorsBuilder().tensor("a", {2}, Format::kF32, ramp(2)));
  write("adapter_model.safetensors", SafetensorsBuilder().tensor("b", {2}, Format::kF32, ramp(2)));
  EXPECT_EQ(open()->weights().size(), 1u);
  EXPECT_NE(open()->find("a"), nullptr);
  write("model.safetensors", SafetensorsBuilder().tensor("c", {2}, Format::kF32, ramp(2)));
  EXPECT_NE(open()->find("c"), nullptr);
  EXPECT_EQ(open()->weights().size(), 1u);
}

TEST_F(HuggingFaceFolder, TensorsThatAreNoWeightsAreSkippedUntilAModelWantsThem) {
  write("model.safetensors", SafetensorsBuilder()
                                 .tensor("a", {2}, Format::kF32, ramp(2))
                                 .raw_tensor("ids", {2}, "I64", std::vector<int64_t>{1, 2})
                                 .raw_tensor("empty", {0}, "F32", std::vector<float>{})
                                 .raw_tensor("odd", {1}, "Q9", std::vector<float>{1})
                                 .tensor("patches", {1, 1, 1, 1, 2}, Format::kF32, ramp(2)));
  const auto checkpoint = open();
  EXPECT_EQ(checkpoint->weights().size(), 1u);
  EXPECT_EQ(checkpoint->skipped().size(), 4u);
  for (const auto& [name, why] :
       std::vector<std::pair<std::string, std::string>>{{"ids", "tensor 'ids' has the type I64"},
                                                        {"empty", "tensor 'empty' has no elements"},
                                                        {"odd", "has the type Q9"},
                                                        {"patches", "has 5 dimensions"},
                                                        {"none", "tensor 'none' is missing"}}) {
    EXPECT_ERROR(checkpoint->require(name, std::vector<int64_t>{2}), ErrorKind::kInvalidModel, why);
  }
}

TEST_F(HuggingFaceFolder, OpensAllShardsOfAnIndex) {
  write_shards();
  for (const std::string& name : {std::string("model.safetensors.index.json"),
                                  std::string("model-00002-of-00002.safetensors"), std::string(".")}) {
    const auto checkpoint = open_checkpoint(path() + "/" + name);
    EXPECT_EQ(checkpoint->weights().size(), 2u);
    EXPECT_NE(checkpoint->find("a"), nullptr);
    EXPECT_NE(checkpoint->find("b"), nullptr);
  }
  remove("model.safetensors.index.json");
  EXPECT_EQ(open()->weights().size(), 2u) << "their names say how many there are";
  remove("model-00001-of-00002.safetensors");
  EXPECT_ERROR(open(), ErrorKind::kModelNotFound, "these are missing: model-00001-of-00002.safetensors");
}

TEST_F(HuggingFaceFolder, NamesAllMissingShards) {
  write_shards();
  remove("model-00001-of-00002.safetensors");
  remove("model-00002-of-00002.safetensors");
  EXPECT_ERROR(open(), ErrorKind::kModelNotFound,
               "of the 2 files that model.safetensors.index.json names these are missing: "
               "'model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'");
}

TEST_F(HuggingFaceFolder, NamesTensorsThatTheIndexPromises) {
  write_shards();
  write("model-00002-of-00002.safetensors", SafetensorsBuilder().tensor("c", {4}, Format::kF16, ramp(4)));
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel,
               "tensor 'b' should be in model-00002-of-00002.safetensors, but is not");
}

TEST_F(HuggingFaceFolder, TheIndexDecidesBetweenTensorsOfOneName) {
  write_shards();
  write("model-00002-of-00002.safetensors", SafetensorsBuilder()
                                                .tensor("b", {4}, Format::kF16, ramp(4))
                                                .tensor("a", {1}, Format::kF32, ramp(1))
                                                .tensor("unnamed", {1}, Format::kF32, ramp(1)));
  const auto checkpoint = open();
  EXPECT_EQ(checkpoint->require("a", std::vector<int64_t>{2, 3}).shape.size(), 2u);
  EXPECT_NE(checkpoint->find("unnamed"), nullptr);
  write("model-00001-of-00002.safetensors",
        SafetensorsBuilder().tensor("a", {2, 3}, Format::kF32, ramp(6)).tensor("unnamed", {1}, Format::kF32, ramp(1)));
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "tensor 'unnamed' is also in model-00001-of-00002.safetensors");
}

TEST_F(HuggingFaceFolder, RefusesIndexesThatAreWrong) {
  write_shards();
  folder_.write("secret.safetensors", SafetensorsBuilder().tensor("a", {1}, Format::kF32, ramp(1)).build());
  for (const auto& [index, cause] : std::vector<std::pair<std::string, std::string>>{
           {"", "is empty"},
           {"{", "is no valid JSON"},
           {"[]", "is no JSON object"},
           {"7", "is no JSON object"},
           {"{}", "has no object 'weight_map'"},
           {R"({"weight_map":[]})", "has no object 'weight_map'"},
           {R"({"weight_map":{}})", "names no tensors"},
           {R"({"weight_map":{"a":1}})", "tensor 'a' has no file name"},
           {R"({"weight_map":{"a":{}}})", "tensor 'a' has no file name"},
           {R"({"weight_map":{"a":"../secret.safetensors"}})", "which is no name of a .safetensors file"},
           {R"({"weight_map":{"a":"/etc/x.safetensors"}})", "which is no name of a .safetensors file"},
           {R"({"weight_map":{"a":"x\\y.safetensors"}})", "which is no name of a .safetensors file"},
           {R"({"weight_map":{"a":"config.json"}})", "which is no name of a .safetensors file"},
           {R"({"weight_map":{"a":"m.safetensors","a":"m.safetensors"}})", "tensor 'a' appears twice"},
           {R"({"weight_map":{"":"m.safetensors"}})", "name of 0 bytes"},
           {"{\"a\":" + std::string(100, '['), "nests more than 32 deep"},
       }) {
    write("model.safetensors.index.json", index);
    EXPECT_ERROR(open(), ErrorKind::kInvalidModel, cause);
  }
}

TEST_F(HuggingFaceFolder, SaysWhatIsMissing) {
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "there is no .safetensors file in it");
  write("pytorch_model.bin", "x");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "'pytorch_model.bin', a Python pickle");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "convert them to safetensors");
  write("model.safetensors", SafetensorsBuilder().tensor("a", {2}, Format::kF32, ramp(2)));
  remove("config.json");
  for (const std::string& model : {path(), path() + "/model.safetensors"}) {
    EXPECT_ERROR(open_checkpoint(model), ErrorKind::kInvalidModel, path() + " has no config.json");
  }
  EXPECT_ERROR(open_checkpoint(path() + "/none.safetensors"), ErrorKind::kModelNotFound, "none.safetensors");
  write("config.json", "{");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "config.json: is no valid JSON");
  write("config.json", "{}");
  write("generation_config.json", "[]");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "generation_config.json: is no JSON object");
}

TEST_F(HuggingFaceFolder, NoticesTruncationWhileMapped) {
  const std::string file =
      write("model.safetensors", SafetensorsBuilder().tensor("a", {100000}, Format::kF32, ramp(100000)));
  const auto checkpoint = open();
  std::filesystem::resize_file(file, 8192);
  EXPECT_ERROR(checkpoint->check_intact(), ErrorKind::kRuntime, file + " was truncated");
}

TEST_F(HuggingFaceFolder, ASafetensorsFileUnderAnotherNameIsRecognised) {
  const std::string file = write("blob", SafetensorsBuilder().tensor("a", {2}, Format::kF32, ramp(2)));
  EXPECT_ERROR(open_checkpoint(file), ErrorKind::kInvalidModel,
               "a safetensors file without that ending; give the folder in which it lies");
}

}  // namespace
}  // namespace megalith
