#pragma once
// How printers write: one call a cell, in the order of the kind's columns. A printer is a function of the object and now.

#include <cstdint>
#include <string>
#include <string_view>

#include "apimachinery/value.h"

namespace rusternetes::api_server {

class Cells {
 public:
  explicit Cells(std::string& out) : out_(out) {}
  void text(std::string_view value);
  void number(std::int64_t value);
  void boolean(bool value);

 private:
  std::string& out_;
  bool first_ = true;
};

// "5m", "3d4h"; "<unknown>" for no time.
std::string age_of(std::int64_t since_us, std::int64_t now_us);

using Printer = void (*)(Cells&, const apimachinery::Value& object, std::int64_t now_us);
// Null when the kind has none of its own.
Printer printer_for(std::string_view group, std::string_view resource);

}  // namespace rusternetes::api_server
