// Modules of several planes in folders: put together as config.json says, and refused where they do not fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/expect_error.h"
#include "base/temporary_folder.h"
#include "files/checkpoint.h"
#include "files/safetensors_builder.h"
#include "formats/encode.h"

namespace megalith {
namespace {

using Shape = std::vector<int64_t>;

struct Tensor {
  std::string name;
  Shape shape;
  std::string dtype;
  std::vector<std::byte> bytes;
};

std::vector<float> noise(size_t n) {
  std::mt19937 generator(7);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(static_cast<int>(generator() % 2001) - 1000) / 500.0f;
  return values;
}

std::vector<float> decode(const WeightView& view) {
  std::vector<float> values(static_cast<size_t>(view.rows * view.columns));
  const auto columns = static_cast<size_t>(view.columns);
  for (int64_t row = 0; row < view.rows; ++row) {
    format_info(view.format)
        .decode(view, row, 0, std::span(values).subspan(static_cast<size_t>(row) * columns, columns));
  }
  return values;
}

WeightView shape_of(Format format, const Shape& shape, int64_t group) {
  WeightView view;
  view.format = format;
  view.group = group;
  view.columns = shape.back();
  view.rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) view.rows *= shape[i];
  return view;
}

EncodedWeight encode(const WeightView& shape) {
  return encode_weight(shape, noise(static_cast<size_t>(shape.rows * shape.columns)));
}

class QuantisedFolder : public testing::Test {
 protected:
  /// A config.json with these members.
  void config(std::string_view members) const {
    folder_.write("config.json", R"({"architectures":["LlamaForCausalLM"],)" + std::string(members) + "}");
  }
  void add(const std::string& name, const Shape& shape, std::string_view dtype, std::span<const std::byte> bytes) {
    tensors_.push_back({name, shape, std::string(dtype), {bytes.begin(), bytes.end()}});
  }
  Tensor& tensor(std::string_view name) {
    for (Tensor& tensor : tensors_) {
      if (tensor.name == name) return tensor;
    }
    throw std::out_of_range(std::string(name));
  }
  std::shared_ptr<const Checkpoint> open() const {
    SafetensorsBuilder builder;
    for (const Tensor& tensor : tensors_) builder.raw_tensor(tensor.name, tensor.shape, tensor.dtype, tensor.bytes);
    folder_.write("model.safetensors", builder.build());
    return open_checkpoint(folder_.path());
  }

  // Each adds the planes of a weight under the names and shapes of its way of quantising, and returns what they mean.

  std::vector<float> add_mlx(const std::string& module, Format format, const Shape& shape, int64_t group = 64) {
    const EncodedWeight weight = encode(shape_of(format, shape, group));
    Shape words = shape;
    words.back() = static_cast<int64_t>(weight.planes[0].size()) / 4 / weight.view.rows;
    Shape scales = shape;
    scales.back() /= group;
    add(module + ".weight", words, "U32", weight.planes[0]);
    add(module + ".scales", scales, "F16", weight.planes[1]);
    add(module + ".biases", scales, "F16", weight.planes[2]);
    return decode(weight.view);
  }
  /// [64, 128], in groups of 32. `group_of_column` may be empty: then there is no g_idx.
  std::vector<float> add_gptq(const std::string& module, int64_t bits, std::span<const int32_t> group_of_column,
                              uint8_t zero_point_shift = 1) {
    WeightView shape = shape_of(bits == 4 ? Format::kGptq4 : Format::kGptq8, {64, 128}, 32);
    shape.zero_point_shift = zero_point_shift;
    shape.planes[3] = std::as_bytes(group_of_column);
    const EncodedWeight weight = encode(shape);
    add(module + ".qweight", {128 * bits / 32, 64}, "I32", weight.planes[0]);
    add(module + ".qzeros", {4, 64 * bits / 32}, "I32", weight.planes[1]);
    add(module + ".scales", {4, 64}, "F16", weight.planes[2]);
    if (!group_of_column.empty()) add(module + ".g_idx", {128}, "I32", weight.planes[3]);
    return decode(weight.view);
  }
  /// [64, 128], in groups of 64.
  std::vector<float> add_awq(const std::string& module) {
    const EncodedWeight weight = encode(shape_of(Format::kAwq4, {64, 128}, 64));
    add(module + ".qweight", {128, 8}, "I32", weight.planes[0]);
    add(module + ".qzeros", {2, 8}, "I32", weight.planes[1]);
    add(module + ".scales", {2, 64}, "F16", weight.planes[2]);
    return decode(weight.view);
  }
  /// [130, 200]: two blocks of scales each way.
  std::vector<float> add_fp8(const std::string& module) {
    WeightView shape = shape_of(Format::kFp8Block, {130, 200}, 0);
    shape.scale_format = Format::kF32;
    const EncodedWeight weight = encode(shape);
    add(module + ".weight", {130, 200}, "F8_E4M3", weight.planes[0]);
    add(module + ".weight_scale_inv", {2, 2}, "F32", weight.planes[1]);
    return decode(weight.view);
  }
  void add_plain(const std::string& name) { add(name, {2}, "F32", std::as_bytes(std::span(kPlain))); }

  void expect_weight(const Checkpoint& checkpoint, const std::string& name, const Shape& shape,
                     const std::vector<float>& values) const {
    const NamedWeight& weight = checkpoint.require(name, shape);
    EXPECT_EQ(weight.view.columns, shape.back());
    EXPECT_EQ(weight.view.rows * weight.view.columns, static_cast<int64_t>(values.size()));
    EXPECT_EQ(fault_of(weight.view), "");
    EXPECT_EQ(decode(weight.view), values) << name;
  }

  static constexpr std::array<float, 2> kPlain = {1, 2};
  static constexpr const char* kMlx = R"("quantization":{"group_size":64,"bits":4})";
  static constexpr const char* kGptq =
      R"("quantization_config":{"quant_method":"gptq","bits":4,"group_size":32,"desc_act":true,"sym":true})";
  static constexpr const char* kAwq =
      R"("quantization_config":{"quant_method":"awq","version":"gemm","bits":4,"group_size":64,"zero_point":true})";
  static constexpr const char* kFp8 = R"("quantization_config":{"quant_method":"fp8","fmt":"e4m3",)"
                                      R"("activation_scheme":"dynamic","weight_block_size":[128,128]})";
  TemporaryFolder folder_;
  std::vector<Tensor> tensors_;
};

TEST_F(QuantisedFolder, Mlx) {
  config(kMlx);
  const std::vector<float> values = add_mlx("model.q_proj", Format::kMlx4, {8, 128});
  const std::vector<float> experts = add_mlx("mlp.switch_mlp.up_proj", Format::kMlx4, {3, 8, 128});
  add_plain("model.norm.weight");
  add_plain("model.q_proj.bias");
  const auto checkpoint = open();
  expect_weight(*checkpoint, "model.q_proj.weight", {8, 128}, values);
  expect_weight(*checkpoint, "mlp.switch_mlp.up_proj.weight", {3, 8, 128}, experts);
  EXPECT_EQ(checkpoint->weights().size(), 4u);
  EXPECT_TRUE(checkpoint->skipped().empty());
}

TEST_F(QuantisedFolder, MlxLayersMayHaveBitsOfTheirOwn) {
  config(R"("quantization":{"group_size":64,"bits":4,"mode":"affine","two":{"group_size":32,"bits":2},)"
         R"("three":{"group_size":64,"bits":3},"five":{"group_size":64,"bits":5},"model.six":{"group_size":128,)"
         R"("bits":6},"eight":{"group_size":64,"bits":8,"mode":"affine"},"whole":false},)"
         R"("quantization_config":{"group_size":64,"bits":4})");
  const std::vector<std::pair<std::string, std::vector<float>>> weights = {
      {"two.weight", add_mlx("two", Format::kMlx2, {4, 128}, 32)},
      {"three.weight", add_mlx("three", Format::kMlx3, {4, 128})},
      {"four.weight", add_mlx("four", Format::kMlx4, {4, 128})},
      {"five.weight", add_mlx("five", Format::kMlx5, {4, 128})},
      {"model.six.weight", add_mlx("model.six", Format::kMlx6, {4, 128}, 128)},
      {"eight.weight", add_mlx("eight", Format::kMlx8, {4, 128})}};
  add_plain("whole.weight");
  const auto checkpoint = open();
  for (const auto& [name, values] : weights) expect_weight(*checkpoint, name, {4, 128}, values);
  EXPECT_EQ(checkpoint->require("whole.weight", Shape{2}).view.format, Format::kF32);
}

TEST_F(QuantisedFolder, MlxScalesMayBeBf16) {
  config(kMlx);
  WeightView shape = shape_of(Format::kMlx4, {4, 64}, 64);
  shape.scale_format = Format::kBF16;
  const EncodedWeight weight = encode(shape);
  add("a.weight", {4, 8}, "U32", weight.planes[0]);
  add("a.scales", {4, 1}, "BF16", weight.planes[1]);
  add("a.biases", {4, 1}, "BF16", weight.planes[2]);
  expect_weight(*open(), "a.weight", {4, 64}, decode(weight.view));
  tensor("a.biases").dtype = "F16";
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "tensor 'a.biases' has the type F16, expected BF16");
}

TEST_F(QuantisedFolder, MlxInMxfp4) {
  config(R"("quantization":{"group_size":32,"bits":4,"mode":"mxfp4"})");
  const EncodedWeight weight = encode(shape_of(Format::kMxfp4Planes, {2, 4, 64}, 32));
  add("experts.up.weight", {2, 4, 8}, "U32", weight.planes[0]);
  add("experts.up.scales", {2, 4, 2}, "U8", weight.planes[1]);
  expect_weight(*open(), "experts.up.weight", {2, 4, 64}, decode(weight.view));
  config(R"("quantization":{"group_size":16,"bits":4,"mode":"nvfp4"})");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "module 'experts.up' is quantised in MLX's mode 'nvfp4'");
}

TEST_F(QuantisedFolder, Mxfp4AsGptOssHasIt) {
  config(R"("quantization_config":{"quant_method":"mxfp4","modules_to_not_convert":["lm_head"]})");
  const EncodedWeight weight = encode(shape_of(Format::kMxfp4Planes, {2, 4, 64}, 32));
  add("mlp.experts.gate_up_proj_blocks", {2, 4, 2, 16}, "U8", weight.planes[0]);
  add("mlp.experts.gate_up_proj_scales", {2, 4, 2}, "U8", weight.planes[1]);
  add_plain("mlp.experts.gate_up_proj_bias");
  expect_weight(*open(), "mlp.experts.gate_up_proj", {2, 4, 64}, decode(weight.view));
  tensor("mlp.experts.gate_up_proj_blocks").shape = {2, 4, 4, 8};
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "has the shape [2, 4, 4, 8], expected [2, 4, 4, 16]");
}

TEST_F(QuantisedFolder, GptqInTheNaturalOrder) {
  config(kGptq);
  std::vector<int32_t> trivial(128);
  for (size_t i = 0; i < trivial.size(); ++i) trivial[i] = static_cast<int32_t>(i / 32);
  const std::vector<float> a = add_gptq("a", 4, trivial);
  const std::vector<float> b = add_gptq("b", 4, {});
  const auto checkpoint = open();
  expect_weight(*checkpoint, "a.weight", {64, 128}, a);
  expect_weight(*checkpoint, "b.weight", {64, 128}, b);
  EXPECT_TRUE(checkpoint->find("a.weight")->view.column_order.empty());
  EXPECT_TRUE(checkpoint->find("b.weight")->view.column_order.empty());
}

TEST_F(QuantisedFolder, GptqInAnOrderOfItsOwn) {
  config(kGptq);
  std::vector<int32_t> group_of_column(128);
  for (size_t i = 0; i < group_of_column.size(); ++i) group_of_column[i] = static_cast<int32_t>(3 - i % 4);
  const std::vector<float> values = add_gptq("a", 4, group_of_column);
  const auto checkpoint = open();
  expect_weight(*checkpoint, "a.weight", {64, 128}, values);
  const auto order = checkpoint->find("a.weight")->view.column_order;
  ASSERT_EQ(order.size(), 128u);
  // The stable sort: the columns of group 0 in rising order, then those of group 1.
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], static_cast<int32_t>(i % 32 * 4 + 3 - i / 32));
  const int32_t wrong = 4;
  std::memcpy(tensor("a.g_idx").bytes.data(), &wrong, sizeof(wrong));
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "weight 'a.weight' (GPTQ_4BIT) gives column 0 the group 4 of 4");
}

TEST_F(QuantisedFolder, GptqVariants) {
  config(R"("quantization_config":{"quant_method":"gptq","bits":8,"group_size":32,"checkpoint_format":"gptq_v2"})");
  const std::vector<float> values = add_gptq("a", 8, {}, 0);
  expect_weight(*open(), "a.weight", {64, 128}, values);
  EXPECT_EQ(open()->find("a.weight")->view.zero_point_shift, 0);
  config(R"("quantization_config":{"quant_method":"gptq","bits":8,"group_size":32})");
  EXPECT_EQ(open()->find("a.weight")->view.zero_point_shift, 1);
  for (const auto& [members, cause] : std::vector<std::pair<std::string, std::string>>{
           {R"("bits":3,"group_size":32)", "weights of 3 bits"},
           {R"("bits":8,"group_size":0)", "groups of 0 columns make no sense"},
           {R"("bits":8,"group_size":-7)", "groups of -7 columns make no sense"},
           {R"("bits":8,"group_size":48)", "tensor 'a.qzeros' has the shape [4, 16], expected [3, 16]"},
           {R"("bits":8,"group_size":64)", "tensor 'a.qzeros' has the shape [4, 16], expected [2, 16]"},
           {R"("bits":4,"group_size":32)", "tensor 'a.qzeros' has the shape [4, 16], expected [8, 8]"},
           {R"("bits":8)", "key 'config.quantization_config.group_size' is missing"},
           {R"("bits":"8","group_size":32)", "is a string, expected an integer"},
           {R"("bits":8,"group_size":32,"checkpoint_format":"marlin")", "is 'marlin', and only 'gptq' and 'gptq_v2'"},
           {R"("bits":8,"group_size":32,"is_marlin_format":true)", "repacked for Marlin"},
       }) {
    config(R"("quantization_config":{"quant_method":"gptq",)" + members + "}");
    EXPECT_ERROR(open(), ErrorKind::kInvalidModel, cause);
  }
}

TEST_F(QuantisedFolder, GptqWithOneGroup) {
  config(R"("quantization_config":{"quant_method":"gptq","bits":4,"group_size":-1,"desc_act":false})");
  const EncodedWeight weight = encode(shape_of(Format::kGptq4, {64, 128}, 128));
  add("a.qweight", {16, 64}, "I32", weight.planes[0]);
  add("a.qzeros", {1, 8}, "I32", weight.planes[1]);
  add("a.scales", {1, 64}, "F16", weight.planes[2]);
  const auto checkpoint = open();
  EXPECT_EQ(checkpoint->find("a.weight")->view.group, 128);
  WeightView shifted = weight.view;
  shifted.zero_point_shift = 1;
  expect_weight(*checkpoint, "a.weight", {64, 128}, decode(shifted));
}

TEST_F(QuantisedFolder, Awq) {
  config(kAwq);
  const std::vector<float> values = add_awq("a");
  expect_weight(*open(), "a.weight", {64, 128}, values);
  config(R"("quantization_config":{"quant_method":"awq","version":"GEMM","w_bit":4,"q_group_size":64})");
  expect_weight(*open(), "a.weight", {64, 128}, values);
  config(R"("quantization_config":{"quant_method":"awq","version":"gemv","bits":4,"group_size":64})");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "is 'gemv', and only 'gemm' is supported");
  config(R"("quantization_config":{"quant_method":"awq","version":"gemm","bits":8,"group_size":64})");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "weights of 8 bits");
}

TEST_F(QuantisedFolder, Fp8) {
  config(kFp8);
  const std::vector<float> values = add_fp8("a");
  add_plain("norm.weight");
  const auto checkpoint = open();
  expect_weight(*checkpoint, "a.weight", {130, 200}, values);
  EXPECT_EQ(checkpoint->find("a.weight")->view.scale_format, Format::kF32);
  config(R"("quantization_config":{"quant_method":"fp8","weight_block_size":[64,64]})");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel,
               "key 'config.quantization_config.weight_block_size' is not [128, 128]");
  config(R"("quantization_config":{"quant_method":"fp8","weight_block_size":[128,128],"fmt":"e5m2"})");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "is 'e5m2', and only 'e4m3'");
}

TEST_F(QuantisedFolder, EveryMissingPlaneIsNamed) {
  std::vector<int32_t> order(128);
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i % 4);
  for (const char* members : {kMlx, kGptq, kAwq, kFp8}) {
    config(members);
    tensors_.clear();
    if (members == kMlx) add_mlx("a", Format::kMlx4, {4, 64});
    if (members == kGptq) add_gptq("a", 4, order);
    if (members == kAwq) add_awq("a");
    if (members == kFp8) add_fp8("a");
    const std::vector<Tensor> whole = tensors_;
    EXPECT_NO_THROW(open());
    for (const Tensor& lost : whole) {
      if (lost.name == "a.g_idx") continue;
      tensors_ = whole;
      std::erase_if(tensors_, [&](const Tensor& tensor) { return tensor.name == lost.name; });
      EXPECT_ERROR(open(), ErrorKind::kInvalidModel,
                   "module 'a' is quantised, but its tensor '" + lost.name + "' is missing");
    }
    tensors_.clear();
  }
}

TEST_F(QuantisedFolder, EveryPlaneOfAnotherShapeIsRefusedWithBoth) {
  std::vector<int32_t> order(128);
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i % 4);
  for (const char* members : {kMlx, kGptq, kAwq, kFp8}) {
    config(members);
    tensors_.clear();
    if (members == kMlx) add_mlx("a", Format::kMlx4, {4, 64});
    if (members == kGptq) add_gptq("a", 4, order);
    if (members == kAwq) add_awq("a");
    if (members == kFp8) add_fp8("a");
    const std::vector<Tensor> whole = tensors_;
    for (size_t i = 0; i < whole.size(); ++i) {
      for (size_t dimension = 0; dimension < whole[i].shape.size(); ++dimension) {
        tensors_ = whole;
        Tensor& changed = tensors_[i];
        // Twice the size that way, with the bytes to match.
        changed.shape[dimension] *= 2;
        changed.bytes.resize(2 * changed.bytes.size());
        EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "has the shape [");
        EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "], expected [");
      }
      tensors_ = whole;
      tensors_[i].shape.assign(6, 1);
      tensors_[i].shape[0] = whole[i].shape[0];
      for (size_t d = 1; d < whole[i].shape.size(); ++d) tensors_[i].shape[0] *= whole[i].shape[d];
      EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "tensor '" + whole[i].name + "' has the shape [");
    }
  }
}

TEST_F(QuantisedFolder, PlanesOfAnotherTypeAreRefused) {
  config(kAwq);
  add_awq("a");
  tensor("a.scales").dtype = "I16";
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "tensor 'a.scales' has the type I16, expected F16, BF16 or F32");
  tensor("a.scales").dtype = "F16";
  tensor("a.qzeros").dtype = "U32";
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "tensor 'a.qzeros' has the type U32, expected I32");
}

TEST_F(QuantisedFolder, ColumnsMustFillGroups) {
  config(R"("quantization_config":{"quant_method":"awq","bits":4,"group_size":48})");
  add("a.qweight", {96, 1}, "I32", std::vector<std::byte>(96 * 4));
  add("a.qzeros", {2, 1}, "I32", std::vector<std::byte>(2 * 4));
  add("a.scales", {2, 8}, "F16", std::vector<std::byte>(2 * 8 * 2));
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "weight 'a.weight' (AWQ_4BIT) has 48 columns in one group");
}

TEST_F(QuantisedFolder, UnknownWaysOfQuantisingAreNamed) {
  add_plain("a");
  for (const char* method : {"bitsandbytes", "compressed-tensors", "modelopt", "x"}) {
    config(R"("quantization_config":{"quant_method":")" + std::string(method) + R"("})");
    EXPECT_ERROR(open(), ErrorKind::kInvalidModel,
                 "key 'config.quantization_config.quant_method' is '" + std::string(method) + "', a way of quantising");
    EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "quantised by MLX, GPTQ, AWQ, FP8 in blocks and MXFP4");
  }
  config(R"("text_config":{"quantization_config":{"quant_method":"y"}})");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "is 'y', a way of quantising that is not supported");
  config(R"("quantization":{"bits":4})");
  EXPECT_ERROR(open(), ErrorKind::kInvalidModel, "key 'config.quantization.group_size' is missing");
}

TEST_F(QuantisedFolder, WithoutAQuantisationNothingIsPutTogether) {
  config(R"("hidden_size":64)");
  add_mlx("a", Format::kMlx4, {4, 64});
  const auto checkpoint = open();
  EXPECT_ERROR(checkpoint->require("a.weight", Shape{4, 64}), ErrorKind::kInvalidModel, "has the type U32");
  EXPECT_NE(checkpoint->find("a.scales"), nullptr);
}

}  // namespace
}  // namespace megalith
