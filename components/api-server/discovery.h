#pragma once
// /api, /apis and what lies below them: what is served, in the old form and aggregated, from the registry
// alone.

#include <map>
#include <memory>
#include <string>

#include "apimachinery/registry.h"

namespace rusternetes::api_server {

struct DiscoveryDocument {
  std::string json;
  std::string etag;  // quoted; only of aggregated documents
};

// Null when the path is none of discovery's.
class Discovery {
 public:
  Discovery(const apimachinery::Registry& registry, std::string server_address);
  // "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1".
  const DiscoveryDocument* plain(std::string_view path) const;
  // "/api" and "/apis" as apidiscovery.k8s.io/v2; the beta version went with v1.35.
  const DiscoveryDocument* aggregated(std::string_view path, std::string_view version) const;

 private:
  static void add(std::map<std::string, DiscoveryDocument, std::less<>>& to, std::string path,
                  std::string json, std::string_view hashed);
  std::map<std::string, DiscoveryDocument, std::less<>> plain_, aggregated_;
};

}  // namespace rusternetes::api_server
