#include "base/error.h"

namespace megalith {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kRuntime:
      return 1;
    case ErrorKind::kUsage:
      return 2;
    case ErrorKind::kModelNotFound:
      return 3;
    case ErrorKind::kInvalidModel:
      return 4;
    case ErrorKind::kDoesNotFit:
      return 5;
    case ErrorKind::kUnavailable:
      return 6;
    case ErrorKind::kInterrupted:
      return 130;
  }
  return 1;
}

}  // namespace megalith
