#include "http/streams/remote_status.h"

#include <fmt/format.h>

#include <charconv>

#include "http/header_text.h"

namespace rusternetes::http {
namespace {

constexpr std::size_t kObjectLimit = 1024;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out.append(1, '\\').append(1, c);
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + "\"";
}

// One flat object of numbers: {"Width":80,"Height":24}. Names compare without case, as Go's do; others are
// skipped.
std::optional<TerminalSize> parse_size(std::string_view object) {
  TerminalSize size;
  object = object.substr(1, object.size() - 2);
  while (!object.empty()) {
    const auto comma = object.find(',');
    const std::string_view pair = object.substr(0, comma);
    object = comma == std::string_view::npos ? std::string_view() : object.substr(comma + 1);
    const auto colon = pair.find(':');
    const auto first = pair.find('"');
    const auto last = pair.rfind('"');
    if (colon == std::string_view::npos || first == std::string_view::npos || last <= first || last > colon)
      return {};
    std::string_view number = pair.substr(colon + 1);
    while (!number.empty() && (number.front() == ' ' || number.front() == '\t')) number.remove_prefix(1);
    while (!number.empty() && (number.back() == ' ' || number.back() == '\t')) number.remove_suffix(1);
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc{} || end != number.data() + number.size()) return {};
    const std::string name = lower_case(pair.substr(first + 1, last - first - 1));
    if (name == "width") size.width = value;
    if (name == "height") size.height = value;
  }
  return size;
}

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

RemoteStatus RemoteStatus::success() { return {R"({"metadata":{},"status":"Success"})", {}}; }

RemoteStatus RemoteStatus::exited(int exit_code, std::string_view command) {
  if (exit_code == 0) return success();
  RemoteStatus out;
  out.text =
      fmt::format("command terminated with non-zero exit code: error executing command [{}], exit code {}",
                  command, exit_code);
  out.json = fmt::format(R"({{"metadata":{{}},"status":"Failure","message":{},"reason":"NonZeroExitCode",)"
                         R"("details":{{"causes":[{{"reason":"ExitCode","message":"{}"}}]}}}})",
                         quoted(out.text), exit_code);
  return out;
}

RemoteStatus RemoteStatus::failed(std::string_view what) {
  RemoteStatus out;
  out.text = fmt::format("Internal error occurred: {}", what);
  out.json = fmt::format(R"({{"metadata":{{}},"status":"Failure","message":{},"reason":"InternalError",)"
                         R"("details":{{"causes":[{{"message":{}}}]}},"code":500}})",
                         quoted(out.text), quoted(what));
  return out;
}

std::optional<TerminalSize> ResizeDecoder::feed(std::string_view bytes) {
  std::optional<TerminalSize> newest;
  for (const char c : bytes) {
    if (is_broken_) break;
    if (object_.empty() && is_blank(c)) continue;
    object_ += c;
    is_broken_ = object_.front() != '{' || object_.size() > kObjectLimit;
    if (c != '}') continue;
    const auto size = parse_size(object_);
    is_broken_ = !size;
    if (size) newest = size;
    object_.clear();
  }
  return newest;
}

}  // namespace rusternetes::http
