#include <vector>

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/autoscaling_v1.h"
#include "apimachinery/api/autoscaling_v2.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

using autoscaling_v2::MetricSpec;
using autoscaling_v2::MetricStatus;
using autoscaling_v2::MetricTarget;
using autoscaling_v2::MetricValueStatus;

constexpr std::string_view unknown = "<unknown>";
// What a quantity that is not there is called.
constexpr std::string_view no_quantity = "<nil>";

std::string_view average_of(const MetricValueStatus& current) {
  return current.has_averageValue() ? current.averageValue() : no_quantity;
}

// Of an object or external metric: the average if that is the target, else the value.
template <class Status>
std::string value_text(const MetricTarget& target, const Status& status) {
  if (target.has_averageValue())
    return fmt::format("{}/{} (avg)",
                       status.current().has_averageValue() ? status.current().averageValue() : unknown,
                       target.averageValue());
  const auto current = !status                         ? unknown
                       : status.current().has_value_() ? status.current().value_()
                                                       : no_quantity;
  return fmt::format("{}/{}", current, target.has_value_() ? target.value_() : no_quantity);
}

// Of a resource metric: the average, or the share of what is requested.
template <class Status>
std::string resource_text(std::string_view name, const MetricTarget& target, const Status& status) {
  if (target.has_averageValue())
    return fmt::format("{}: {}/{}", name, status ? average_of(status.current()) : unknown,
                       target.averageValue());
  std::string current(unknown), wanted = "<auto>";
  if (status.current().has_averageUtilization())
    current = fmt::format("{}%", status.current().averageUtilization());
  if (target.has_averageUtilization()) wanted = fmt::format("{}%", target.averageUtilization());
  return fmt::format("{}: {}/{}", name, current, wanted);
}

std::string metric_text(const MetricSpec& spec, const MetricStatus& status) {
  if (spec.type() == "External") return value_text(spec.external().target(), status.external());
  if (spec.type() == "Object") return value_text(spec.object().target(), status.object());
  if (spec.type() == "Pods")
    return fmt::format(
        "{}/{}", status.has_pods() ? average_of(status.pods().current()) : unknown,
        spec.pods().target().has_averageValue() ? spec.pods().target().averageValue() : no_quantity);
  if (spec.type() == "Resource")
    return resource_text(spec.resource().name(), spec.resource().target(), status.resource());
  if (spec.type() == "ContainerResource")
    return resource_text(spec.containerResource().name(), spec.containerResource().target(),
                         status.containerResource());
  return "<unknown type>";
}

// The first two; the rest is counted.
std::string metrics_text(const std::vector<std::string>& metrics) {
  constexpr std::size_t limit = 2;
  if (metrics.empty()) return "<none>";
  std::string out;
  for (std::size_t i = 0; i < metrics.size() && i < limit; ++i) out += (i ? ", " : "") + metrics[i];
  return metrics.size() > limit ? fmt::format("{} + {} more...", out, metrics.size() - limit) : out;
}

template <class Autoscaler>
void print(Cells& cells, const Autoscaler& autoscaler, const std::vector<std::string>& metrics,
           std::int64_t now_us) {
  const auto spec = autoscaler.spec();
  cells.text(autoscaler.metadata().name());
  cells.text(fmt::format("{}/{}", spec.scaleTargetRef().kind(), spec.scaleTargetRef().name()));
  cells.text(metrics_text(metrics));
  cells.text(spec.has_minReplicas() ? std::to_string(spec.minReplicas()) : "<unset>");
  cells.number(spec.maxReplicas());
  cells.number(autoscaler.status().currentReplicas());
  cells.text(age_of(autoscaler.metadata().creationTimestamp(), now_us));
}

void print_v2(Cells& cells, const Value& object, std::int64_t now_us) {
  const autoscaling_v2::HorizontalPodAutoscaler autoscaler(&object);
  const auto statuses = autoscaler.status().currentMetrics();
  std::vector<std::string> metrics;
  for (const auto spec : autoscaler.spec().metrics())
    metrics.push_back(
        metric_text(spec, metrics.size() < statuses.size() ? statuses[metrics.size()] : MetricStatus()));
  print(cells, autoscaler, metrics, now_us);
}

// The older version knows the share of CPU only.
void print_v1(Cells& cells, const Value& object, std::int64_t now_us) {
  const autoscaling_v1::HorizontalPodAutoscaler autoscaler(&object);
  const auto spec = autoscaler.spec();
  const auto status = autoscaler.status();
  std::vector<std::string> metrics;
  if (spec.has_targetCPUUtilizationPercentage())
    metrics.push_back(fmt::format("cpu: {}/{}%",
                                  status.has_currentCPUUtilizationPercentage()
                                      ? fmt::format("{}%", status.currentCPUUtilizationPercentage())
                                      : std::string(unknown),
                                  spec.targetCPUUtilizationPercentage()));
  print(cells, autoscaler, metrics, now_us);
}

constexpr PrinterEntry printers[] = {{"autoscaling", "v1", "horizontalpodautoscalers", print_v1},
                                     {"autoscaling", "v2", "horizontalpodautoscalers", print_v2}};

}  // namespace

std::span<const PrinterEntry> autoscaling_printers() { return printers; }

}  // namespace rusternetes::api_server
