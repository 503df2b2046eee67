#include "engine/log_format.h"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "engine/json_read.h"

namespace rusternetes::engine {
namespace {

Status not_a_log_line() { return internal_error("not a line of a container log"); }

Result<LogRecord> parse_cri(std::string_view line) {
  LogRecord record;
  auto next = [&line](std::string_view& field) {
    auto space = line.find(' ');
    if (space == std::string_view::npos) return false;
    field = line.substr(0, space);
    line.remove_prefix(space + 1);
    return true;
  };
  std::string_view time, stream, tags;
  if (!next(time) || !next(stream)) return not_a_log_line();
  // An empty text may come without the space that would follow the tag.
  if (!next(tags)) {
    tags = line;
    line = {};
  }
  if (stream != "stdout" && stream != "stderr") return not_a_log_line();
  record.stream = stream == "stderr" ? LogStream::err : LogStream::out;
  record.time_ns = parse_time_ns(time);
  if (record.time_ns == 0) return not_a_log_line();
  auto tag = tags.substr(0, tags.find(':'));
  if (tag != "F" && tag != "P") return not_a_log_line();
  record.ends_line = tag == "F";
  record.text = line;
  if (record.ends_line) record.text += '\n';
  return record;
}

Result<LogRecord> parse_json_file(std::string_view line) {
  RN_TRY(auto json, parse_json(line));
  LogRecord record;
  record.text = json_string(json, "log");
  record.stream = json_string(json, "stream") == "stderr" ? LogStream::err : LogStream::out;
  record.ends_line = record.text.ends_with('\n');
  record.time_ns = parse_time_ns(json_string(json, "time"));
  if (record.time_ns == 0) return not_a_log_line();
  return record;
}

}  // namespace

Result<LogRecord> parse_log_line(std::string_view line) {
  if (line.empty()) return not_a_log_line();
  return line.front() == '{' ? parse_json_file(line) : parse_cri(line);
}

}  // namespace rusternetes::engine
