#include "launcher/snapshot_commands.h"

#include <fmt/format.h>

#include <fstream>

#include "certs/file.h"
#include "launcher/failure.h"

namespace rusternetes::launcher {

namespace fs = std::filesystem;

Result<std::optional<std::string>> passphrase_flag(const Invocation& invocation) {
  const std::string path = invocation.text("--passphrase-file");
  if (path.empty()) return std::optional<std::string>();
  auto text = certs::read_text(path, 1 << 16);
  if (!text) return failure("BadRequest", fmt::format("--passphrase-file {}", text.error().message));
  std::string line = text->substr(0, text->find('\n'));
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty())
    return failure("BadRequest", fmt::format("--passphrase-file {}: its first line is empty", path));
  return std::optional<std::string>(std::move(line));
}

void remove_partial_snapshots(const Home& home) {
  std::error_code ignored;
  for (const auto& folder : fs::directory_iterator(home.snapshots(), ignored))
    for (const auto& file : fs::directory_iterator(folder.path(), ignored))
      if (file.path().extension() == ".partial") fs::remove(file.path(), ignored);
}

Result<TakenSnapshot> take_snapshot(Session& session, const ClusterSettings& settings, std::string note,
                                    const std::optional<std::string>& passphrase) {
  remove_partial_snapshots(session.home());
  auto task = std::make_shared<SnapshotTask>();
  RN_TRY(task->id, new_snapshot_id(session.home(), session.environment().clock.now()));
  task->note = std::move(note);
  task->passphrase = passphrase;
  RN_CHECK(session.run(snapshot_plan(session.context(settings), task), plan_arguments(settings, *task)));
  TakenSnapshot taken{{task->id, settings.name, snapshot_path(session.home(), settings.name, task->id)}, {}};
  RN_TRY(taken.overview,
         snapshot::inspect(taken.snapshot.file,
                           passphrase ? std::optional<std::string_view>(*passphrase) : std::nullopt));
  return taken;
}

Result<OpenSnapshot> open_snapshot(const Invocation& invocation, const std::string& id, const fs::path& file,
                                   const std::string& cluster, std::optional<std::string> passphrase) {
  OpenSnapshot out{.file = file, .passphrase = std::move(passphrase), .reader = {}, .cluster = {}};
  if (file.empty()) {
    auto found = cluster.empty() ? find_snapshot(invocation.home, "", id)
                                 : find_snapshot(invocation.home, cluster, id);
    if (!found && !cluster.empty())
      if (auto other = find_snapshot(invocation.home, "", id)) found = std::move(other);
    if (!found) return found.error();
    out.file = found->file;
  }
  // The journal's plans are finished in other folders.
  std::error_code ignored;
  out.file = fs::absolute(out.file, ignored);
  RN_TRY(out.reader,
         snapshot::Reader::open(
             out.file, out.passphrase ? std::optional<std::string_view>(*out.passphrase) : std::nullopt));
  if (out.reader->manifest().description.store != snapshot::StoreKind::sqlite)
    return failure("NotSupported",
                   fmt::format("{} holds a store of etcd, which this release cannot put into a "
                               "cluster of mode all-in-one",
                               out.file.string()));
  RN_TRY(out.cluster, read_cluster(*out.reader));
  return out;
}

}  // namespace rusternetes::launcher
