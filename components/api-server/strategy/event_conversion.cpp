#include "api-server/strategy/event_conversion.h"

#include <array>
#include <utility>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/events_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

std::string_view converted_field_name(const Type& from, const Type& to, std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> names{{
      // events.k8s.io/v1, core/v1
      {"regarding", "involvedObject"},
      {"note", "message"},
      {"deprecatedSource", "source"},
      {"deprecatedFirstTimestamp", "firstTimestamp"},
      {"deprecatedLastTimestamp", "lastTimestamp"},
      {"deprecatedCount", "count"},
      {"reportingController", "reportingComponent"},
  }};
  const Type &core = core_v1::Event::schema_type(), &events = events_v1::Event::schema_type();
  if (&from == &events && &to == &core)
    for (const auto& [newer, older] : names)
      if (newer == name) return older;
  if (&from == &core && &to == &events)
    for (const auto& [newer, older] : names)
      if (older == name) return newer;
  return name;
}

}  // namespace rusternetes::api_server
