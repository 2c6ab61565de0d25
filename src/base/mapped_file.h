#pragma once
// A read-only file mapping that survives the file being truncated underneath it.
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace megalith {

/// Maps a whole file. Views into it stay valid as long as the object lives.
///
/// If the file is truncated while mapped, touching the lost pages would raise SIGBUS and kill the process. A handler,
/// installed with the first mapping, puts zero pages there instead and marks the mapping damaged; whoever computed from
/// it must look at damaged() before using the result. A SIGBUS outside all mappings goes to the previous handler.
class MappedFile {
 public:
  /// Throws kModelNotFound if the file does not exist, kInvalidModel if it cannot be read or is empty or a directory.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const;
  /// True once a read met pages that the file no longer has.
  bool damaged() const;

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
  int registry_slot_ = -1;
};

}  // namespace megalith
