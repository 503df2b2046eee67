#pragma once
// What Services' addresses and ports mean to each other: which types have them, how the singular and the plural fields
// agree, what an update that leaves them out keeps. Shared by the strategy and by allocation.

#include "api-server/request_context.h"
#include "api-server/strategy/checks.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"

namespace rusternetes::api_server {

bool is_headless(const apimachinery::core_v1::ServiceSpec& spec);
bool needs_cluster_ip(const apimachinery::core_v1::ServiceSpec& spec);
bool needs_node_port(const apimachinery::core_v1::ServiceSpec& spec);
// Whether its ports get node ports that nobody named.
bool allocates_node_ports(const apimachinery::core_v1::ServiceSpec& spec);
bool needs_health_check_node_port(const apimachinery::core_v1::ServiceSpec& spec);
bool is_externally_accessible(const apimachinery::core_v1::ServiceSpec& spec);
bool has_same_texts(const TextList& a, const TextList& b);

// clusterIP and clusterIPs say the same, as far as the client said only one of them. `old` is null at creation. `spec`
// is a ServiceSpec.
void normalize_cluster_ips(apimachinery::Arena& arena, apimachinery::Value& spec, const apimachinery::Value* old);
// An update that does not name what was allocated keeps it.
void keep_allocated_values(apimachinery::Arena& arena, apimachinery::Value& spec, const apimachinery::Value& old);
// A change of type takes off what the new type has no use for, unless the client changed it as well.
void drop_fields_of_old_type(apimachinery::Value& spec, const apimachinery::Value& old);

// ipFamilies and ipFamilyPolicy where they are not said. `families` are those the cluster has service addresses of
// ("IPv4", "IPv6"), the default one first. `old` is null at creation. For the allocator, before it allocates.
void init_ip_families(apimachinery::Arena& arena, apimachinery::Value& spec, const apimachinery::Value* old,
                      std::span<const std::string_view> families, FieldErrorList& errors);

void validate_service(const apimachinery::core_v1::Service& service, const apimachinery::core_v1::Service& old,
                      FieldErrorList& errors);
void validate_service_update(const apimachinery::core_v1::Service& service, const apimachinery::core_v1::Service& old,
                             FieldErrorList& errors);
void validate_cluster_ip_fields(const apimachinery::core_v1::ServiceSpec& spec,
                                const apimachinery::core_v1::ServiceSpec& old, FieldErrorList& errors);
void validate_load_balancer_status(const apimachinery::core_v1::Service& service,
                                   const apimachinery::core_v1::Service& old, FieldErrorList& errors);
// An address that endpoints and external addresses may not be: unspecified, loopback, link-local.
void validate_endpoint_ip(std::string_view address, const FieldPath& path, FieldErrorList& errors);

// Of what is valid.
void warn_about_service(const apimachinery::core_v1::Service& service, Warnings& warnings);
void warn_about_service_status(const apimachinery::core_v1::Service& service, Warnings& warnings);
// An address that some read otherwise than others, or that is not written as it should be.
void warn_about_ip(std::string_view address, const FieldPath& path, Warnings& warnings);

}  // namespace rusternetes::api_server
