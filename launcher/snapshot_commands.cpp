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
  RN_TRY(std::string passphrase, read_passphrase(path));
  return std::optional<std::string>(std::move(passphrase));
}

Result<std::string> read_passphrase(const std::string& path) {
  auto text = certs::read_text(path, 1 << 16);
  if (!text) return failure("BadRequest", fmt::format("--passphrase-file {}", text.error().message));
  std::string line = text->substr(0, text->find('\n'));
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty())
    return failure("BadRequest", fmt::format("--passphrase-file {}: its first line is empty", path));
  return line;
}

Result<int> keep_flag(const Invocation& invocation) {
  const std::string text = invocation.text("--keep");
  if (text.empty()) return 0;
  const auto number = parse_port(text);  // 1 to 65535
  if (!number) return failure("BadRequest", fmt::format("--keep \"{}\" is not a number from 1 on", text));
  return int(*number);
}

void remove_partial_snapshots(const Home& home) {
  std::error_code ignored;
  for (const auto& folder : fs::directory_iterator(home.snapshots(), ignored))
    for (const auto& file : fs::directory_iterator(folder.path(), ignored))
      if (file.path().extension() == ".partial") fs::remove(file.path(), ignored);
}

Result<TakenSnapshot> take_snapshot(Session& session, const ClusterSettings& settings,
                                    const SnapshotRequest& request) {
  remove_partial_snapshots(session.home());
  auto task = std::make_shared<SnapshotTask>();
  RN_TRY(task->id, new_snapshot_id(session.home(), session.environment().clock.now(), request.is_scheduled));
  task->note = request.note;
  task->passphrase = request.passphrase;
  RN_CHECK(session.run(snapshot_plan(session.context(settings), task), plan_arguments(settings, *task)));
  TakenSnapshot taken{{task->id, settings.name, snapshot_path(session.home(), settings.name, task->id)}, {}};
  RN_TRY(taken.overview,
         snapshot::inspect(taken.snapshot.file, request.passphrase
                                                    ? std::optional<std::string_view>(*request.passphrase)
                                                    : std::nullopt));
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
