#include "engine/json_lines.h"

#include <boost/json/value.hpp>

#include "engine/json_read.h"

namespace rusternetes::engine {

constexpr std::size_t kLineLimit = 1 << 20;

Result<void> JsonLines::feed(std::string_view bytes,
                             const std::function<void(const boost::json::value&)>& on_value) {
  rest_.append(bytes);
  std::size_t begin = 0;
  // Docker's image routes write the objects without a newline between some of them ("}\r\n", but also "}{"),
  // so a line may hold several; an object's end is found by its braces outside of strings.
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < rest_.size(); ++i) {
    char c = rest_[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{') {
      if (depth++ == 0) begin = i;
    }
    if (c == '}' && depth > 0 && --depth == 0) {
      RN_TRY(auto value, parse_json(std::string_view(rest_).substr(begin, i + 1 - begin)));
      on_value(value);
      begin = i + 1;
    }
    if (depth == 0 && c != '}' && c != '\r' && c != '\n' && c != ' ' && c != '\t')
      return internal_error("the engine's stream is not JSON");
  }
  rest_.erase(0, begin);
  if (rest_.size() > kLineLimit) return internal_error("a line of the engine's stream exceeds 1 MiB");
  return {};
}

}  // namespace rusternetes::engine
