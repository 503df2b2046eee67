#pragma once
// One request on its way down the pipeline (invariant 3): the one request context. The HTTP layer and the in-process client
// both make one; from authorization on they share every step.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "api-server/request_context.h"
#include "api-server/request_info.h"
#include "apimachinery/registry.h"
#include "apimachinery/value.h"
#include "base/clock.h"
#include "base/task.h"
#include "storage/store.h"

namespace rusternetes::api_server {

enum class FieldValidation { ignore, warn, strict };

struct Call {
  RequestInfo info;
  User user;
  std::shared_ptr<const apimachinery::Registry> registry;
  const apimachinery::Kind* kind = nullptr;                // of the resource
  const apimachinery::Subresource* subresource = nullptr;  // null when none is asked for
  apimachinery::Arena arena;                               // everything this request decodes and makes
  Warnings warnings;
  std::int64_t now_us = 0;
  bool dry_run = false;
  std::string field_manager;
  FieldValidation field_validation = FieldValidation::warn;
  std::string user_agent;
  std::string audit_id;
  // Keys that strategies claim from, as they were when the caches were last waited for (api-server/companions.h).
  std::map<std::string, std::optional<storage::KeyValue>, std::less<>> claimed;
  storage::TxnRequest companions;  // writes that go into the object's own transaction (api-server/companions.h)
  // Whether the caller may also do this (a verb), where that shows only later: an update that creates.
  std::function<Task<Result<void>>(std::string verb)> authorize;
  std::string patch_type, patch_body;  // of a PATCH to a subresource that is an action

  std::string group_resource() const;  // "deployments.apps", for messages
  // The key within the resource's cache: "namespace/name" or "name".
  std::string object_key(std::string_view name) const;
  bool is_status() const { return info.subresource == "status"; }
};

// dryRun, fieldManager and fieldValidation of a write, checked as Kubernetes checks its options.
Result<void> read_write_options(Call& call);
// What authorizers decide upon.
Attributes attributes_of(const Call& call);

}  // namespace rusternetes::api_server
