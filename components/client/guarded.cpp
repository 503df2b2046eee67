#include "client/guarded.h"

#include <fmt/format.h>

namespace rusternetes::client {

std::string text_of(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is no std::exception";
  }
}

Status caught(std::exception_ptr error, const TaskGroup& tasks) {
  if (tasks.is_stopping()) std::rethrow_exception(error);
  return internal_error(fmt::format("an exception: {}", text_of(error)));
}

}  // namespace rusternetes::client
