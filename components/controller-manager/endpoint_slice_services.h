#pragma once
// Which Services a Pod is behind, and what of a Pod endpoints are made from. For the controllers of
// EndpointSlices and of Endpoints alike.

#include <optional>
#include <string>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "client/informer.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

// Of a mirror of Services: makes services_to_update() quick. Before the mirror starts; twice is harmless.
void index_selectors(client::Informer& services);
// Of a mirror of Pods: pods_of() needs it. Before the mirror starts; twice is harmless.
void index_labels(client::Informer& pods);
// The keys of the Services whose endpoints a Pod's change may concern: those that select it now or did
// before. None when nothing has changed that endpoints show.
std::vector<std::string> services_to_update(const client::Informer& services, const Document& before,
                                            const Document& now);

// Neither of type ExternalName nor without a selector: its endpoints are made from Pods.
bool has_pods(const apimachinery::core_v1::Service& service);
// The Pods of its namespace that it selects, by name.
std::vector<Document> pods_of(const client::Informer& pods, const Document& service);

// Has an address and has not ended.
bool belongs_in_endpoints(const apimachinery::core_v1::Pod& pod, bool with_terminating);
// The Pod has a name in the Service's domain.
bool has_hostname_in(const apimachinery::core_v1::Pod& pod, const apimachinery::core_v1::Service& service);
// It has an address of its own, or several; a headless one has not.
bool has_cluster_ip(const apimachinery::core_v1::Service& service);
// The number of the Service's target port in the Pod; a named one is searched in its containers and sidecars.
std::optional<std::int64_t> target_port(const apimachinery::core_v1::Pod& pod,
                                        const apimachinery::core_v1::ServicePort& port);

// The Pod's addresses of one family, as the canonical text; `arena` holds what was not written so.
std::vector<std::string_view> addresses_of(apimachinery::Arena& arena, const apimachinery::core_v1::Pod& pod,
                                           bool is_v6);

inline constexpr std::string_view headless_label = "service.kubernetes.io/headless";
inline constexpr std::string_view trigger_time_annotation =
    "endpoints.kubernetes.io/last-change-trigger-time";

}  // namespace rusternetes::controller_manager
