#pragma once
// Builds small safetensors files for tests: sound ones, and ones whose header lies.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/format_table.h"

namespace megalith {

class SafetensorsBuilder {
 public:
  /// A tensor of a float format, encoded by the format table.
  SafetensorsBuilder& tensor(std::string_view name, const std::vector<int64_t>& shape, Format format,
                             std::span<const float> values) {
    const FormatInfo& info = format_info(format);
    std::vector<std::byte> bytes(values.size() * static_cast<size_t>(info.block_bytes));
    info.encode(values, bytes);
    return raw_tensor(name, shape, info.safetensors_type, bytes);
  }
  /// A tensor of any dtype; its bytes follow those of the one before.
  SafetensorsBuilder& raw_tensor(std::string_view name, const std::vector<int64_t>& shape, std::string_view dtype,
                                 std::span<const std::byte> bytes) {
    std::string sizes;
    for (const int64_t size : shape) sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
    entry("\"" + std::string(name) + "\":{\"dtype\":\"" + std::string(dtype) + "\",\"shape\":[" + sizes +
          "],\"data_offsets\":[" + std::to_string(data_.size()) + "," + std::to_string(data_.size() + bytes.size()) +
          "]}");
    return data(bytes);
  }
  template <typename T>
  SafetensorsBuilder& raw_tensor(std::string_view name, const std::vector<int64_t>& shape, std::string_view dtype,
                                 const std::vector<T>& values) {
    return raw_tensor(name, shape, dtype, std::as_bytes(std::span(values)));
  }
  /// A member of the header as it is written.
  SafetensorsBuilder& entry(std::string_view json) {
    header_ += (header_.empty() ? "" : ",") + std::string(json);
    return *this;
  }
  /// Bytes after the header that no entry made by this call names.
  SafetensorsBuilder& data(std::span<const std::byte> bytes) {
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  /// The header in whole, instead of its entries.
  SafetensorsBuilder& raw_header(std::string_view json) {
    raw_header_ = json;
    return *this;
  }

  /// Bytes before the data, the eight of the size among them.
  size_t header_bytes() const { return 8 + header().size(); }

  std::vector<std::byte> build() const {
    const std::string text = header();
    const uint64_t size = text.size();
    std::vector<std::byte> file(8 + text.size());
    std::memcpy(file.data(), &size, sizeof(size));
    std::memcpy(file.data() + 8, text.data(), text.size());
    file.insert(file.end(), data_.begin(), data_.end());
    return file;
  }

 private:
  std::string header() const {
    if (!raw_header_.empty()) return raw_header_;
    std::string text = "{" + header_ + "}";
    text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data is aligned, as the format's library does
    return text;
  }

  std::string header_;
  std::string raw_header_;
  std::vector<std::byte> data_;
};

}  // namespace megalith
