// Events of both groups, which share one storage (pkg/registry/core/event).

#include <fmt/format.h>

#include "api-server/strategy.h"
#include "api-server/strategy/workload_validation.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Event;

namespace {

// At rest, and here, an event is of core/v1 whichever group the request speaks.
class EventStrategy final : public Strategy {
 public:
  explicit EventStrategy(bool is_new_api) : is_new_api_(is_new_api) {}

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const Event event(&object);
    check_common(event, errors);
    if (!is_new_api_) return;
    check_series(event, errors);
    check_required(has_time(object, Event::f_eventTime) ? "set" : "", FieldPath("eventTime"), errors);
    if (event.type() != "Normal" && event.type() != "Warning")
      errors.push_back(field::invalid(FieldPath("type"), "", fmt::format("has invalid value: {}", event.type())));
    const auto unset = [&](bool is_set, std::string_view name) {
      if (is_set) errors.push_back(field::invalid(FieldPath(name), "", "needs to be unset"));
    };
    unset(has_time(object, Event::f_firstTimestamp), "firstTimestamp");
    unset(has_time(object, Event::f_lastTimestamp), "lastTimestamp");
    unset(event.count() != 0, "count");
    unset(!event.source().component().empty() || !event.source().host().empty(), "source");
  }

  void validate_update(const StrategyContext&, const Value& object, const Value& old, FieldErrorList& errors) const override {
    const Event event(&object);
    check_common(event, errors);
    if (!is_new_api_) return;
    if (!is_same(object.get(Event::f_series), old.get(Event::f_series))) check_series(event, errors);
    // Only metadata and series may change.
    for (const auto& [field, name] : std::initializer_list<std::pair<int, std::string_view>>{
             {Event::f_involvedObject, "involvedObject"}, {Event::f_reason, "reason"}, {Event::f_message, "message"},
             {Event::f_source, "source"}, {Event::f_firstTimestamp, "firstTimestamp"}, {Event::f_lastTimestamp, "lastTimestamp"},
             {Event::f_count, "count"}, {Event::f_type, "type"}, {Event::f_eventTime, "eventTime"}, {Event::f_action, "action"},
             {Event::f_related, "related"}, {Event::f_reportingComponent, "reportingController"}, {Event::f_reportingInstance, "reportingInstance"}})
      if (!is_same_loosely(object.get(field), old.get(field)))
        errors.push_back(field::invalid(FieldPath(name), BadValue::omitted(), field_is_immutable));
  }

  std::vector<std::string> name_problems(std::string_view name, bool is_prefix) const override {
    return is_new_api_ ? Strategy::name_problems(name, is_prefix) : is_valid_path_segment_name(name);
  }
  bool requires_qualified_finalizers() const override { return is_new_api_; }
  bool allows_create_on_update() const override { return true; }
  std::chrono::seconds ttl(const Lifetimes& lifetimes) const override { return lifetimes.events; }

  std::vector<std::string_view> selectable_fields() const override {
    if (is_new_api_)
      return {"reason",           "regarding.kind",            "regarding.namespace", "regarding.name",      "regarding.uid",
              "regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath", "reportingController", "type"};
    return {"involvedObject.kind",            "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion",
            "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",              "reportingComponent", "source", "type"};
  }
  std::string selectable_field(const Value& object, std::string_view name) const override {
    const Event event(&object);
    const auto target = event.involvedObject();
    if (name == "reason") return std::string(event.reason());
    if (name == "type") return std::string(event.type());
    if (name == "reportingComponent" || name == "reportingController") return std::string(event.reportingComponent());
    if (name == "source") return std::string(event.source().component().empty() ? event.reportingComponent() : event.source().component());
    name = name.substr(name.find('.') + 1);
    if (name == "kind") return std::string(target.kind());
    if (name == "namespace") return std::string(target.namespace_());
    if (name == "name") return std::string(target.name());
    if (name == "uid") return std::string(target.uid());
    if (name == "apiVersion") return std::string(target.apiVersion());
    if (name == "resourceVersion") return std::string(target.resourceVersion());
    return std::string(target.fieldPath());
  }

 private:
  static bool has_time(const Value& object, int field) { return object.get(field) != nullptr; }

  static void check_series(const Event& event, FieldErrorList& errors) {
    const auto series = event.series();
    if (!series) return;
    if (series.count() < 2) errors.push_back(field::invalid(FieldPath("series.count"), "", "should be at least 2"));
    if (!series.value()->get(core_v1::EventSeries::f_lastObservedTime)) errors.push_back(field::required(FieldPath("series.lastObservedTime")));
  }

  static void check_length(std::string_view text, std::size_t limit, std::string_view name, bool is_required, FieldErrorList& errors) {
    if (is_required) check_required(text, FieldPath(name), errors);
    if (text.size() > limit) errors.push_back(field::invalid(FieldPath(name), "", fmt::format("can have at most {} characters", limit)));
  }

  // What holds for both groups.
  void check_common(const Event& event, FieldErrorList& errors) const {
    const FieldPath involved("involvedObject");
    const std::string_view own = event.metadata().namespace_(), other = event.involvedObject().namespace_();
    const auto mismatch = [&] { errors.push_back(field::invalid(involved.child("namespace"), other, "does not match event.namespace")); };
    if (!has_time(*event.value(), Event::f_eventTime)) {
      if (other.empty() ? !own.empty() && own != "default" : own != other) mismatch();
    } else {
      if (other.empty() && own != "default" && own != "kube-system") mismatch();
      const FieldPath controller(is_new_api_ ? "reportingController" : "reportingComponent");
      check_required(event.reportingComponent(), controller, errors);
      check_qualified_name(event.reportingComponent(), controller, errors);
      check_length(event.reportingInstance(), 128, "reportingInstance", true, errors);
      check_length(event.action(), 128, "action", true, errors);
      check_length(event.reason(), 128, "reason", true, errors);
      check_length(event.message(), 1024, "message", false, errors);
    }
    check_dns_subdomain(own, FieldPath("namespace"), errors);
  }

  const bool is_new_api_;
};

}  // namespace

const Strategy& events_strategy() {
  static const EventStrategy strategy(false);
  return strategy;
}
const Strategy& new_events_strategy() {
  static const EventStrategy strategy(true);
  return strategy;
}

}  // namespace rusternetes::api_server
