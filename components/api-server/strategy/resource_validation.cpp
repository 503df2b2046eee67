// Requests and limits of containers and of Pods as a whole.

#include <fmt/format.h>

#include <charconv>

#include "api-server/strategy/pod_resources.h"
#include "api-server/strategy/pod_validation.h"
#include "apimachinery/quantity.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;
using core_v1::ResourceRequirements;

namespace {

bool is_native(std::string_view name) {
  return name.find('/') == std::string_view::npos || name.find("kubernetes.io/") != std::string_view::npos;
}

bool is_extended(std::string_view name) {
  return !is_native(name) && !name.starts_with("requests.") && is_qualified_name("requests." + std::string(name)).empty();
}

// Counted in whole numbers.
bool is_integer_resource(std::string_view name) {
  return is_any_of(name, {"pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
                          "persistentvolumeclaims", "services.nodeports", "services.loadbalancers"}) ||
         (name.find('/') != std::string_view::npos && is_extended(name));
}

bool is_standard(std::string_view name) {
  return is_any_of(name, {"cpu", "memory", "ephemeral-storage", "storage", "requests.cpu", "requests.memory",
                          "requests.ephemeral-storage", "requests.storage", "limits.cpu", "limits.memory",
                          "limits.ephemeral-storage"}) ||
         is_integer_resource(name) || is_huge_page_resource(name) || name.starts_with("requests.hugepages-");
}

bool can_overcommit(std::string_view name) { return is_native(name) && !is_huge_page_resource(name); }

// False when the name is bad.
bool check_resource_name(std::string_view name, const FieldPath& path, FieldErrorList& errors) {
  const auto problems = is_qualified_name(name);
  errors.push_invalid(path, name, problems);
  if (!problems.empty()) return false;
  if (name.find('/') != std::string_view::npos || is_standard(name)) return true;
  errors.push_back(field::invalid(path, name, "must be a standard resource type or fully qualified"));
  return false;
}

void check_container_resource_name(std::string_view name, const FieldPath& path, FieldErrorList& errors) {
  if (name == "cpu" || name == "memory") return;
  check_resource_name(name, path, errors);
  if (name.find('/') == std::string_view::npos) {
    if (name != "ephemeral-storage" && !is_huge_page_resource(name))
      errors.push_back(field::invalid(path, name, "must be a standard resource for containers"));
  } else if (!is_native(name) && !is_extended(name)) {
    errors.push_back(field::invalid(path, name, "doesn't follow extended resource name standard"));
  }
}

void check_pod_resource_name(std::string_view name, const FieldPath& path, FieldErrorList& errors) {
  if (check_resource_name(name, path, errors) && !is_pod_level_resource(name))
    errors.push_back(field::not_supported(path, name, {"cpu", "hugepages-", "memory"}));
}

bool is_divisible_by_page(std::string_view name, std::string_view quantity) {
  const auto page = Quantity::parse(name.substr(std::string_view("hugepages-").size()));
  const auto amount = Quantity::parse(quantity);
  if (!page || !amount || page->sign() <= 0 || page->milli_value() % 1000 != 0) return false;
  return amount->value() % page->value() == 0;
}

void check_huge_page_amount(std::string_view name, std::string_view quantity, const FieldPath& path,
                            const PodValidationOptions& options, FieldErrorList& errors) {
  if (!options.allow_indivisible_huge_pages && !is_divisible_by_page(name, quantity))
    errors.push_back(field::invalid(path, quantity, fmt::format("{} is not positive integer multiple of {}", quantity, name)));
}

void check_request_against_limit(std::string_view name, std::string_view request, const Value* limit,
                                 const FieldPath& requests, const FieldPath& limits, FieldErrorList& errors) {
  if (!limit) {
    if (!can_overcommit(name))
      errors.push_back(field::required(limits, "Limit must be set for non overcommitable resources"));
    return;
  }
  if (limit->str() == request) return;
  const auto wanted = Quantity::parse(request), allowed = Quantity::parse(limit->str());
  if (!wanted || !allowed || *wanted == *allowed) return;
  if (!can_overcommit(name))
    errors.push_back(
        field::invalid(requests, request, fmt::format("must be equal to {} limit of {}", name, limit->str())));
  else if (*wanted > *allowed)
    errors.push_back(field::invalid(requests, request,
                                    fmt::format("must be less than or equal to {} limit of {}", name, limit->str())));
}

void check_claims(const ResourceRequirements& resources, const core::PodSpec& spec, const FieldPath& path,
                  FieldErrorList& errors) {
  const auto claims = resources.claims();
  std::int64_t i = 0;
  for (const auto claim : claims) {
    const FieldPath at = path.index(i);
    if (claim.name().empty()) {
      errors.push_back(field::required(at));
    } else {
      if (!claim.request().empty()) check_dns_label(claim.request(), at.child("request"), errors);
      // A claim stands once as a whole, or once a request of it.
      for (std::int64_t before = 0; before < i; ++before) {
        const auto other = claims[static_cast<std::size_t>(before)];
        if (other.name() != claim.name()) continue;
        if (other.request().empty() || claim.request().empty() || other.request() == claim.request()) {
          const bool is_whole = other.request().empty() || claim.request().empty();
          errors.push_back(field::duplicate(at, is_whole ? std::string(claim.name()) : fmt::format("{}/{}", claim.name(), claim.request())));
          break;
        }
      }
      std::string known;
      bool is_known = false;
      for (const auto one : spec.resourceClaims()) {
        is_known |= one.name() == claim.name();
        known += (known.empty() ? "" : ", ") + std::string(one.name());
      }
      if (!is_known) {
        FieldError error = field::not_found(at, claim.name());
        error.detail = "must be one of the names in pod.spec.resourceClaims";
        error.detail += known.empty() ? " which is empty" : ": " + known;
        errors.push_back(std::move(error));
      }
    }
    ++i;
  }
}

template <class NameCheck>
void check_requirements(const ResourceRequirements& resources, const core::PodSpec& spec, const FieldPath& path,
                        const PodValidationOptions& options, NameCheck&& check_name, FieldErrorList& errors) {
  const FieldPath limits_path = path.child("limits"), requests_path = path.child("requests");
  const auto limits = resources.limits(), requests = resources.requests();
  bool has_compute = false, has_huge_pages = false;
  const auto check_list = [&](const TextMap& list, const FieldPath& list_path, bool is_request) {
    for (const auto& [name, quantity] : list) {
      const FieldPath at = list_path.key(name);
      check_name(name, at, errors);
      validate_resource_quantity(name, quantity, at, errors);
      if (is_request) check_request_against_limit(name, quantity, limits.find(name), requests_path, limits_path, errors);
      has_compute |= name == "cpu" || name == "memory";
      if (!is_huge_page_resource(name)) continue;
      has_huge_pages = true;
      check_huge_page_amount(name, quantity, at, options, errors);
    }
  };
  check_list(limits, limits_path, false);
  check_list(requests, requests_path, true);
  if (has_huge_pages && !has_compute) errors.push_back(field::forbidden(path, "HugePages require cpu or memory"));
  if (!resources.claims().empty()) check_claims(resources, spec, path.child("claims"), errors);
}

// What the containers want together must fit into what the Pod asks for.
void check_consistency(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const auto resources = spec.resources();
  const FieldPath requests = path.child("requests"), limits = path.child("limits");
  for (const auto& [name, sum] : aggregate_container_resources(*spec.value(), ResourceRequirements::f_requests)) {
    const std::string_view pod = resources.requests().get(name);
    const auto amount = Quantity::parse(pod);
    if (!pod.empty() && amount && sum > *amount)
      errors.push_back(field::invalid(requests.key(name), pod,
          fmt::format("must be greater than or equal to aggregate container requests of {}", sum.to_string())));
  }
  for (const auto& [name, sum] : aggregate_container_resources(*spec.value(), ResourceRequirements::f_limits)) {
    const std::string_view pod = resources.limits().get(name);
    const auto amount = Quantity::parse(pod);
    if (is_huge_page_resource(name) && !pod.empty() && amount && sum > *amount)
      errors.push_back(field::invalid(limits.key(name), pod,
          fmt::format("must be greater than or equal to aggregate container limits of {}", sum.to_string())));
  }
  const FieldPath containers = path.child("containers");
  std::int64_t i = 0;
  for (const auto container : spec.containers()) {
    const FieldPath at = containers.index(i++);
    for (const auto& [name, quantity] : container.resources().limits()) {
      const std::string_view pod = resources.limits().get(name);
      if (pod.empty()) continue;
      const auto limit = Quantity::parse(quantity), pod_limit = Quantity::parse(pod);
      if (limit && pod_limit && *limit > *pod_limit)
        errors.push_back(field::invalid(at.key(name).child("limits"), quantity,
                                        fmt::format("must be less than or equal to pod limits of {}", pod)));
    }
  }
}

bool has_indivisible(const TextMap& list) {
  for (const auto& [name, quantity] : list)
    if (is_huge_page_resource(name) && !is_divisible_by_page(name, quantity)) return true;
  return false;
}

}  // namespace

void validate_resource_quantity(std::string_view resource, std::string_view quantity, const FieldPath& path,
                                FieldErrorList& errors) {
  if (quantity.starts_with('-')) errors.push_back(field::invalid(path, quantity, must_not_be_negative));
  if (resource == "cpu" || resource == "memory" || !is_integer_resource(resource)) return;
  const auto amount = Quantity::parse(quantity);
  if (amount && amount->milli_value() % 1000 != 0)
    errors.push_back(field::invalid(path, quantity, "must be an integer"));
}

void validate_container_resources(const ResourceRequirements& resources, const core::PodSpec& spec,
                                  const FieldPath& path, const PodValidationOptions& options, FieldErrorList& errors) {
  if (resources) check_requirements(resources, spec, path, options, check_container_resource_name, errors);
}

void validate_resource_limits(const TextMap& limits, const FieldPath& path, const PodValidationOptions& options,
                              FieldErrorList& errors) {
  const FieldPath limits_path = path.child("limits");
  bool has_compute = false, has_huge_pages = false;
  for (const auto& [name, quantity] : limits) {
    const FieldPath at = limits_path.key(name);
    check_container_resource_name(name, at, errors);
    validate_resource_quantity(name, quantity, at, errors);
    has_compute |= name == "cpu" || name == "memory";
    if (!is_huge_page_resource(name)) continue;
    has_huge_pages = true;
    check_huge_page_amount(name, quantity, at, options, errors);
  }
  if (has_huge_pages && !has_compute) errors.push_back(field::forbidden(path, "HugePages require cpu or memory"));
}

void validate_pod_level_resources(const core::PodSpec& spec, const FieldPath& path,
                                  const PodValidationOptions& options, FieldErrorList& errors) {
  if (!spec.resources()) return;
  if (spec.os().name() == "windows") {
    errors.push_back(field::forbidden(path, "may not be set for a windows pod"));
    return;
  }
  if (!spec.resources().claims().empty())
    errors.push_back(field::forbidden(path.child("claims"), "claims may not be set for Resources at pod-level"));
  check_requirements(spec.resources(), spec, path, options, check_pod_resource_name, errors);
  check_consistency(spec, path, errors);
}

bool uses_indivisible_huge_pages(const core::PodSpec& spec) {
  if (has_indivisible(spec.overhead())) return true;
  for (const auto list : {spec.containers(), spec.initContainers()})
    for (const auto container : list)
      if (has_indivisible(container.resources().limits()) || has_indivisible(container.resources().requests()))
        return true;
  return has_indivisible(spec.resources().limits()) || has_indivisible(spec.resources().requests());
}

}  // namespace rusternetes::api_server
