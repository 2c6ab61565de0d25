// A small file, cut at every byte and flipped at every bit: an error with a sentence, or views that lie in the file.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "files/allocation_meter.h"
#include "files/gguf.h"
#include "files/gguf_builder.h"

namespace megalith {
namespace {

GgufBuilder small_model() {
  std::vector<float> values(512);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 37) - 18.0f;
  const std::span<const float> all(values);
  GgufBuilder builder;
  builder.key("general.architecture", "llama")
      .key("llama.block_count", uint32_t{2})
      .key("llama.rope.freq_base", 10000.0f)
      .key("flag", true)
      .key("large", uint64_t{77})
      .list("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "\xc4\xa0the"})
      .list("tokenizer.ggml.scores", std::vector<float>{0.0f, -1.0f, -2.0f, -3.0f})
      .list("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 1, 3})
      .list("flags", std::vector<bool>{true, false})
      .tensor("token_embd.weight", {2, 256}, Format::kQ4_K, all)
      .tensor("output.weight", {4, 32}, Format::kQ4_1, all.first(128))
      .tensor("output_norm.weight", {7}, Format::kF32, all.first(7));
  return builder;
}

bool lies_in(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void touch(std::string_view text, std::span<const std::byte> bytes) {
  if (text.empty()) return;
  ASSERT_TRUE(lies_in({reinterpret_cast<const std::byte*>(text.data()), text.size()}, bytes));
}

/// Reads every byte that the parsed file points to, so that a sanitizer sees a view that leaves the file.
void touch_everything(const GgufFile& file, std::span<const std::byte> bytes) {
  for (const NamedWeight& weight : file.weights) {
    const FormatInfo& info = format_info(weight.view.format);
    ASSERT_TRUE(lies_in(weight.view.planes[0], bytes)) << weight.name;
    ASSERT_EQ(weight.view.bytes() / static_cast<uint64_t>(info.block_bytes) * static_cast<uint64_t>(info.block_weights),
              static_cast<uint64_t>(weight.view.rows * weight.view.columns));
    std::vector<float> row(static_cast<size_t>(weight.view.columns));
    for (int64_t r = 0; r < weight.view.rows; ++r) info.decode(weight.view, r, 0, row);
  }
  for (const Metadata::Entry& entry : file.metadata.entries()) {
    if (const auto* text = std::get_if<std::string_view>(&entry.value)) touch(*text, bytes);
    if (const auto* list = std::get_if<std::vector<std::string_view>>(&entry.value)) {
      for (const std::string_view text : *list) touch(text, bytes);
    }
  }
}

/// Parses a copy that ends where the allocation ends. True if it was accepted.
bool parses_or_is_refused(std::span<const std::byte> content) {
  const auto copy = std::make_unique<std::byte[]>(content.size());
  std::memcpy(copy.get(), content.data(), content.size());
  const std::span<const std::byte> bytes(copy.get(), content.size());
  AllocationMeter::reset();
  try {
    const GgufFile file = parse_gguf(bytes, "damaged.gguf");
    EXPECT_LT(AllocationMeter::total_bytes(), 64 * content.size());
    touch_everything(file, bytes);
    return true;
  } catch (const Error& error) {
    EXPECT_LT(AllocationMeter::total_bytes(), 64 * content.size() + 16384) << error.what();
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidModel) << error.what();
    EXPECT_NE(std::string(error.what()).find("damaged.gguf"), std::string::npos) << error.what();
    return false;
  }
}

TEST(DamagedGguf, TheWholeFileIsSound) { EXPECT_TRUE(parses_or_is_refused(small_model().build())); }

TEST(DamagedGguf, EveryTruncationIsRefused) {
  const std::vector<std::byte> file = small_model().build();
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parses_or_is_refused(std::span(file).first(size))) << "cut at " << size << " of " << file.size();
  }
}

TEST(DamagedGguf, EveryFlippedBitOfTheHeaderIsRefusedOrHarmless) {
  const GgufBuilder builder = small_model();
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

TEST(DamagedGguf, EveryByteOfTheHeaderMayBecomeAnyExtreme) {
  const GgufBuilder builder = small_model();
  std::vector<std::byte> file = builder.build();
  for (size_t at = 0; at < builder.header_bytes(); ++at) {
    const std::byte original = file[at];
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff}) {
      file[at] = static_cast<std::byte>(value);
      parses_or_is_refused(file);
    }
    file[at] = original;
  }
}

TEST(DamagedGguf, EveryFieldOfEightBytesMayBecomeHuge) {
  const GgufBuilder builder = small_model();
  const std::vector<std::byte> file = builder.build();
  for (const uint64_t value : {uint64_t{0}, uint64_t{1} << 31, uint64_t{1} << 32, uint64_t{1} << 62, uint64_t{1} << 63,
                               UINT64_MAX, UINT64_MAX - 31}) {
    for (size_t at = 0; at + sizeof(value) <= builder.header_bytes(); ++at) {
      std::vector<std::byte> changed = file;
      std::memcpy(changed.data() + at, &value, sizeof(value));
      parses_or_is_refused(changed);
    }
  }
}

}  // namespace
}  // namespace megalith
