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
/// A cut within the last page raises no SIGBUS, only zeros, so the file stays open and damaged() asks for its size.
class MappedFile {
 public:
  /// Throws kModelNotFound if the file does not exist, kInvalidModel if it cannot be read or is empty or a directory.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const;
  /// True once a read met pages that the file no longer has, or if the file is now shorter than when it was mapped; it
  /// then stays true. Costs one fstat: call it per step, not per row.
  bool damaged() const;

 private:
  class FileDescriptor {
   public:
    explicit FileDescriptor(int value) : value_(value) {}
    ~FileDescriptor();
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    int value() const { return value_; }

   private:
    int value_;
  };

  std::string path_;
  FileDescriptor file_;
  const std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
  int registry_slot_ = -1;
};

}  // namespace megalith
