#include "api-server/authn/token_file.h"

#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "api-server/authn/openssl.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

namespace {

using Record = std::vector<std::string>;

// RFC 4180, with bare line feeds as well.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  // Nothing at the end.
  Result<std::optional<Record>> next() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) step();
    if (at_ == text_.size()) return std::optional<Record>{};
    record_line_ = line_;
    Record record;
    while (true) {
      std::string field;
      if (at_ < text_.size() && text_[at_] == '"') {
        RN_TRY(field, quoted());
      } else {
        while (at_ < text_.size() && !ends_field(text_[at_])) {
          if (text_[at_] == '"') return error("bare \" in non-quoted field");
          field += text_[at_];
          step();
        }
      }
      record.push_back(std::move(field));
      if (at_ == text_.size() || text_[at_] != ',') break;
      step();
    }
    return std::optional<Record>(std::move(record));
  }
  int record_line() const { return record_line_; }

 private:
  static bool ends_field(char c) { return c == ',' || c == '\n' || c == '\r'; }
  void step() {
    if (text_[at_] == '\n') ++line_;
    ++at_;
  }
  Status error(std::string_view what) const {
    return apimachinery::bad_request("line " + std::to_string(line_) + ": " + std::string(what));
  }
  Result<std::string> quoted() {
    std::string field;
    step();
    while (at_ < text_.size()) {
      if (text_[at_] != '"') {
        field += text_[at_];
        step();
        continue;
      }
      step();
      if (at_ == text_.size() || ends_field(text_[at_])) return field;
      if (text_[at_] != '"') return error("extraneous or missing \" in quoted-field");
      field += '"';
      step();
    }
    return error("extraneous or missing \" in quoted-field");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1, record_line_ = 1;
};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t start = 0;;) {
    const std::size_t comma = text.find(',', start);
    out.emplace_back(text.substr(start, comma == std::string_view::npos ? comma : comma - start));
    if (comma == std::string_view::npos) return out;
    start = comma + 1;
  }
}

}  // namespace

Result<TokenFile> TokenFile::parse(std::string_view text, std::string_view name) {
  TokenFile file;
  CsvReader reader(text);
  while (true) {
    auto next = reader.next();
    if (!next)
      return apimachinery::bad_request("token file '" + std::string(name) + "': " + next.error().message);
    if (!*next) return file;
    const Record& record = **next;
    if (record.size() < 3)
      return apimachinery::bad_request("token file '" + std::string(name) +
                                       "' must have at least 3 columns (token, user name, user uid), found " +
                                       std::to_string(record.size()) + " in line " +
                                       std::to_string(reader.record_line()));
    if (record[0].empty()) continue;
    User user;
    user.name = record[1];
    user.uid = record[2];
    if (record.size() >= 4) user.groups = split(record[3]);
    file.users_.insert_or_assign(sha256(record[0]), std::move(user));
  }
}

Result<TokenFile> TokenFile::load(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return errno_error("open " + path, errno);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) return errno_error("read " + path, errno);
  return parse(text, path);
}

const User* TokenFile::find(std::string_view token) const {
  const auto found = users_.find(sha256(token));
  return found == users_.end() ? nullptr : &found->second;
}

}  // namespace rusternetes::api_server
