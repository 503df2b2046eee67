#pragma once
// Admission: plugins that may change (mutate) or refuse (validate) a write after decoding and before it is stored. The
// chain runs every plugin's mutate in order, then, after the strategy's validation, every validate.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/authorizer.h"
#include "api-server/call.h"
#include "base/status.h"

namespace rusternetes::api_server {

struct AdmissionRequest {
  Call& call;
  std::string_view operation;  // CREATE, UPDATE, DELETE, CONNECT
  const apimachinery::Kind& kind;         // of `object`
  apimachinery::Value* object = nullptr;  // null for DELETE
  const apimachinery::Value* old_object = nullptr;
  std::string_view name;  // of the object, as far as it is known
};

class AdmissionPlugin {
 public:
  virtual ~AdmissionPlugin() = default;
  virtual std::string_view name() const = 0;
  virtual Result<void> mutate(AdmissionRequest&) const { return {}; }
  virtual Result<void> validate(AdmissionRequest&) const { return {}; }
};

class AdmissionChain {
 public:
  void add(std::unique_ptr<AdmissionPlugin> plugin) { plugins_.push_back(std::move(plugin)); }
  Result<void> mutate(AdmissionRequest& request) const {
    for (const auto& plugin : plugins_) RN_CHECK(plugin->mutate(request));
    return {};
  }
  Result<void> validate(AdmissionRequest& request) const {
    for (const auto& plugin : plugins_) RN_CHECK(plugin->validate(request));
    return {};
  }

 private:
  std::vector<std::unique_ptr<AdmissionPlugin>> plugins_;
};

// The plugins by --enable-admission-plugins' names that are on by default, less `disabled`; an unknown name is an error
// that names the nearest. `source` must outlive the chain.
Result<AdmissionChain> make_admission(const ObjectSource& source, const std::vector<std::string>& enabled,
                                      const std::vector<std::string>& disabled);

}  // namespace rusternetes::api_server
