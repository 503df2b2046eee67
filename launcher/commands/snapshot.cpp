// snapshot create, list, inspect, export, import, delete; `snapshot` alone makes one.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "certs/file.h"
#include "launcher/failure.h"
#include "launcher/report.h"
#include "launcher/snapshot/errors.h"
#include "launcher/snapshot_commands.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using snapshot::Overview;

constexpr std::string_view encrypted_hint = "(encrypted: --passphrase-file FILE shows the rest)";

json::object json_of(const KnownSnapshot& known, const Overview& overview) {
  json::object out{{"id", known.id},
                   {"cluster", known.cluster},
                   {"file", known.file.string()},
                   {"createdAt", snapshot::time_text(overview.created_at_s)},
                   {"size", overview.file_size},
                   {"encrypted", overview.is_encrypted},
                   {"scheduled", scheduled_time(known.id).has_value()}};
  if (!overview.manifest) return out;
  const snapshot::Description& is = overview.manifest->description;
  out["cluster"] = is.cluster;
  out["revision"] = is.revision;
  out["objects"] = is.object_count;
  out["mode"] = is.mode;
  out["store"] = std::string(snapshot::name_of(is.store));
  out["release"] = is.release;
  out["note"] = is.note;
  return out;
}

Result<std::string> id_flag(const Invocation& invocation) {
  const std::string id = invocation.text("--id");
  if (id.empty())
    return failure("Usage", fmt::format("snapshot {} needs --id ID; `rusternetes-ctl snapshot list` "
                                        "shows them",
                                        invocation.command.subword));
  return id;
}

// Of the cluster that was named, or of whichever has it.
Result<KnownSnapshot> chosen(const Invocation& invocation) {
  RN_TRY(const std::string id, id_flag(invocation));
  return find_snapshot(invocation.home, invocation.has_name ? invocation.name : std::string(), id);
}

Result<> run_create(Invocation& invocation) {
  const SteadyTime started = invocation.environment.clock.steady_now();
  const bool is_dry = invocation.has("--dry-run");
  RN_TRY(const auto passphrase, passphrase_flag(invocation));
  RN_TRY(const int keep, keep_flag(invocation));
  const bool is_scheduled = invocation.has("--scheduled");
  const std::string note = invocation.text("--note");
  if (note.size() > 1000 || std::any_of(note.begin(), note.end(), [](unsigned char c) { return c < 0x20; }))
    return failure("BadRequest", "--note is one line of at most 1000 characters");
  RN_TRY(auto session, Session::open(invocation, is_dry ? Session::Access::look : Session::Access::change));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_CHECK(session->check_recovered(settings.name));
  if (is_dry) {
    auto task = std::make_shared<SnapshotTask>();
    RN_TRY(task->id, new_snapshot_id(invocation.home, invocation.environment.clock.now(), is_scheduled));
    task->passphrase = passphrase;
    print_plan(invocation, snapshot_plan(session->context(settings), task), settings);
    return {};
  }
  RN_TRY(const TakenSnapshot taken, take_snapshot(*session, settings, {note, passphrase, is_scheduled}));
  const std::int64_t elapsed = elapsed_ms(invocation, started);
  std::vector<std::string> removed;
  if (keep > 0) {
    RN_TRY(removed, remove_oldest_snapshots(invocation.home, settings.name, static_cast<std::size_t>(keep),
                                            is_scheduled, invocation.environment.clock.now()));
  }
  const snapshot::Description& is = taken.overview.manifest->description;
  json::object out = json_of(taken.snapshot, taken.overview);
  out["elapsedMs"] = elapsed;
  json::array gone;
  for (const std::string& id : removed) gone.emplace_back(id);
  out["removed"] = std::move(gone);
  invocation.print(
      fmt::format("Snapshot {} of cluster \"{}\": {} objects at revision {}, {}{} ({:.1f} s).\nIt holds the "
                  "cluster's private keys and Secrets{}: {}\n",
                  is.id, is.cluster, is.object_count, is.revision, size_text(taken.overview.file_size),
                  passphrase ? ", encrypted" : "", static_cast<double>(elapsed) / 1000,
                  passphrase ? "" : " as they are", taken.snapshot.file.string()) +
          (removed.empty()
               ? std::string()
               : fmt::format("Removed {}, beyond the {} to keep.\n", joined(removed, ", "), keep)),
      json::serialize(json::object{{"snapshot", std::move(out)}}) + "\n");
  return {};
}

Result<> run_list(Invocation& invocation) {
  if (invocation.has("--all") && invocation.has_name)
    return failure("Usage", "snapshot list takes a name or --all, not both");
  const bool is_all = invocation.has("--all");
  RN_TRY(const auto passphrase, passphrase_flag(invocation));
  RN_TRY(const auto known, known_snapshots(invocation.home, is_all ? std::string() : invocation.name));
  std::string text;
  if (known.empty() && is_all)
    text = "No snapshots. `rusternetes-ctl snapshot` makes one.\n";
  else if (known.empty())
    text = fmt::format(
        "No snapshots of \"{}\". `rusternetes-ctl snapshot {}` makes one; --all lists those of other "
        "clusters.\n",
        invocation.name, invocation.name);
  else
    text = fmt::format("{:<25} {:<16} {:<21} {:>12} {:>8} {:>10} {:<10} {:<11} {:<8} {}\n", "ID", "CLUSTER",
                       "CREATED", "REVISION", "OBJECTS", "SIZE", "ENCRYPTED", "MODE", "VERSION", "NOTE");
  json::array array;
  for (const KnownSnapshot& one : known) {
    auto overview =
        snapshot::inspect(one.file, passphrase ? std::optional<std::string_view>(*passphrase) : std::nullopt);
    if (!overview && overview.error().is(snapshot::reason::passphrase_wrong))
      overview = snapshot::inspect(one.file);
    if (!overview) {
      text += fmt::format("{:<25} {:<16} {}\n", one.id, one.cluster, overview.error().message);
      array.push_back(json::object{{"id", one.id},
                                   {"cluster", one.cluster},
                                   {"file", one.file.string()},
                                   {"problem", error_json(overview.error())}});
      continue;
    }
    const auto* is = overview->manifest ? &overview->manifest->description : nullptr;
    text += fmt::format("{:<25} {:<16} {:<21} {:>12} {:>8} {:>10} {:<10} {:<11} {:<8} {}\n", one.id,
                        one.cluster, snapshot::time_text(overview->created_at_s),
                        is ? std::to_string(is->revision) : "-", is ? std::to_string(is->object_count) : "-",
                        size_text(overview->file_size), overview->is_encrypted ? "yes" : "no",
                        is ? is->mode : "-", is ? is->release : "-", is ? is->note : std::string());
    array.push_back(json_of(one, *overview));
  }
  invocation.print(text, json::serialize(json::object{{"snapshots", std::move(array)}}) + "\n");
  return {};
}

Result<> run_inspect(Invocation& invocation) {
  RN_TRY(const auto passphrase, passphrase_flag(invocation));
  KnownSnapshot known;
  if (const std::string file = invocation.text("--file"); !file.empty()) {
    if (invocation.has("--id")) return failure("Usage", "snapshot inspect takes --id or --file, not both");
    known.file = file;
  } else {
    RN_TRY(known, chosen(invocation));
  }
  const auto secret = passphrase ? std::optional<std::string_view>(*passphrase) : std::nullopt;
  RN_TRY(const Overview overview, snapshot::inspect(known.file, secret));
  if (overview.is_encrypted && !passphrase) {
    RN_CHECK(snapshot::check_sum(known.file));
  } else {
    RN_TRY(const auto reader, snapshot::Reader::open(known.file, secret));
    RN_CHECK(reader->verify());
  }
  if (overview.manifest && known.id.empty()) known.id = overview.manifest->description.id;
  std::string text;
  const auto line = [&](std::string_view name, std::string_view value) {
    text += fmt::format("{:<12} {}\n", name, value);
  };
  line("id", known.id.empty() ? encrypted_hint : std::string_view(known.id));
  line("file", known.file.string());
  line("created", snapshot::time_text(overview.created_at_s));
  line("size", size_text(overview.file_size));
  line("encrypted", overview.is_encrypted ? "yes" : "no");
  line("whole", "yes, by its sums");
  json::object out = json_of(known, overview);
  if (!overview.manifest) {
    text += std::string(encrypted_hint) + "\n";
  } else {
    const snapshot::Description& is = overview.manifest->description;
    line("cluster", is.cluster);
    line("mode", is.mode);
    line("version", is.release);
    line("store", fmt::format("{} at revision {}, {} objects", snapshot::name_of(is.store), is.revision,
                              is.object_count));
    if (!is.note.empty()) line("note", is.note);
    RN_TRY(const auto reader, snapshot::Reader::open(known.file, secret));
    RN_TRY(const SnapshotCluster cluster, read_cluster(*reader));
    line("kubernetes", cluster.kubernetes);
    line("Pods", joined(cluster.settings.pod_cidrs, ", "));
    line("Services", joined(cluster.settings.service_cidrs, ", "));
    line("node", cluster.settings.node_name);
    out["settings"] = describe_json(cluster.settings);
    json::array members;
    text += "members\n";
    for (const snapshot::Member& member : overview.manifest->members) {
      text += fmt::format("  {:<32} {:>10}  {}\n", member.name, size_text(member.size),
                          member.sha256.substr(0, 16));
      members.push_back(
          json::object{{"name", member.name}, {"size", member.size}, {"sha256", member.sha256}});
    }
    out["members"] = std::move(members);
  }
  invocation.print(text, json::serialize(json::object{{"snapshot", std::move(out)}}) + "\n");
  return {};
}

Result<> run_export(Invocation& invocation) {
  const std::string file = invocation.text("--file");
  if (file.empty()) return failure("Usage", "snapshot export needs --file FILE");
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const KnownSnapshot known, chosen(invocation));
  RN_CHECK(snapshot::check_sum(known.file));
  std::error_code error;
  const fs::path to = fs::absolute(file, error);
  RN_CHECK(copy_to_new(known.file, to));
  invocation.print(fmt::format("Snapshot {} is in {}.\n", known.id, to.string()),
                   json::serialize(json::object{{"id", known.id}, {"file", to.string()}}) + "\n");
  return {};
}

Result<> run_import(Invocation& invocation) {
  const std::string file = invocation.text("--file");
  if (file.empty()) return failure("Usage", "snapshot import needs --file FILE");
  RN_TRY(const auto passphrase, passphrase_flag(invocation));
  RN_TRY(const Overview header, snapshot::inspect(file));
  std::string cluster = invocation.has_name ? invocation.name : std::string();
  std::string id;
  if (header.is_encrypted && !passphrase && invocation.has_name) {
    RN_CHECK(snapshot::check_sum(file));  // whose it is, is taken on trust until it is restored
  } else {
    RN_TRY(const auto reader,
           snapshot::Reader::open(file,
                                  passphrase ? std::optional<std::string_view>(*passphrase) : std::nullopt));
    RN_CHECK(reader->verify());
    const snapshot::Description& is = reader->manifest().description;
    id = is.id;
    if (cluster.empty()) cluster = is.cluster;
    RN_CHECK(read_cluster(*reader));
  }
  RN_CHECK(check_cluster_name(cluster));
  RN_TRY(auto session, Session::open(invocation, Session::Access::change));
  remove_partial_snapshots(invocation.home);
  RN_TRY(const auto known, known_snapshots(invocation.home));
  const bool is_taken =
      std::any_of(known.begin(), known.end(), [&](const KnownSnapshot& one) { return one.id == id; });
  // Whoever takes one in wants it kept, and a schedule here would count it among its own.
  if (!is_snapshot_id(id) || is_taken || scheduled_time(id)) {
    RN_TRY(id, new_snapshot_id(invocation.home, SystemTime(std::chrono::seconds(header.created_at_s))));
  }
  const fs::path to = snapshot_path(invocation.home, cluster, id);
  RN_CHECK(certs::make_folder(to.parent_path(), 0700));
  RN_CHECK(copy_to_new(file, to));
  invocation.print(
      fmt::format("Snapshot {} of cluster \"{}\" is taken in.\n", id, cluster),
      json::serialize(json::object{{"id", id}, {"cluster", cluster}, {"file", to.string()}}) + "\n");
  return {};
}

Result<> run_delete(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::change));
  RN_TRY(const KnownSnapshot known, chosen(invocation));
  RN_CHECK(
      confirm(invocation, fmt::format("Delete snapshot {} of cluster \"{}\"?", known.id, known.cluster)));
  remove_partial_snapshots(invocation.home);
  std::error_code error;
  fs::remove(known.file, error);
  if (error) return internal_error(fmt::format("remove {}: {}", known.file.string(), error.message()));
  fs::remove(known.file.parent_path(), error);  // only when it was the last one, like the folder above
  fs::remove(invocation.home.snapshots(), error);
  invocation.print(fmt::format("Deleted snapshot {} of cluster \"{}\".\n", known.id, known.cluster),
                   json::serialize(json::object{{"deleted", known.id}}) + "\n");
  return {};
}

const Flag id_of_snapshot{"--id", "ID", "the snapshot, as `snapshot list` shows it"};
const Flag passphrase_file{"--passphrase-file", "FILE", "its first line encrypts or opens the snapshot"};

}  // namespace

std::vector<Command> snapshot_commands() {
  const std::vector<Flag> create_flags{
      {"--note", "TEXT", "one line that `snapshot list` shows"},
      {"--keep", "N", "then remove the oldest of the cluster's snapshots beyond N"},
      {"--scheduled", "", "as `snapshot schedule` takes them: --keep counts and removes only such"},
      passphrase_file,
      {"--dry-run", "", "print the steps and change nothing"},
      {"--yes", "", "answer what asks", false, 'y'},
  };
  return {
      {.word = "snapshot",
       .subword = "",
       .summary =
           "Copy a cluster's store, certificates and settings into one file, while it runs or is stopped.",
       .examples = "rusternetes-ctl snapshot\n"
                   "rusternetes-ctl snapshot dev --note \"before the upgrade\"",
       .flags = create_flags,
       .run = run_create},
      {.word = "snapshot",
       .subword = "create",
       .summary = "Take a snapshot, as `snapshot` alone does.",
       .examples = "rusternetes-ctl snapshot create dev --note \"every night\" --keep 7\n"
                   "rusternetes-ctl snapshot create dev --passphrase-file ~/.snapshot-passphrase",
       .flags = create_flags,
       .run = run_create},
      {.word = "snapshot",
       .subword = "list",
       .summary = "List the snapshots that this home keeps of a cluster, also of one that is deleted.",
       .examples = "rusternetes-ctl snapshot list\nrusternetes-ctl snapshot list --all --output json",
       .flags = {{"--all", "", "of every cluster"}, passphrase_file},
       .run = run_list},
      {.word = "snapshot",
       .subword = "inspect",
       .summary = "Check a snapshot as a whole and show what is in it.",
       .examples = "rusternetes-ctl snapshot inspect --id 20261122-082015\n"
                   "rusternetes-ctl snapshot inspect --file /backup/dev.snapshot",
       .flags = {id_of_snapshot, {"--file", "FILE", "a file instead, wherever it is"}, passphrase_file},
       .run = run_inspect},
      {.word = "snapshot",
       .subword = "export",
       .summary = "Copy a snapshot into a file elsewhere.",
       .examples = "rusternetes-ctl snapshot export --id 20261122-082015 --file /backup/dev.snapshot",
       .flags = {id_of_snapshot, {"--file", "FILE", "where to; there is none of that name yet"}},
       .run = run_export},
      {.word = "snapshot",
       .subword = "import",
       .summary = "Take a snapshot's file into this home.",
       .examples = "rusternetes-ctl snapshot import --file /backup/dev.snapshot\n"
                   "rusternetes-ctl snapshot import dev --file /backup/dev.snapshot --passphrase-file FILE",
       .flags = {{"--file", "FILE", "the file, which stays where it is"}, passphrase_file},
       .run = run_import},
      {.word = "snapshot",
       .subword = "delete",
       .summary = "Delete a snapshot.",
       .examples = "rusternetes-ctl snapshot delete dev --id 20261122-082015 --yes",
       .flags = {id_of_snapshot, {"--yes", "", "do not ask", false, 'y'}},
       .run = run_delete},
      snapshot_schedule_command(),
  };
}

}  // namespace rusternetes::launcher
