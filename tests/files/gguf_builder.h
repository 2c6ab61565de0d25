#pragma once
// Builds small GGUF files for tests: sound ones, and ones that are broken in a chosen place.
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "formats/format_table.h"

namespace megalith {

class GgufBuilder {
 public:
  // Value types of docs/gguf.md.
  static constexpr uint32_t kString = 8;
  static constexpr uint32_t kArray = 9;
  template <typename T>
  static constexpr uint32_t type_id() {
    if constexpr (std::is_same_v<T, uint8_t>) return 0;
    if constexpr (std::is_same_v<T, int8_t>) return 1;
    if constexpr (std::is_same_v<T, uint16_t>) return 2;
    if constexpr (std::is_same_v<T, int16_t>) return 3;
    if constexpr (std::is_same_v<T, uint32_t>) return 4;
    if constexpr (std::is_same_v<T, int32_t>) return 5;
    if constexpr (std::is_same_v<T, float>) return 6;
    if constexpr (std::is_same_v<T, bool>) return 7;
    if constexpr (std::is_same_v<T, uint64_t>) return 10;
    if constexpr (std::is_same_v<T, int64_t>) return 11;
    if constexpr (std::is_same_v<T, double>) return 12;
  }

  GgufBuilder& version(uint32_t value) {
    version_ = value;
    return *this;
  }
  /// What the header claims, instead of the true counts.
  GgufBuilder& claim_counts(uint64_t n_tensors, uint64_t n_keys) {
    claimed_tensors_ = n_tensors;
    claimed_keys_ = n_keys;
    claims_ = true;
    return *this;
  }

  /// A key of any scalar type: the type of the argument is the type in the file.
  template <typename T>
    requires std::is_arithmetic_v<T>
  GgufBuilder& key(std::string_view name, T value) {
    begin_key(name, type_id<T>());
    put(keys_, value);
    return *this;
  }
  GgufBuilder& key(std::string_view name, std::string_view value) {
    begin_key(name, kString);
    put_string(keys_, value);
    return *this;
  }
  GgufBuilder& key(std::string_view name, const char* value) { return key(name, std::string_view(value)); }
  template <typename T>
    requires std::is_arithmetic_v<T>
  GgufBuilder& list(std::string_view name, const std::vector<T>& values) {
    begin_list(name, type_id<T>(), values.size());
    for (const T value : values) put(keys_, value);
    return *this;
  }
  GgufBuilder& list(std::string_view name, const std::vector<std::string>& values) {
    begin_list(name, kString, values.size());
    for (const std::string& value : values) put_string(keys_, value);
    return *this;
  }
  /// A list whose type and length may be lies; `content` follows them.
  GgufBuilder& raw_list(std::string_view name, uint32_t type, uint64_t count, std::span<const std::byte> content = {}) {
    begin_list(name, type, count);
    append(keys_, content.data(), content.size());
    return *this;
  }
  /// A key of any type, even an unknown one.
  GgufBuilder& raw_key(std::string_view name, uint32_t type, std::span<const std::byte> content = {}) {
    begin_key(name, type);
    append(keys_, content.data(), content.size());
    return *this;
  }
  GgufBuilder& alignment(uint32_t bytes) {
    alignment_bytes_ = bytes;
    return key("general.alignment", bytes);
  }

  /// A tensor of `shape` (outermost first), encoded by the format table.
  GgufBuilder& tensor(std::string_view name, const std::vector<int64_t>& shape, Format format,
                      std::span<const float> values) {
    const FormatInfo& info = format_info(format);
    std::vector<std::byte> bytes(values.size() / static_cast<size_t>(info.block_weights) *
                                 static_cast<size_t>(info.block_bytes));
    info.encode(values, bytes);
    std::vector<uint64_t> dimensions(shape.rbegin(), shape.rend());
    return raw_tensor(name, dimensions, *info.gguf_type, bytes);
  }
  /// A tensor as the file stores it: innermost dimension first, any type id.
  GgufBuilder& raw_tensor(std::string_view name, const std::vector<uint64_t>& dimensions, uint32_t type,
                          std::span<const std::byte> bytes) {
    data_.resize((data_.size() + alignment_bytes_ - 1) / alignment_bytes_ * alignment_bytes_);
    raw_tensor_at(name, dimensions, type, data_.size());
    append(data_, bytes.data(), bytes.size());
    return *this;
  }
  /// A tensor at an offset of the data that is its caller's business.
  GgufBuilder& raw_tensor_at(std::string_view name, const std::vector<uint64_t>& dimensions, uint32_t type,
                             uint64_t offset) {
    put_string(tensors_, name);
    put(tensors_, static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t dimension : dimensions) put(tensors_, dimension);
    put(tensors_, type);
    put(tensors_, offset);
    ++n_tensors_;
    return *this;
  }

  /// Bytes before the padding and the data.
  size_t header_bytes() const { return 24 + keys_.size() + tensors_.size(); }

  std::vector<std::byte> build() const {
    std::vector<std::byte> file;
    put(file, uint32_t{0x46554747});  // "GGUF"
    put(file, version_);
    put(file, claims_ ? claimed_tensors_ : n_tensors_);
    put(file, claims_ ? claimed_keys_ : n_keys_);
    append(file, keys_.data(), keys_.size());
    append(file, tensors_.data(), tensors_.size());
    if (n_tensors_ > 0) file.resize((file.size() + alignment_bytes_ - 1) / alignment_bytes_ * alignment_bytes_);
    append(file, data_.data(), data_.size());
    return file;
  }

 private:
  static void append(std::vector<std::byte>& out, const void* bytes, size_t n_bytes) {
    const size_t at = out.size();
    out.resize(at + n_bytes);
    if (n_bytes > 0) std::memcpy(out.data() + at, bytes, n_bytes);
  }
  template <typename T>
  static void put(std::vector<std::byte>& out, T value) {
    append(out, &value, sizeof(value));
  }
  static void put_string(std::vector<std::byte>& out, std::string_view text) {
    put(out, static_cast<uint64_t>(text.size()));
    append(out, text.data(), text.size());
  }
  void begin_key(std::string_view name, uint32_t type) {
    put_string(keys_, name);
    put(keys_, type);
    ++n_keys_;
  }
  void begin_list(std::string_view name, uint32_t type, uint64_t count) {
    begin_key(name, kArray);
    put(keys_, type);
    put(keys_, count);
  }

  uint32_t version_ = 3;
  uint64_t n_tensors_ = 0;
  uint64_t n_keys_ = 0;
  bool claims_ = false;
  uint64_t claimed_tensors_ = 0;
  uint64_t claimed_keys_ = 0;
  uint64_t alignment_bytes_ = 32;
  std::vector<std::byte> keys_;
  std::vector<std::byte> tensors_;
  std::vector<std::byte> data_;
};

}  // namespace megalith
