#pragma once
// Writes JSON text front to back. Commas come by themselves: one is due unless something has just been
// opened.

#include <string>
#include <string_view>

#include "apimachinery/json_text.h"

namespace rusternetes::api_server::openapi {

class JsonWriter {
 public:
  void open(char bracket) {
    separate();
    out_ += bracket;
  }
  void close(char bracket) { out_ += bracket; }
  void key(std::string_view name) {
    separate();
    apimachinery::append_json_string(out_, name);
    out_ += ':';
  }
  void text(std::string_view value) {
    separate();
    apimachinery::append_json_string(out_, value);
  }
  // Text that is JSON already.
  void raw(std::string_view json) {
    separate();
    out_ += json;
  }
  void member(std::string_view name, std::string_view value) {
    key(name);
    text(value);
  }
  void member_raw(std::string_view name, std::string_view json) {
    key(name);
    raw(json);
  }
  template <class Words>
  void member_list(std::string_view name, const Words& words) {
    key(name);
    open('[');
    for (const auto& word : words) text(word);
    close(']');
  }
  std::string take() { return std::move(out_); }

 private:
  void separate() {
    if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') out_ += ',';
  }
  std::string out_;
};

}  // namespace rusternetes::api_server::openapi
