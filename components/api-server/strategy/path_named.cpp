// Kinds whose names are only path segments (RBAC, APIServices).
#include "api-server/strategy.h"
#include "apimachinery/names.h"

namespace rusternetes::api_server {
namespace {
class PathNamedStrategy final : public Strategy {
 public:
  std::vector<std::string> name_problems(std::string_view name, bool is_prefix) const override {
    return is_prefix ? apimachinery::is_valid_path_segment_prefix(name) : apimachinery::is_valid_path_segment_name(name);
  }
};
}  // namespace
const Strategy& path_named_strategy() {
  static const PathNamedStrategy strategy;
  return strategy;
}
}  // namespace rusternetes::api_server
