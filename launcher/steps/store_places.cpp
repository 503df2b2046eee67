#include "launcher/steps/store_places.h"

#include <fmt/format.h>

#include "launcher/containers/topology.h"
#include "launcher/ports/store_port.h"
#include "launcher/snapshots.h"

namespace rusternetes::launcher {

namespace fs = std::filesystem;

std::vector<StorePlace> store_places(const StepContext& context, const fs::path& staged) {
  if (context.settings.mode != "etcd") return {{staged / store_member, store_source(context).file}};
  std::vector<StorePlace> out;
  for (const Member& one : members_of(context.settings, "etcd"))
    out.push_back({staged / one.key, context.paths.data() / one.key});
  return out;
}

Result<> make_store_places(StepContext& context, const fs::path& staged, const std::string& token) {
  if (context.settings.mode != "etcd") return {};
  const auto members = members_of(context.settings, "etcd");
  const auto peer_url = [](const Member& one) { return fmt::format("https://{}:2380", one.address); };
  EtcdMember member{.name = {}, .peer_url = {}, .initial_cluster = {}, .token = token};
  for (const Member& one : members)
    member.initial_cluster +=
        fmt::format("{}{}={}", member.initial_cluster.empty() ? "" : ",", one.key, peer_url(one));
  for (const Member& one : members) {
    member.name = one.key;
    member.peer_url = peer_url(one);
    RN_CHECK(context.environment.store->make_member(
        staged / store_member, member, context.environment.binary_dir / "rhino", staged / one.key));
  }
  return {};
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

Result<> move_path(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error)
    return internal_error(fmt::format("move {} to {}: {}", from.string(), to.string(), error.message()));
  RN_CHECK(sync_folder(from.parent_path()));
  return sync_folder(to.parent_path());
}

Result<> remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return internal_error(fmt::format("remove {}: {}", path.string(), error.message()));
  return {};
}

}  // namespace rusternetes::launcher
