#pragma once
// What another Kubernetes cluster's etcd holds that is of that cluster alone, beside what a clone leaves
// behind (store_adaptation.h): its nodes, what kubeadm and network plugins run on them, tokens by which nodes
// join, what its api-servers keep of themselves. Pure.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "launcher/components/store_adaptation.h"
#include "launcher/ports/store_port.h"

namespace rusternetes::launcher {

// EncryptedAtRest for a value that the other cluster encrypted. UnservedVersion for an object in a version of
// the API that this release does not serve, unless it is made anew anyway.
Result<bool> is_left_behind(std::string_view key, std::string_view value);

// Begins of the keys whose values tell_of() looks at.
std::span<const std::string_view> telling_keys();
// EncryptedAtRest.
Result<ForeignCluster> tell_of(const std::vector<StoredObject>& objects);

}  // namespace rusternetes::launcher
