// Probes and lifecycle handlers of containers.

#include <fmt/format.h>

#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

void check_http_get(const core::HTTPGetAction& action, const FieldPath& path, FieldErrorList& errors) {
  check_required(action.path(), path.child("path"), errors);
  validate_port_number_or_name(action.value()->get(core::HTTPGetAction::f_port), path.child("port"), errors);
  check_supported(action.scheme(), path.child("scheme"), {"HTTP", "HTTPS"}, errors);
  for (const auto header : action.httpHeaders())
    errors.push_invalid(path.child("httpHeaders"), header.name(), is_http_header_name(header.name()));
}

// Counts the handlers of a probe or hook; only the first is looked into.
class HandlerCount {
 public:
  HandlerCount(const FieldPath& path, FieldErrorList& errors) : path_(path), errors_(errors) {}
  ~HandlerCount() {
    if (count_ == 0) errors_.push_back(field::required(path_, "must specify a handler type"));
  }
  template <class F>
  void add(bool is_set, std::string_view name, F&& check) {
    if (!is_set) return;
    if (count_++ > 0)
      errors_.push_back(field::forbidden(path_.child(name), "may not specify more than 1 handler type"));
    else
      check(path_.child(name));
  }

 private:
  const FieldPath& path_;
  FieldErrorList& errors_;
  int count_ = 0;
};

// What probes and hooks have in common.
template <class Handler>
void check_common_handlers(const Handler& handler, HandlerCount& count, FieldErrorList& errors) {
  count.add(static_cast<bool>(handler.exec()), "exec", [&](const FieldPath& at) {
    if (handler.exec().command().empty()) errors.push_back(field::required(at.child("command")));
  });
  count.add(static_cast<bool>(handler.httpGet()), "httpGet",
            [&](const FieldPath& at) { check_http_get(handler.httpGet(), at, errors); });
  count.add(static_cast<bool>(handler.tcpSocket()), "tcpSocket", [&](const FieldPath& at) {
    validate_port_number_or_name(handler.tcpSocket().value()->get(core::TCPSocketAction::f_port), at.child("port"), errors);
  });
}

void check_probe(const core::Probe& probe, const FieldPath& path, FieldErrorList& errors) {
  {
    HandlerCount count(path, errors);
    check_common_handlers(probe, count, errors);
    count.add(static_cast<bool>(probe.grpc()), "grpc", [&](const FieldPath& at) {
      for (const auto& problem : is_valid_port_num(probe.grpc().port()))
        errors.push_back(field::invalid(at.child("port"), probe.grpc().port(), problem));
    });
  }
  check_nonnegative(probe.initialDelaySeconds(), path.child("initialDelaySeconds"), errors);
  check_nonnegative(probe.timeoutSeconds(), path.child("timeoutSeconds"), errors);
  check_nonnegative(probe.periodSeconds(), path.child("periodSeconds"), errors);
  check_nonnegative(probe.successThreshold(), path.child("successThreshold"), errors);
  check_nonnegative(probe.failureThreshold(), path.child("failureThreshold"), errors);
  if (probe.has_terminationGracePeriodSeconds() && probe.terminationGracePeriodSeconds() <= 0)
    errors.push_back(field::invalid(path.child("terminationGracePeriodSeconds"), probe.terminationGracePeriodSeconds(),
                                    "must be greater than 0"));
}

void check_once(const core::Probe& probe, const FieldPath& path, FieldErrorList& errors) {
  if (!probe) return;
  check_probe(probe, path, errors);
  if (probe.successThreshold() != 1)
    errors.push_back(field::invalid(path.child("successThreshold"), probe.successThreshold(), "must be 1"));
}

void check_hook(const core::LifecycleHandler& hook, const core::PodSpec& spec, const FieldPath& path,
                FieldErrorList& errors) {
  if (!hook) return;
  HandlerCount count(path, errors);
  check_common_handlers(hook, count, errors);
  count.add(static_cast<bool>(hook.sleep()), "sleep", [&](const FieldPath& at) {
    const std::int64_t seconds = hook.sleep().seconds();
    if (spec.has_terminationGracePeriodSeconds() && (seconds < 0 || seconds > spec.terminationGracePeriodSeconds()))
      errors.push_back(field::invalid(
          at, seconds,
          fmt::format("must be non-negative and less than terminationGracePeriodSeconds ({})", spec.terminationGracePeriodSeconds())));
  });
}

}  // namespace

void validate_port_number_or_name(const Value* port, const FieldPath& path, FieldErrorList& errors) {
  if (port && port->kind == ValueKind::string) {
    errors.push_invalid(path, port->str(), is_valid_port_name(port->str()));
    return;
  }
  const std::int64_t number = port ? port->integer : 0;
  for (const auto& problem : is_valid_port_num(number)) errors.push_back(field::invalid(path, number, problem));
}

void validate_probes(const core::Container& container, const FieldPath& path, FieldErrorList& errors) {
  check_once(container.livenessProbe(), path.child("livenessProbe"), errors);
  if (const auto probe = container.readinessProbe()) {
    const FieldPath at = path.child("readinessProbe");
    check_probe(probe, at, errors);
    if (probe.has_terminationGracePeriodSeconds())
      errors.push_back(field::invalid(at.child("terminationGracePeriodSeconds"), probe.terminationGracePeriodSeconds(),
                                      "must not be set for readinessProbes"));
  }
  check_once(container.startupProbe(), path.child("startupProbe"), errors);
}

void validate_lifecycle(const core::Lifecycle& lifecycle, const ContainerContext& context, const FieldPath& path,
                        FieldErrorList& errors) {
  check_hook(lifecycle.postStart(), context.spec, path.child("postStart"), errors);
  check_hook(lifecycle.preStop(), context.spec, path.child("preStop"), errors);
}

}  // namespace rusternetes::api_server
