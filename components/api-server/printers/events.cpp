// Events of both groups: the fields have other names, the cells are the same.

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/events_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

struct EventFields {
  std::string_view name, type, reason, message, reporting_controller, reporting_instance;
  core_v1::ObjectReference about;
  core_v1::EventSource source;
  std::int64_t first_us, last_us, event_us, count;
  bool has_series;
  std::int64_t series_last_us, series_count;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\n\v\f\r";
  const auto begin = text.find_first_not_of(space);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

std::string source_text(const EventFields& event) {
  const auto component =
      event.source.component().empty() ? event.reporting_controller : event.source.component();
  const auto host = event.source.host().empty() ? event.reporting_instance : event.source.host();
  return host.empty() ? std::string(component) : fmt::format("{}, {}", component, host);
}

void print(Cells& cells, const EventFields& event, std::int64_t now_us) {
  const std::string first = age_of(event.first_us ? event.first_us : event.event_us, now_us);
  std::string last = event.last_us ? age_of(event.last_us, now_us) : first;
  std::int64_t count = event.count ? event.count : 1;
  if (event.has_series) {
    last = age_of(event.series_last_us, now_us);
    count = event.series_count;
  }
  const std::string kind = lowered(event.about.kind());
  cells.text(last);
  cells.text(event.type);
  cells.text(event.reason);
  cells.text(event.about.name().empty() ? kind : fmt::format("{}/{}", kind, event.about.name()));
  cells.text(event.about.fieldPath());
  cells.text(source_text(event));
  cells.text(trimmed(event.message));
  cells.text(first);
  cells.number(count);
  cells.text(event.name);
}

void print_core_event(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Event e(&object);
  print(cells,
        {e.metadata().name(), e.type(), e.reason(), e.message(), e.reportingComponent(),
         e.reportingInstance(), e.involvedObject(), e.source(), e.firstTimestamp(), e.lastTimestamp(),
         e.eventTime(), e.count(), e.has_series(), e.series().lastObservedTime(), e.series().count()},
        now_us);
}

void print_event(Cells& cells, const Value& object, std::int64_t now_us) {
  const events_v1::Event e(&object);
  print(
      cells,
      {e.metadata().name(), e.type(), e.reason(), e.note(), e.reportingController(), e.reportingInstance(),
       e.regarding(), e.deprecatedSource(), e.deprecatedFirstTimestamp(), e.deprecatedLastTimestamp(),
       e.eventTime(), e.deprecatedCount(), e.has_series(), e.series().lastObservedTime(), e.series().count()},
      now_us);
}

constexpr PrinterEntry printers[] = {{"", "", "events", print_core_event},
                                     {"events.k8s.io", "", "events", print_event}};

}  // namespace

std::span<const PrinterEntry> event_printers() { return printers; }

}  // namespace rusternetes::api_server
