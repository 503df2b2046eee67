// What the api-server itself goes by: flow control and API services.

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/apiregistration_v1.h"
#include "apimachinery/api/flowcontrol_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

void print_flow_schema(Cells& cells, const Value& object, std::int64_t now_us) {
  const flowcontrol_v1::FlowSchema schema(&object);
  const auto spec = schema.spec();
  std::string_view is_dangling = "?";
  for (const auto condition : schema.status().conditions())
    if (condition.type() == "Dangling") {
      is_dangling = condition.status();
      break;
    }
  cells.text(schema.metadata().name());
  cells.text(spec.priorityLevelConfiguration().name());
  cells.number(spec.matchingPrecedence());
  cells.text(spec.has_distinguisherMethod() ? spec.distinguisherMethod().type() : std::string_view("<none>"));
  cells.text(age_of(schema.metadata().creationTimestamp(), now_us));
  cells.text(is_dangling);
}

void print_priority_level(Cells& cells, const Value& object, std::int64_t now_us) {
  const flowcontrol_v1::PriorityLevelConfiguration level(&object);
  const auto spec = level.spec();
  auto number_or_none = [&](bool has_number, std::int64_t number) {
    if (has_number)
      cells.number(number);
    else
      cells.text("<none>");
  };
  const bool has_queues = spec.limited().limitResponse().has_queuing();
  const auto queuing = spec.limited().limitResponse().queuing();
  cells.text(level.metadata().name());
  cells.text(spec.type());
  number_or_none(spec.has_limited(), spec.limited().nominalConcurrencyShares());
  number_or_none(has_queues, queuing.queues());
  number_or_none(has_queues, queuing.handSize());
  number_or_none(has_queues, queuing.queueLengthLimit());
  cells.text(age_of(level.metadata().creationTimestamp(), now_us));
}

void print_api_service(Cells& cells, const Value& object, std::int64_t now_us) {
  const apiregistration_v1::APIService service(&object);
  std::string available = "Unknown";
  for (const auto condition : service.status().conditions()) {
    if (condition.type() != "Available") continue;
    available = condition.status() == "True" || condition.reason().empty()
                    ? std::string(condition.status())
                    : fmt::format("{} ({})", condition.status(), condition.reason());
    break;
  }
  const auto reference = service.spec().service();
  cells.text(service.metadata().name());
  cells.text(service.spec().has_service() ? fmt::format("{}/{}", reference.namespace_(), reference.name())
                                          : "Local");
  cells.text(available);
  cells.text(age_of(service.metadata().creationTimestamp(), now_us));
}

constexpr PrinterEntry printers[] = {
    {"flowcontrol.apiserver.k8s.io", "", "flowschemas", print_flow_schema},
    {"flowcontrol.apiserver.k8s.io", "", "prioritylevelconfigurations", print_priority_level},
    {"apiregistration.k8s.io", "", "apiservices", print_api_service},
};

}  // namespace

std::span<const PrinterEntry> system_printers() { return printers; }

}  // namespace rusternetes::api_server
