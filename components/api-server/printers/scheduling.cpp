// What says how Pods are placed and run: priority and runtime classes, leases.

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/coordination_v1.h"
#include "apimachinery/api/node_v1.h"
#include "apimachinery/api/scheduling_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

void print_priority_class(Cells& cells, const Value& object, std::int64_t now_us) {
  const scheduling_v1::PriorityClass one(&object);
  cells.text(one.metadata().name());
  cells.number(one.value_());
  cells.boolean(one.globalDefault());
  cells.text(age_of(one.metadata().creationTimestamp(), now_us));
  cells.text(one.preemptionPolicy());
}

void print_runtime_class(Cells& cells, const Value& object, std::int64_t now_us) {
  const node_v1::RuntimeClass one(&object);
  cells.text(one.metadata().name());
  cells.text(one.handler());
  cells.text(age_of(one.metadata().creationTimestamp(), now_us));
}

void print_lease(Cells& cells, const Value& object, std::int64_t now_us) {
  const coordination_v1::Lease lease(&object);
  cells.text(lease.metadata().name());
  cells.text(lease.spec().holderIdentity());
  cells.text(age_of(lease.metadata().creationTimestamp(), now_us));
}

constexpr PrinterEntry printers[] = {
    {"scheduling.k8s.io", "", "priorityclasses", print_priority_class},
    {"node.k8s.io", "", "runtimeclasses", print_runtime_class},
    {"coordination.k8s.io", "", "leases", print_lease},
};

}  // namespace

std::span<const PrinterEntry> scheduling_printers() { return printers; }

}  // namespace rusternetes::api_server
