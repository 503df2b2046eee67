#include "base/status.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rusternetes {

Status internal_error(std::string message) { return Status{500, "InternalError", std::move(message), nullptr}; }

Status errno_error(std::string_view what, int error_number) {
  return internal_error(fmt::format("{}: {}", what, std::strerror(error_number)));
}

void assertion_failed(const char* condition, const char* message, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s: %s\n", file, line, condition, message);
  std::abort();
}

}  // namespace rusternetes
