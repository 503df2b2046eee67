#pragma once
// Objects that a cluster has from the first moment, written through the API by each api-server as it starts.
// Several of one store may start at once: who loses a race looks again.

#include "api-server/instance.h"

namespace rusternetes::api_server {

// Whether a write may have failed because another api-server wrote the same at that moment. Two that make one
// Service want one address: the second is told that it is taken.
bool may_be_race(const Status& error);

// An object of every cluster: made, or brought up to date by the rules of bootstrap/reconcile.h. `wanted` may
// hold its apiVersion and kind.
Task<Result<void>> write_bootstrap_object(client::ApiClient& client, const apimachinery::Kind& kind,
                                          apimachinery::Document wanted);

Task<Result<void>> write_addon(client::ApiClient& client, InstanceOptions::Addon addon);

}  // namespace rusternetes::api_server
