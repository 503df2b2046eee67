#pragma once
// A stream of JSON objects in pieces of any size: events and progress. Sans-I/O.

#include <boost/json/fwd.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::engine {

class JsonLines {
 public:
  // Calls `on_value` for each whole object. An error when something else comes, or one is longer than 1 MiB.
  Result<void> feed(std::string_view bytes, const std::function<void(const boost::json::value&)>& on_value);

 private:
  std::string rest_;
};

}  // namespace rusternetes::engine
