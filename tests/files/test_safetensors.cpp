#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/expect_error.h"
#include "files/allocation_meter.h"
#include "files/safetensors.h"
#include "files/safetensors_builder.h"

namespace megalith {
namespace {

std::vector<SafetensorsTensor> parse(const std::vector<std::byte>& bytes) {
  return parse_safetensors(bytes, "m.safetensors");
}

std::vector<std::byte> zeros(size_t n_bytes) { return std::vector<std::byte>(n_bytes); }

/// A file with this header and so many bytes of data.
std::vector<std::byte> file_of(std::string_view header, size_t data_bytes = 0) {
  return SafetensorsBuilder().raw_header(header).data(zeros(data_bytes)).build();
}

TEST(Safetensors, ReadsTensorsOfEveryKind) {
  const std::vector<std::byte> file = SafetensorsBuilder()
                                          .entry(R"("__metadata__":{"format":"pt","text":"{\"a\": [1]}"})")
                                          .tensor("a", {2, 3}, Format::kF32, std::vector<float>{1, 2, 3, 4, 5, 6})
                                          .tensor("b.weight", {4}, Format::kBF16, std::vector<float>{1, 2, 3, 4})
                                          .raw_tensor("scalar", {}, "I64", std::vector<int64_t>{7})
                                          .raw_tensor("empty", {0, 5}, "F16", zeros(0))
                                          .raw_tensor("halves", {2, 3}, "F4", zeros(3))
                                          .raw_tensor("foreign", {3}, "Q7", zeros(11))
                                          .raw_tensor("na\\u00efve", {1}, "U8", zeros(1))
                                          .build();
  const std::vector<SafetensorsTensor> tensors = parse(file);
  ASSERT_EQ(tensors.size(), 7u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].dtype, "F32");
  EXPECT_EQ(tensors[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors[0].bytes.size(), 24u);
  float last = 0;
  std::memcpy(&last, tensors[0].bytes.data() + 20, 4);
  EXPECT_EQ(last, 6.0f);
  EXPECT_EQ(tensors[1].bytes.data(), tensors[0].bytes.data() + 24);
  EXPECT_TRUE(tensors[2].shape.empty());
  EXPECT_EQ(tensors[3].bytes.size(), 0u);
  EXPECT_EQ(tensors[5].bytes.size(), 11u) << "of a dtype that nobody knows, only the offsets can be checked";
  EXPECT_EQ(tensors[6].name, "na\xc3\xafve");
}

TEST(Safetensors, TheHeaderNeedNotBeInTheOrderOfTheData) {
  const std::vector<SafetensorsTensor> tensors =
      parse(file_of(R"({"b":{"data_offsets":[2,6],"shape":[4],"dtype":"U8"},)"
                    R"("a":{"shape":[1],"dtype":"F16","data_offsets":[0,2]}}   )",
                    6));
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "b");
  EXPECT_EQ(tensors[0].bytes.data(), tensors[1].bytes.data() + 2);
  EXPECT_TRUE(parse(file_of("{}")).empty());
}

TEST(Safetensors, RefusesWhatIsNoSuchFile) {
  EXPECT_ERROR(parse(zeros(5)), ErrorKind::kInvalidModel, "m.safetensors: is not a safetensors file; it looks like");
  EXPECT_ERROR(parse(zeros(0)), ErrorKind::kInvalidModel, "empty");
  std::vector<std::byte> file = file_of("{}");
  file[7] = std::byte{1};
  EXPECT_ERROR(parse(file), ErrorKind::kInvalidModel, "a header of 72057594037927938 bytes");
  file[7] = std::byte{0};
  file[0] = std::byte{3};
  EXPECT_ERROR(parse(file), ErrorKind::kInvalidModel, "its header has 3 bytes, but the file ends after 2");
}

TEST(Safetensors, RefusesHeadersThatAreWrong) {
  const std::string sound = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  for (
      const auto& [header, cause] : std::vector<std::pair<std::string, std::string>>{
          {R"({"a":1})", "tensor 'a': a number where the format has none"},
          {R"({"a":null})", "null where"},
          {R"({"a":[]})", "a list where"},
          {R"({"a":"x"})", "a text where"},
          {R"({"a":{}})", "tensor 'a': one of dtype, shape and data_offsets is missing"},
          {R"({"a":{"dtype":"F32","shape":[2]}})", "is missing"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", "data_offsets: fewer than two offsets"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}})", "more than two offsets"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,-8]}})", "-8, which is negative"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8.0]}})", "no whole number"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e1]}})", "no whole number"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}})", "which is too large"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999]}})", "no whole number"},
          {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", "shape: -2, which is negative"},
          {R"({"a":{"dtype":"F32","shape":[true],"data_offsets":[0,8]}})", "a boolean where"},
          {R"({"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", "a list where"},
          {R"({"a":{"dtype":"F32","shape":{},"data_offsets":[0,8]}})", "an object where"},
          {R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", "dtype: a number where"},
          {R"({"a":{"dtype":"","shape":[2],"data_offsets":[0,8]}})", "the dtype ''"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", "the unknown field 'more'"},
          {R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "dtype: appears twice"},
          {"{" + sound + "," + sound + "}", "tensor 'a': appears twice"},
          {R"({"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "a name of 0 bytes"},
          {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "has 3 elements of F32, but 8 bytes"},
          {R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,8]}})", "has 0 elements of F32, but 8 bytes"},
          {R"({"a":{"dtype":"F4","shape":[17],"data_offsets":[0,8]}})", "has 17 elements of F4"},
          {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", "too many elements"},
          {R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}})", "elements of F32, but 8"},
          {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}})",
           "more than 16 dimensions"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "ends at byte 0 before it begins at 8"},
          {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", "ends at byte 12, but only 8 follow"},
          {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "its tensors take 4 bytes, but 8 follow"},
          {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "begins at byte 4, but the one before"},
          {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
           "neither overlaps nor holes"},
          {R"({"__metadata__":{"a":1}})", "a number where"},
          {R"({"__metadata__":{"a":{}}})", "an object where"},
          {R"({"__metadata__":"a"})", "a text where"},
          {"{" + sound, "is no valid JSON at byte 54"},
          {"{" + sound + "} x", "is no valid JSON"},
          {"{" + sound + "}{}", "is no valid JSON"},
          {"{\"a\xff\":1}", "is no valid JSON"},
          {std::string("{") + sound + "}" + std::string(1, '\0'), "is no valid JSON"},
      }) {
    EXPECT_ERROR(parse(file_of(header, 8)), ErrorKind::kInvalidModel, cause);
  }
  EXPECT_EQ(parse(file_of("{" + sound + "}", 8)).size(), 1u);
}

TEST(Safetensors, HostileHeadersCostLittle) {
  const std::string deep(100000, '[');
  std::string objects;
  for (int i = 0; i < 20000; ++i) objects += "{\"a\":";
  std::string shape = R"({"a":{"dtype":"F32","data_offsets":[0,8],"shape":[1)";
  for (int i = 0; i < 50000; ++i) shape += ",1";
  const std::string name = R"({")" + std::string(100000, 'n') + R"(":{}})";
  for (const std::string& header : {"{\"a\":" + deep, objects, shape + "]}}", name, "{\"a\":{\"dtype\":" + deep}) {
    const std::vector<std::byte> file = file_of(header, 8);
    AllocationMeter::reset();
    EXPECT_ERROR(parse(file), ErrorKind::kInvalidModel, "m.safetensors");
    EXPECT_LT(AllocationMeter::total_bytes(), 8 * file.size() + 16384) << header.substr(0, 40);
  }
}

TEST(Safetensors, AreRecognised) {
  EXPECT_TRUE(looks_like_safetensors(file_of("{}")));
  EXPECT_FALSE(looks_like_safetensors(zeros(100)));
  EXPECT_FALSE(looks_like_safetensors(zeros(3)));
}

// ---- Damage ---------------------------------------------------------------------------------------------------------

SafetensorsBuilder small_file() {
  SafetensorsBuilder builder;
  builder.entry(R"("__metadata__":{"format":"pt"})")
      .tensor("model.embed_tokens.weight", {4, 8}, Format::kF32, std::vector<float>(32, 1.5f))
      .tensor("model.norm.weight", {8}, Format::kBF16, std::vector<float>(8, 0.5f))
      .raw_tensor("lm_head.weight", {3, 2}, "U32", std::vector<uint32_t>(6, 77))
      .raw_tensor("lm_head.scales", {3, 1}, "F16", std::vector<uint16_t>(3, 77))
      .raw_tensor("positions", {2}, "I64", std::vector<int64_t>(2, 1));
  return builder;
}

/// Parses a copy that ends where the allocation ends. True if it was accepted.
bool parses_or_is_refused(std::span<const std::byte> content) {
  const auto copy = std::make_unique<std::byte[]>(content.size());
  std::memcpy(copy.get(), content.data(), content.size());
  const std::span<const std::byte> bytes(copy.get(), content.size());
  AllocationMeter::reset();
  try {
    const std::vector<SafetensorsTensor> tensors = parse_safetensors(bytes, "damaged.safetensors");
    EXPECT_LT(AllocationMeter::total_bytes(), 64 * content.size());
    for (const SafetensorsTensor& tensor : tensors) {
      EXPECT_GE(tensor.bytes.data(), bytes.data());
      EXPECT_LE(tensor.bytes.data() + tensor.bytes.size(), bytes.data() + bytes.size());
      volatile uint8_t sink = 0;
      for (const std::byte byte : tensor.bytes) sink = static_cast<uint8_t>(sink ^ static_cast<uint8_t>(byte));
    }
    return true;
  } catch (const Error& error) {
    EXPECT_LT(AllocationMeter::total_bytes(), 64 * content.size() + 16384) << error.what();
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel) << error.what();
    EXPECT_NE(std::string(error.what()).find("damaged.safetensors"), std::string::npos) << error.what();
    return false;
  }
}

TEST(DamagedSafetensors, EveryTruncationIsRefused) {
  const std::vector<std::byte> file = small_file().build();
  EXPECT_TRUE(parses_or_is_refused(file));
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parses_or_is_refused(std::span(file).first(size))) << "cut at " << size << " of " << file.size();
  }
}

TEST(DamagedSafetensors, EveryFlippedBitOfTheHeaderIsRefusedOrHarmless) {
  const SafetensorsBuilder builder = small_file();
  std::vector<std::byte> file = builder.build();
  size_t refused = 0;
  for (size_t at = 0; at < builder.header_bytes(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      file[at] ^= static_cast<std::byte>(1 << bit);
      refused += parses_or_is_refused(file) ? 0 : 1;
      file[at] ^= static_cast<std::byte>(1 << bit);
    }
  }
  EXPECT_GT(refused, builder.header_bytes());
}

TEST(DamagedSafetensors, EveryByteOfTheHeaderMayBecomeAnother) {
  const SafetensorsBuilder builder = small_file();
  std::vector<std::byte> file = builder.build();
  for (size_t at = 0; at < builder.header_bytes(); ++at) {
    const std::byte original = file[at];
    for (const char value : std::string_view("\0\x01\x7f\xff{}[]\",:0159-e.\\", 20)) {
      file[at] = static_cast<std::byte>(value);
      parses_or_is_refused(file);
    }
    file[at] = original;
  }
}

}  // namespace
}  // namespace megalith
