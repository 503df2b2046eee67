#pragma once
// OpenAPI documents of one registry (invariant 2): version 3, one document for each group version with an
// index over them, and version 2, one document for all. A document is written when somebody asks for it, and
// kept.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "apimachinery/registry.h"
#include "base/status.h"

namespace rusternetes::api_server::openapi {

class OpenApi {
 public:
  // What is served; shared with responses under way.
  struct Document {
    std::shared_ptr<const std::string> body;
    std::string hash;  // SHA-512 of the JSON form, in capital hex digits: the entity tag without quotes
  };

  explicit OpenApi(std::shared_ptr<const apimachinery::Registry> registry);

  // {"paths": {"apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=..."}, ...}}
  Document index() const;
  // By "api/v1", "apis/apps/v1", "apis", "version"; nothing when there is no such document.
  std::optional<Document> v3_json(std::string_view name) const;
  std::optional<Result<Document>> v3_protobuf(std::string_view name) const;
  Document v2_json() const;
  Result<Document> v2_protobuf() const;

  const apimachinery::Registry* registry() const { return registry_.get(); }
  std::vector<std::string> v3_names() const;

 private:
  struct Entry {
    std::vector<const apimachinery::Kind*> kinds;  // of a group version; else a document of plain paths
    mutable std::string hash;
    mutable std::shared_ptr<const std::string> json, protobuf;
  };
  std::string make_v3(const std::string& name, const Entry& entry) const;
  std::string make_v2() const;
  // With the lock held. The hash without keeping the text, unless `keep`.
  void fill(const std::string& name, const Entry& entry, bool keep) const;

  std::shared_ptr<const apimachinery::Registry> registry_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> v3_;
  Entry v2_;
  mutable Document index_;
};

}  // namespace rusternetes::api_server::openapi
