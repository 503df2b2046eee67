#pragma once
// How printers write: one call a cell, in the order of the kind's columns. A printer is a function of the
// object and now. Texts are those of kube-apiserver's printers (pkg/printers/internalversion), since scripts
// and eyes look for them.

#include <cstdint>
#include <span>
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
  void separate();
  std::string& out_;
  bool first_ = true;
};

using Printer = void (*)(Cells&, const apimachinery::Value& object, std::int64_t now_us);

// The printer of one resource; `version` is empty where all versions of the resource are printed alike.
struct PrinterEntry {
  std::string_view group, version, resource;
  Printer print;
};

// Null when the kind has none of its own.
Printer printer_for(std::string_view group, std::string_view version, std::string_view resource);

// One table a file.
std::span<const PrinterEntry> pod_printers();
std::span<const PrinterEntry> core_printers();
std::span<const PrinterEntry> volume_printers();
std::span<const PrinterEntry> event_printers();
std::span<const PrinterEntry> apps_printers();
std::span<const PrinterEntry> batch_printers();
std::span<const PrinterEntry> autoscaling_printers();
std::span<const PrinterEntry> networking_printers();
std::span<const PrinterEntry> storage_printers();
std::span<const PrinterEntry> access_printers();
std::span<const PrinterEntry> admission_printers();
std::span<const PrinterEntry> scheduling_printers();
std::span<const PrinterEntry> resource_printers();
std::span<const PrinterEntry> system_printers();

// What a row says besides its cells: the JSON array of a Pod's Completed condition, or nothing.
std::string_view pod_row_conditions(const apimachinery::Value& pod);

}  // namespace rusternetes::api_server
