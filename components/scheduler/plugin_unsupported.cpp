// What a Pod demands of its place and no plugin can judge yet. Such a Pod waits and says why, instead of
// running where it must not. When a plugin comes that knows the demand, its line here goes.

#include "scheduler/framework.h"

namespace rusternetes::scheduler {
namespace {

using namespace apimachinery;

class Unsupported final : public Plugin {
 public:
  std::string_view name() const override { return "Unsupported"; }
  NodeFilter prepare(const core_v1::Pod& pod, const Cache&) const override {
    std::vector<Refusal> reasons;
    bool has_claims = false;
    for (const auto volume : pod.spec().volumes())
      has_claims |= volume.has_persistentVolumeClaim() || volume.has_ephemeral();
    if (has_claims) reasons.push_back({"scheduling by PersistentVolumeClaims is not supported", true});
    if (!pod.spec().resourceClaims().empty())
      reasons.push_back({"scheduling by ResourceClaims is not supported", true});
    if (reasons.empty()) return {};
    return [reasons = std::move(reasons)](const NodeInfo&) { return reasons; };
  }
};

}  // namespace
std::unique_ptr<Plugin> make_unsupported() { return std::make_unique<Unsupported>(); }
}  // namespace rusternetes::scheduler
