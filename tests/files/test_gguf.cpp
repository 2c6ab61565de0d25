#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/expect_error.h"
#include "files/allocation_meter.h"
#include "files/gguf.h"
#include "files/gguf_builder.h"

namespace megalith {
namespace {

using namespace std::string_literals;

GgufFile parse(const GgufBuilder& builder) {
  // The mapping must outlive the views; tests look at them right away.
  static std::vector<std::byte> bytes;
  bytes = builder.build();
  return parse_gguf(bytes, "test.gguf");
}

#define EXPECT_INVALID(builder, part) EXPECT_ERROR(parse(builder), ErrorKind::kInvalidModel, part)

std::vector<float> ramp(size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i % 64) / 8.0f - 4.0f;
  return values;
}

TEST(Gguf, ReadsEveryValueType) {
  const GgufFile file = parse(GgufBuilder()
                                  .key("u8", uint8_t{255})
                                  .key("i8", int8_t{-128})
                                  .key("u16", uint16_t{65535})
                                  .key("i16", int16_t{-32768})
                                  .key("u32", uint32_t{4294967295})
                                  .key("i32", std::numeric_limits<int32_t>::min())
                                  .key("u64", uint64_t{1} << 62)
                                  .key("u64 large", std::numeric_limits<uint64_t>::max())
                                  .key("i64", std::numeric_limits<int64_t>::min())
                                  .key("f32", 0.1f)
                                  .key("f64", 0.1)
                                  .key("bool", true)
                                  .key("string", "gr\xc3\xbc\xc3\x9f"));
  const Metadata& metadata = file.metadata;
  EXPECT_EQ(file.version, 3u);
  EXPECT_EQ(metadata.entries().size(), 13u);
  EXPECT_EQ(metadata.entries()[0].key, "u8");
  EXPECT_EQ(metadata.integer("u8"), 255);
  EXPECT_EQ(metadata.integer("i8"), -128);
  EXPECT_EQ(metadata.integer("u16"), 65535);
  EXPECT_EQ(metadata.integer("i16"), -32768);
  EXPECT_EQ(metadata.integer("u32"), 4294967295);
  EXPECT_EQ(metadata.integer("i32"), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(metadata.integer("u64"), int64_t{1} << 62);
  EXPECT_EQ(std::get<uint64_t>(*metadata.find("u64 large")), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(metadata.integer("i64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(metadata.number("f32"), double{0.1f});
  EXPECT_EQ(metadata.number("f64"), 0.1);
  EXPECT_TRUE(metadata.boolean("bool"));
  EXPECT_EQ(metadata.string("string"), "gr\xc3\xbc\xc3\x9f");
}

TEST(Gguf, ReadsListsOfEveryType) {
  const GgufFile file = parse(GgufBuilder()
                                  .list("u8", std::vector<uint8_t>{0, 255})
                                  .list("i8", std::vector<int8_t>{-128, 127})
                                  .list("u16", std::vector<uint16_t>{65535})
                                  .list("i16", std::vector<int16_t>{-1})
                                  .list("u32", std::vector<uint32_t>{4294967295})
                                  .list("i32", std::vector<int32_t>{-7, 7})
                                  .list("u64", std::vector<uint64_t>{9})
                                  .list("i64", std::vector<int64_t>{-9})
                                  .list("f32", std::vector<float>{0.5f})
                                  .list("f64", std::vector<double>{0.1, 2})
                                  .list("bool", std::vector<bool>{true, false, true})
                                  .list("string", std::vector<std::string>{"a", "", "\xff\x00"s})
                                  .list("none", std::vector<float>{}));
  const Metadata& metadata = file.metadata;
  EXPECT_EQ(metadata.integers("u8"), (std::vector<int64_t>{0, 255}));
  EXPECT_EQ(metadata.integers("i8"), (std::vector<int64_t>{-128, 127}));
  EXPECT_EQ(metadata.integers("u16"), (std::vector<int64_t>{65535}));
  EXPECT_EQ(metadata.integers("i16"), (std::vector<int64_t>{-1}));
  EXPECT_EQ(metadata.integers("u32"), (std::vector<int64_t>{4294967295}));
  EXPECT_EQ(metadata.integers("i32"), (std::vector<int64_t>{-7, 7}));
  EXPECT_EQ(metadata.integers("u64"), (std::vector<int64_t>{9}));
  EXPECT_EQ(metadata.integers("i64"), (std::vector<int64_t>{-9}));
  EXPECT_EQ(metadata.numbers("f32"), (std::vector<double>{0.5}));
  EXPECT_EQ(metadata.numbers("f64"), (std::vector<double>{0.1, 2}));
  EXPECT_EQ(metadata.booleans("bool"), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(metadata.strings("string"), (std::vector<std::string_view>{"a", "", std::string_view("\xff\0", 2)}));
  EXPECT_TRUE(metadata.has("none"));
  EXPECT_TRUE(metadata.numbers("none").empty());
}

TEST(Gguf, ReadsTensorsOfEveryFormat) {
  const std::vector<float> values = ramp(4 * 256);
  GgufBuilder builder;
  std::vector<Format> formats;
  for (const FormatInfo& info : format_table()) {
    if (!info.gguf_type) continue;
    formats.push_back(info.format);
    builder.tensor(info.name, {4, 256}, info.format, values);
  }
  const std::vector<std::byte> bytes = builder.build();
  const GgufFile file = parse_gguf(bytes, "test.gguf");
  ASSERT_EQ(file.weights.size(), formats.size());
  for (size_t i = 0; i < formats.size(); ++i) {
    const FormatInfo& info = format_info(formats[i]);
    const NamedWeight& weight = file.weights[i];
    EXPECT_EQ(weight.name, info.name);
    EXPECT_EQ(weight.view.format, info.format);
    EXPECT_EQ(weight.shape, (std::vector<int64_t>{4, 256}));
    EXPECT_EQ(weight.view.bytes(), 4u * 256 / static_cast<size_t>(info.block_weights) * info.block_bytes);
    EXPECT_EQ((weight.view.planes[0].data() - bytes.data() - static_cast<ptrdiff_t>(file.data_offset_bytes)) % 32, 0);
    std::vector<float> decoded(256);
    info.decode(weight.view, 3, 0, decoded);
    // Half a step of the coarsest, for values up to 4: Q2_K 4 / 3 / 2, NVFP4 4 / 6; and 1/16 for the steps' rounding.
    for (size_t k = 0; k < 256; ++k) EXPECT_NEAR(decoded[k], values[3 * 256 + k], 0.71) << info.name;
  }
}

TEST(Gguf, ShapesAreOutermostFirst) {
  const GgufFile file = parse(GgufBuilder()
                                  .tensor("vector", {5}, Format::kF32, ramp(5))
                                  .tensor("experts", {2, 3, 4}, Format::kF32, ramp(24))
                                  .tensor("four", {1, 2, 1, 3}, Format::kF16, ramp(6)));
  EXPECT_EQ(file.weights[0].shape, (std::vector<int64_t>{5}));
  EXPECT_EQ(file.weights[0].view.rows, 1);
  EXPECT_EQ(file.weights[0].view.columns, 5);
  EXPECT_EQ(file.weights[1].shape, (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(file.weights[1].view.rows, 6);
  EXPECT_EQ(file.weights[1].view.columns, 4);
  EXPECT_EQ(file.weights[2].view.rows, 2);
}

TEST(Gguf, HonoursVersion2AndAlignment) {
  for (const uint32_t alignment : {8u, 64u, 4096u}) {
    GgufBuilder builder;
    builder.version(2)
        .alignment(alignment)
        .tensor("a", {3}, Format::kF32, ramp(3))
        .tensor("b", {3}, Format::kF32, ramp(3));
    const GgufFile file = parse(builder);
    EXPECT_EQ(file.version, 2u);
    EXPECT_EQ(file.data_offset_bytes % alignment, 0u);
    EXPECT_EQ(file.weights[1].view.planes[0].data() - file.weights[0].view.planes[0].data(),
              static_cast<ptrdiff_t>(std::max(alignment, 16u) / alignment * alignment));
  }
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 33u, 0x80000000u}) {
    EXPECT_INVALID(GgufBuilder().key("general.alignment", alignment), "'general.alignment'");
  }
  EXPECT_INVALID(GgufBuilder().key("general.alignment", "32"), "is a string, expected an integer");
}

TEST(Gguf, AFileOfMetadataOnlyIsFine) {
  EXPECT_TRUE(parse(GgufBuilder().key("general.architecture", "llama")).weights.empty());
  EXPECT_TRUE(parse(GgufBuilder()).metadata.entries().empty());
}

TEST(Gguf, RefusesOtherVersionsAndByteOrders) {
  EXPECT_INVALID(GgufBuilder().version(1), "version 1 is not supported, only 2 and 3");
  EXPECT_INVALID(GgufBuilder().version(4), "version 4");
  EXPECT_INVALID(GgufBuilder().version(0), "version 0");
  EXPECT_INVALID(GgufBuilder().version(0x03000000), "big-endian");
  EXPECT_INVALID(GgufBuilder().version(0x02000000), "big-endian");
}

TEST(Gguf, RefusesCountsThatTheFileCannotHold) {
  for (const uint64_t count : {uint64_t{1}, uint64_t{1000}, uint64_t{1} << 40, UINT64_MAX}) {
    AllocationMeter::reset();
    EXPECT_INVALID(GgufBuilder().claim_counts(count, 0), "number of tensors");
    EXPECT_INVALID(GgufBuilder().claim_counts(0, count), "number of keys");
    EXPECT_LT(AllocationMeter::total_bytes(), 65536u);
  }
}

TEST(Gguf, RefusesListsThatTheFileCannotHold) {
  for (const uint32_t type : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 10u, 11u, 12u}) {
    for (const uint64_t count : {uint64_t{1}, uint64_t{1} << 24, uint64_t{1} << 61, uint64_t{1} << 63, UINT64_MAX}) {
      AllocationMeter::reset();
      EXPECT_INVALID(GgufBuilder().raw_list("list", type, count), "'list'");
      EXPECT_LT(AllocationMeter::total_bytes(), 65536u) << "type " << type << " count " << count;
    }
  }
}

TEST(Gguf, RefusesListsOfListsAndUnknownTypes) {
  EXPECT_INVALID(GgufBuilder().raw_list("nested", 9, 1), "list of lists");
  EXPECT_INVALID(GgufBuilder().raw_list("nested", 9, 0), "list of lists");
  EXPECT_INVALID(GgufBuilder().raw_list("odd", 13, 0), "unknown value type 13");
  EXPECT_INVALID(GgufBuilder().raw_key("odd", 13), "key 'odd': unknown value type 13");
  const std::vector<std::byte> two = {std::byte{2}};
  EXPECT_INVALID(GgufBuilder().raw_key("flag", 7, two), "a boolean is 0 or 1, not 2");
  EXPECT_INVALID(GgufBuilder().raw_list("flags", 7, 1, two), "a boolean is 0 or 1, not 2");
  EXPECT_INVALID(GgufBuilder().list("large", std::vector<uint64_t>{UINT64_MAX}), "too large");
}

TEST(Gguf, RefusesBadKeys) {
  EXPECT_INVALID(GgufBuilder().key("twice", 1).key("twice", 2), "'twice' appears twice");
  EXPECT_INVALID(GgufBuilder().key("", 1), "key 0: its name is empty");
  EXPECT_INVALID(GgufBuilder().key("a\xff", 1), "'a\\xff' is not valid UTF-8");
  EXPECT_INVALID(GgufBuilder().key(std::string(65536, 'k'), 1), "65536 bytes");
  EXPECT_EQ(parse(GgufBuilder().key(std::string(65535, 'k'), 1)).metadata.entries().size(), 1u);
}

TEST(Gguf, RefusesBadTensors) {
  const std::vector<std::byte> data(1024);
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {4}, 0, data).raw_tensor("t", {4}, 0, data), "'t': appears twice");
  EXPECT_INVALID(GgufBuilder().raw_tensor("", {4}, 0, data), "tensor 0: its name is empty");
  EXPECT_INVALID(GgufBuilder().raw_tensor("\xc0\x80", {4}, 0, data), "not valid UTF-8");
  EXPECT_INVALID(GgufBuilder().raw_tensor(std::string(1025, 'n'), {4}, 0, data), "1025 bytes");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {}, 0, data), "0 dimensions");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {1, 1, 1, 1, 1}, 0, data), "5 dimensions");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {4, 0}, 0, data), "dimension 1 is 0");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {4}, 16, data),
                 "'t': has the type IQ2_XXS, which megalith does not know");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {4}, 4, data), "type Q4_2");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {4}, 99, data), "type 99");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {48}, 2, data), "rows of 48 values, not a multiple of 32 as Q4_0 needs");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {128}, 12, data), "not a multiple of 256 as Q4_K needs");
}

TEST(Gguf, RefusesTensorsOutsideTheFile) {
  const std::vector<std::byte> data(64);
  EXPECT_EQ(parse(GgufBuilder().raw_tensor("t", {16}, 0, data)).weights.size(), 1u);
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {17}, 0, data), "'t': 17 blocks of 4 bytes");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {uint64_t{1} << 40}, 0, data), "past the end");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {uint64_t{1} << 62}, 0, data), "past the end");  // in bytes it overflows
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {uint64_t{1} << 32, uint64_t{1} << 32}, 0, data), "dimension 1");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {uint64_t{1} << 63}, 0, data), "dimension 0");
  EXPECT_INVALID(GgufBuilder().raw_tensor("t", {3, UINT64_MAX}, 0, data), "dimension 1");
  EXPECT_INVALID(GgufBuilder().raw_tensor("a", {16}, 0, data).raw_tensor_at("b", {1}, 0, 96), "'b'");
  EXPECT_INVALID(GgufBuilder().raw_tensor("a", {16}, 0, data).raw_tensor_at("b", {1}, 0, UINT64_MAX - 31), "'b'");
  EXPECT_INVALID(GgufBuilder().raw_tensor("a", {16}, 0, data).raw_tensor_at("b", {1}, 0, 16), "not a multiple of 32");
  EXPECT_INVALID(GgufBuilder().raw_tensor_at("a", {1}, 0, 0), "'a'");  // no data at all
}

TEST(Gguf, SaysWhatAnotherFileLooksLike) {
  const auto looks_like = [](const std::string& content, const std::string& part) {
    const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(content.data()), content.size());
    EXPECT_ERROR(parse_gguf(bytes, "m.gguf"), ErrorKind::kInvalidModel, "m.gguf is not a GGUF file");
    EXPECT_ERROR(parse_gguf(bytes, "m.gguf"), ErrorKind::kInvalidModel, part);
  };
  looks_like("", "empty");
  looks_like("GG", "beginning with the bytes 47 47");
  looks_like("\x02\0\0\0\0\0\0\0{}"s, "safetensors");
  looks_like("PK\x03\x04rest", "zip archive");
  looks_like("\x80\x02}q", "pickle");
  looks_like("<!DOCTYPE html><html>", "HTML");
  looks_like("<HTML>", "HTML");
  looks_like("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer");
  looks_like("tjgg\x01", "before GGUF");
  looks_like("{\"error\": 1}", "JSON");
  looks_like("\x1f\x8b\x08", "gzip");
  looks_like(std::string(100, '\0'), "zeros");
  looks_like(
      "\x7f"
      "ELF",
      "7f 45 4c 46");
}

}  // namespace
}  // namespace megalith
