#pragma once
// The one exception type of megalith. Library code neither prints nor exits: it throws Error with a kind, a message
// that names the file, tensor, field or option, and what to do about it.
#include <stdexcept>
#include <string>

namespace megalith {

enum class ErrorKind {
  kRuntime,        // exit 1: failed while running
  kUsage,          // exit 2: wrong usage
  kModelNotFound,  // exit 3
  kInvalidModel,   // exit 4: model file invalid or unsupported
  kDoesNotFit,     // exit 5: does not fit in memory
  kUnavailable,    // exit 6: port or server not available
  kInterrupted,    // exit 130
};

/// The exit code that the command line documents for a kind of error (DESIGN.md section 7).
int exit_code(ErrorKind kind);

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace megalith
