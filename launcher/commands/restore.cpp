// restore: puts a snapshot's state in the place of a cluster's, or makes the cluster anew from it.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "certs/file.h"
#include "certs/pki.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/ports/http_port.h"
#include "launcher/report.h"
#include "launcher/snapshot_commands.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// Without a way to learn it, more than any cluster comes to between two restores.
constexpr std::int64_t unknown_floor = 10 * restore_bump;

// What the api-server's lists are of; nothing if it does not answer.
std::optional<std::int64_t> revision_of_api(const StepContext& context) {
  HttpRequest request{.url = context.settings.server() + "/api/v1/namespaces?limit=1"};
  const auto pair = certs::read_pair(context.paths.pki(), "admin");
  const auto authority = certs::read_text(context.paths.pki() / "ca.crt");
  if (!pair || !authority) return {};
  request.certificate_pem = pair->certificate_pem;
  request.key_pem = pair->key_pem;
  request.authority_pem = *authority;
  request.timeout = std::chrono::milliseconds(3000);
  request.is_last = true;
  const auto answer = context.environment.http.send(request);
  if (!answer || answer->status != 200) return {};
  boost::system::error_code error;
  const json::value list = json::parse(answer->body, error);
  const json::value* found = error ? nullptr : list.find_pointer("/metadata/resourceVersion", error);
  if (found == nullptr || !found->is_string()) return {};
  const auto& text = found->get_string();
  std::int64_t revision = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), revision);
  return problem == std::errc() && end == text.data() + text.size() ? std::optional(revision) : std::nullopt;
}

// The cluster as it is before anything is done to it.
struct Present {
  bool is_running = false;
  std::optional<std::int64_t> revision;
  std::optional<Status> unreadable;  // why a stopped cluster's store is of no use any more
};

Result<Present> look(const StepContext& context) {
  RN_TRY(const Liveness liveness, look_at(context));
  const bool is_one = !context.settings.has_containers();
  Present present{.is_running = is_one ? liveness.is_whole : liveness.is_running, .revision = {}, .unreadable = {}};
  if (present.is_running) {
    present.revision = revision_of_api(context);
  } else if (!liveness.is_running && context.settings.mode != "etcd") {
    const auto facts = context.environment.store->facts(store_source(context).file);
    if (facts)
      present.revision = facts->revision;
    else
      present.unreadable = facts.error();
  }
  return present;
}

std::string question(const ClusterSettings& settings, const OpenSnapshot& source, const Present& present,
                     SystemTime now, std::string_view action) {
  const std::int64_t age = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() -
                           source.created_at_s();
  std::string dropped;
  if (present.unreadable) {
    dropped = fmt::format("The cluster's own store cannot be read: {}.", present.unreadable->message);
  } else if (!present.revision) {
    dropped = "What was written since then is dropped; how much, the api-server does not say.";
  } else {
    const Distance since = distance(source.reader->manifest().description.revision, *present.revision);
    dropped = fmt::format("{} revision{} since then {} dropped{}.", since.revisions,
                          since.revisions == 1 ? "" : "s", since.revisions == 1 ? "is" : "are",
                          since.restores == 0 ? std::string()
                                              : fmt::format(", and {} restore{}", since.restores,
                                                            since.restores == 1 ? "" : "s"));
  }
  if (settings.created_at_ms != source.cluster.settings.created_at_ms)
    dropped += fmt::format(
        " The snapshot is of an earlier cluster of this name, or of one of another home: all that "
        "is in this one goes.");
  return fmt::format("{} {} to {}, {} ago?", dropped, action, snapshot::time_text(source.created_at_s()),
                     duration_text(age));
}

Result<> check_is_of(const ClusterSettings& settings, const OpenSnapshot& source) {
  const ClusterSettings& other = source.cluster.settings;
  if (can_take_store_of(settings, other)) return {};
  if (settings.name != other.name)
    return failure("SnapshotOfAnother", fmt::format("snapshot {} is of cluster \"{}\", not of \"{}\"",
                                                    source.id(), other.name, settings.name));
  return failure(
      "SnapshotOfAnother",
      fmt::format(
          "snapshot {} is of an earlier cluster \"{}\", with Pods {} and Services {} where this one has "
          "{} and {}",
          source.id(), other.name, joined(other.pod_cidrs), joined(other.service_cidrs),
          joined(settings.pod_cidrs), joined(settings.service_cidrs)));
}

// The present state becomes a snapshot first; nothing if there is nothing that could be kept.
Result<std::optional<TakenSnapshot>> keep_present(Invocation& invocation, Session& session,
                                                  const ClusterSettings& settings, const OpenSnapshot& source,
                                                  const Present& present) {
  if (invocation.has("--no-snapshot") || present.unreadable) return std::optional<TakenSnapshot>();
  auto taken = take_snapshot(session, settings,
                             {fmt::format("before the restore of {}", source.id()), source.passphrase});
  if (taken) return std::optional(*std::move(taken));
  const Status& why = taken.error();
  if (why.is("StoreUnreachable") || why.is("StoreInUse"))
    return failure(why.reason,
                   fmt::format("{}; nothing was changed, and --no-snapshot restores without keeping what "
                               "is there",
                               why.message));
  if (!why.is("StoreDamaged") && !why.is("NotFound")) return why;
  session.progress().note(fmt::format("The present state cannot be kept as a snapshot: {}.", why.message));
  return std::optional<TakenSnapshot>();
}

// The task without what only the present cluster says.
Task task_of(const StepContext& context, const Invocation& invocation, const OpenSnapshot& source) {
  std::error_code ignored;
  auto task = std::make_shared<SnapshotTask>();
  task->id = source.id();
  task->file = source.file;
  task->passphrase = source.passphrase;
  task->has_certificates =
      invocation.has("--certificates") || !fs::exists(context.paths.pki() / "ca.crt", ignored);
  return task;
}

Result<> restore_into(Invocation& invocation, Session& session, const ClusterSettings& settings,
                      OpenSnapshot source, std::chrono::milliseconds wait) {
  const SteadyTime started = invocation.environment.clock.steady_now();
  const Context context = session.context(settings);
  for (const char* flag :
       {"--mode", "--ha", "--nodes", "--engine", "--node-network", "--publish", "--api-port", "--pod-cidr", "--service-cidr"})
    if (invocation.has(flag))
      return failure("Usage", fmt::format("{} is for a cluster that is not there yet, and \"{}\" is there",
                                          flag, settings.name));
  RN_CHECK(session.check_recovered(settings.name));
  RN_CHECK(check_is_of(settings, source));
  if (invocation.has("--dry-run")) {
    print_plan(invocation, restore_plan(context, task_of(*context, invocation, source)), settings);
    return {};
  }
  RN_TRY(const PreparedRestore prepared, prepare_restore(invocation, session, settings, source,
                                                         fmt::format("Restore cluster \"{}\"", settings.name)));
  RN_CHECK(session.run(restore_plan(context, prepared.task), plan_arguments(settings, *prepared.task)));
  const bool is_waiting = prepared.was_running && wait.count() > 0;
  if (is_waiting) RN_CHECK(wait_with_progress(session, *context, wait));
  const std::int64_t elapsed = elapsed_ms(invocation, started);
  std::string text =
      fmt::format("Cluster \"{}\" is as it was {} ({:.1f} s){}.\n", settings.name,
                  snapshot::time_text(source.created_at_s()), static_cast<double>(elapsed) / 1000,
                  is_waiting             ? ""
                  : prepared.was_running ? "; it is starting"
                                         : "; `rusternetes-ctl start` starts it");
  json::object out{
      {"cluster", describe_json(settings)},
      {"restored", source.id()},
      {"createdAt", snapshot::time_text(source.created_at_s())},
      {"droppedRevisions", prepared.dropped_revisions ? json::value(*prepared.dropped_revisions) : json::value()},
      {"ready", is_waiting},
      {"elapsedMs", elapsed}};
  if (prepared.kept) {
    text += fmt::format("What it was before is snapshot {}.\n", prepared.kept->snapshot.id);
    out["before"] = prepared.kept->snapshot.id;
  }
  invocation.print(text, json::serialize(out) + "\n");
  return {};
}

Result<> run_restore(Invocation& invocation) {
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  const std::string id = invocation.text("--id");
  const std::string file = invocation.text("--file");
  if (id.empty() == file.empty())
    return failure("Usage",
                   "restore needs --id ID, as `rusternetes-ctl snapshot list` shows it, or --file FILE");
  RN_TRY(auto passphrase, passphrase_flag(invocation));
  RN_TRY(auto session, Session::open(invocation, invocation.has("--dry-run") ? Session::Access::look
                                                                             : Session::Access::change));
  RN_TRY(OpenSnapshot source, open_snapshot(invocation, id, file, invocation.name, std::move(passphrase)));
  RN_TRY(const auto clusters, session->clusters());
  for (const ClusterSettings& settings : clusters)
    if (settings.name == invocation.name)
      return restore_into(invocation, *session, settings, std::move(source), wait);
  return make_clone(invocation, *session, std::move(source), invocation.has("--certificates"));
}

}  // namespace

Result<PreparedRestore> prepare_restore(Invocation& invocation, Session& session, const ClusterSettings& settings,
                                        const OpenSnapshot& source, std::string_view action) {
  RN_CHECK(check_is_of(settings, source));
  const Context context = session.context(settings);
  RN_TRY(const Present present, look(*context));
  RN_CHECK(
      confirm(invocation, question(settings, source, present, invocation.environment.clock.now(), action)));
  PreparedRestore out;
  out.was_running = present.is_running;
  RN_TRY(out.kept, keep_present(invocation, session, settings, source, present));
  const std::int64_t then = source.reader->manifest().description.revision;
  const std::int64_t seen = std::max(present.revision.value_or(0),
                                     out.kept ? out.kept->overview.manifest->description.revision : 0);
  if (present.revision) out.dropped_revisions = distance(then, *present.revision).revisions;
  out.task = task_of(*context, invocation, source);
  out.task->keeps_old_store = !out.kept && !invocation.has("--no-snapshot");
  out.task->revision_floor = seen > 0 ? seen : then + unknown_floor;
  return out;
}

Command restore_command() {
  std::vector<Flag> flags{
      {"--id", "ID", "the snapshot, as `snapshot list` shows it"},
      {"--file", "FILE", "a snapshot's file instead, wherever it is"},
      {"--passphrase-file", "FILE",
       "its first line opens an encrypted snapshot, and encrypts what is kept first"},
      {"--certificates", "", "take the snapshot's certificates and keys, too"},
      {"--no-snapshot", "", "do not keep the present state as a snapshot first"},
  };
  for (Flag& flag : clone_flags()) flags.push_back(flag);
  return {.word = "restore",
          .subword = "",
          .summary = "Put a cluster back to a snapshot; a cluster that is gone is made anew.",
          .examples =
              "rusternetes-ctl restore --id 20261122-082015\n"
              "rusternetes-ctl restore dev --file /backup/dev.snapshot --yes\n"
              "rusternetes-ctl restore dev --id 20261122-082015 --dry-run",
          .flags = std::move(flags),
          .run = run_restore};
}

}  // namespace rusternetes::launcher
