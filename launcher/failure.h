#pragma once
// The errors that a user of the command line sees. A Status carries the stable id as its reason; exit code
// and advice come from the one table here.

#include <boost/json/fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::launcher {

struct ErrorKind {
  std::string_view id;
  int exit_code;
  std::string_view advice;  // what to do, one sentence; may be empty
};

// Every id. The last one, InternalError, stands for what has no entry.
std::span<const ErrorKind> error_kinds();
const ErrorKind& error_kind(std::string_view id);

// {"id","message","advice","exitCode"}, as --output json tells a failure.
boost::json::object error_json(const Status& status);

// `id` is one of the table's: another is a programmer error.
Status failure(std::string_view id, std::string message);

}  // namespace rusternetes::launcher
