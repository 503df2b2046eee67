// What makes Pods: apps, and the ReplicationController of old.

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/apps_v1.h"
#include "apimachinery/api/autoscaling_v1.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

void container_cells(Cells& cells, const core_v1::PodTemplateSpec& pods) {
  const auto [names, images] = names_and_images(pods.spec().containers());
  cells.text(names);
  cells.text(images);
}

void print_deployment(Cells& cells, const Value& object, std::int64_t now_us) {
  const apps_v1::Deployment deployment(&object);
  cells.text(deployment.metadata().name());
  cells.text(fmt::format("{}/{}", deployment.status().readyReplicas(), deployment.spec().replicas()));
  cells.number(deployment.status().updatedReplicas());
  cells.number(deployment.status().availableReplicas());
  cells.text(age_of(deployment.metadata().creationTimestamp(), now_us));
  container_cells(cells, deployment.spec().template_());
  cells.text(selector_text(deployment.spec().selector(), "<invalid>"));
}

void print_replica_set(Cells& cells, const Value& object, std::int64_t now_us) {
  const apps_v1::ReplicaSet set(&object);
  cells.text(set.metadata().name());
  cells.number(set.spec().replicas());
  cells.number(set.status().replicas());
  cells.number(set.status().readyReplicas());
  cells.text(age_of(set.metadata().creationTimestamp(), now_us));
  container_cells(cells, set.spec().template_());
  cells.text(selector_or_none(set.spec().selector()));
}

void print_replication_controller(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::ReplicationController controller(&object);
  cells.text(controller.metadata().name());
  cells.number(controller.spec().replicas());
  cells.number(controller.status().replicas());
  cells.number(controller.status().readyReplicas());
  cells.text(age_of(controller.metadata().creationTimestamp(), now_us));
  container_cells(cells, controller.spec().template_());
  cells.text(labels_text(controller.spec().selector()));
}

void print_stateful_set(Cells& cells, const Value& object, std::int64_t now_us) {
  const apps_v1::StatefulSet set(&object);
  cells.text(set.metadata().name());
  cells.text(fmt::format("{}/{}", set.status().readyReplicas(), set.spec().replicas()));
  cells.text(age_of(set.metadata().creationTimestamp(), now_us));
  container_cells(cells, set.spec().template_());
}

void print_daemon_set(Cells& cells, const Value& object, std::int64_t now_us) {
  const apps_v1::DaemonSet set(&object);
  const auto status = set.status();
  cells.text(set.metadata().name());
  cells.number(status.desiredNumberScheduled());
  cells.number(status.currentNumberScheduled());
  cells.number(status.numberReady());
  cells.number(status.updatedNumberScheduled());
  cells.number(status.numberAvailable());
  cells.text(labels_text(set.spec().template_().spec().nodeSelector()));
  cells.text(age_of(set.metadata().creationTimestamp(), now_us));
  container_cells(cells, set.spec().template_());
  cells.text(selector_or_none(set.spec().selector()));
}

void print_controller_revision(Cells& cells, const Value& object, std::int64_t now_us) {
  const apps_v1::ControllerRevision revision(&object);
  std::string controller = "<none>";
  for (const auto owner : revision.metadata().ownerReferences()) {
    if (!owner.controller()) continue;
    const std::string_view version = owner.apiVersion();
    const auto slash = version.find('/');
    controller = lowered(owner.kind());
    if (slash != std::string_view::npos) controller += "." + lowered(version.substr(0, slash));
    controller += fmt::format("/{}", owner.name());
    break;
  }
  cells.text(revision.metadata().name());
  cells.text(controller);
  cells.number(revision.revision());
  cells.text(age_of(revision.metadata().creationTimestamp(), now_us));
}

void print_pod_template(Cells& cells, const Value& object, std::int64_t) {
  const core_v1::PodTemplate pods(&object);
  cells.text(pods.metadata().name());
  container_cells(cells, pods.template_());
  cells.text(labels_text(pods.template_().metadata().labels()));
}

void print_scale(Cells& cells, const Value& object, std::int64_t now_us) {
  const autoscaling_v1::Scale scale(&object);
  cells.text(scale.metadata().name());
  cells.number(scale.spec().replicas());
  cells.number(scale.status().replicas());
  cells.text(age_of(scale.metadata().creationTimestamp(), now_us));
}

constexpr PrinterEntry printers[] = {
    {"apps", "", "deployments", print_deployment},
    {"apps", "", "replicasets", print_replica_set},
    {"apps", "", "statefulsets", print_stateful_set},
    {"apps", "", "daemonsets", print_daemon_set},
    {"apps", "", "controllerrevisions", print_controller_revision},
    {"", "", "replicationcontrollers", print_replication_controller},
    {"", "", "podtemplates", print_pod_template},
    {"autoscaling", "", "scale", print_scale},
};

}  // namespace

std::span<const PrinterEntry> apps_printers() { return printers; }

}  // namespace rusternetes::api_server
