// rhino: an etcd v3 server on one SQLite file. The flags are etcd's own; `rhino snapshot ...` carries data to
// and from etcd.

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "base/log.h"
#include "base/memory_trim.h"
#include "base/open_files.h"
#include "certs/file.h"
#include "rhino/auto_compaction.h"
#include "rhino/flags.h"
#include "rhino/server.h"
#include "rhino/server_tls.h"
#include "rhino/services.h"
#include "rhino/snapshot_command.h"
#include "storage/blocking.h"
#include "storage/copy/copy_server.h"
#include "storage/sqlite/sqlite_store.h"

extern char** environ;

using namespace rusternetes;

namespace {

int fail(const Status& status) {
  std::cerr << "rhino: " << status.message << "\n";
  return 1;
}

// What goes to standard error goes to --log-outputs.
Result<void> redirect_log(const std::string& output) {
  if (output == "stderr") return {};
  const int fd = output == "stdout" ? ::dup(STDOUT_FILENO)
                                    : ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error(fmt::format("--log-outputs {}", output), errno);
  ::dup2(fd, STDERR_FILENO);
  ::close(fd);
  return {};
}

// For a service manager that waits to be told (sd_notify(3)).
void notify(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (!path || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  ::close(fd);
}

// snapshot-PID-N.tmp of Maintenance.Snapshot, copy-PID.db of storage/copy.
bool is_temporary(const std::string& name) {
  if (name.starts_with("snapshot-") && name.ends_with(".tmp")) return true;
  const auto end = name.starts_with("copy-") ? name.find_first_not_of("0123456789", 5) : name.npos;
  return end != name.npos && end > 5 && (name.substr(end) == ".db" || name.substr(end) == ".db-journal");
}

Result<std::unique_ptr<storage::sqlite::SqliteStore>> open_store(const rhino::Flags& flags) {
  const std::filesystem::path folder = flags.data_dir;
  if (std::filesystem::exists(folder / "member"))
    return Status(400, "BadRequest",
                  fmt::format("--data-dir {0} holds the data of an etcd: bring it into another folder with "
                              "`rhino snapshot import --from {0} --data-dir FOLDER`",
                              flags.data_dir));
  const auto file = folder / "store.db";
  if (!std::filesystem::exists(file)) RN_CHECK(rhino::check_initial_cluster(flags));
  RN_CHECK(certs::make_folder(folder, 0700));
  storage::sqlite::StoreOptions options;
  options.path = file;
  RN_TRY(auto store, storage::sqlite::SqliteStore::open(options));
  // What snapshots and copies under way left behind when the process was killed.
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (is_temporary(entry.path().filename()))
      std::filesystem::remove(entry.path(), ignored);
  return store;
}

rhino::ServicesOptions services_options(const rhino::Flags& flags) {
  rhino::ServicesOptions options;
  options.name = flags.name;
  options.client_urls = rhino::texts(flags.advertise_client_urls);
  options.peer_urls = rhino::texts(flags.advertise_peer_urls);
  options.quota_bytes = flags.quota_bytes;
  options.max_txn_ops = flags.max_txn_ops;
  options.max_request_bytes = flags.max_request_bytes;
  options.progress_notify_interval = flags.progress_notify_interval;
  options.scratch_folder = flags.data_dir;
  return options;
}

rhino::HttpEndpoints::Options endpoints_options(const rhino::Flags& flags, rhino::Services& services,
                                                storage::sqlite::SqliteStore& store) {
  rhino::HttpEndpoints::Options options;
  options.health = [&services](const std::vector<std::string>& excluded) {
    return services.health(excluded);
  };
  options.counters = [&services] { return services.counters(); };
  options.figures = [&store, quota = flags.quota_bytes] {
    rhino::StoreFigures figures;
    figures.revision = store.current_revision();
    figures.compact_revision = store.compact_revision();
    figures.keys = static_cast<std::int64_t>(store.key_count());
    figures.size_bytes = store.size_bytes();
    if (const auto used = store.used_bytes()) figures.used_bytes = *used;
    figures.quota_bytes = quota;
    return figures;
  };
  options.member_id = services.member_id();
  options.cors = flags.cors;
  options.host_whitelist = flags.host_whitelist;
  return options;
}

std::unique_ptr<rhino::AutoCompaction> start_compaction(const rhino::Flags& flags,
                                                        storage::sqlite::SqliteStore& store) {
  std::unique_ptr<rhino::CompactionSchedule> schedule;
  if (flags.auto_compaction_mode == "revision" && flags.compaction_revisions > 0)
    schedule = std::make_unique<rhino::RevisionSchedule>(flags.compaction_revisions);
  else if (flags.auto_compaction_mode == "periodic" && flags.compaction_period.count() > 0)
    schedule = std::make_unique<rhino::PeriodicSchedule>(flags.compaction_period,
                                                         std::chrono::steady_clock::now());
  if (!schedule) return nullptr;
  rhino::AutoCompaction::Target target;
  target.revision = [&store] { return store.current_revision(); };
  target.compact = [&store](std::int64_t revision) {
    return storage::blocking_call<void>([&](auto done) { store.compact(revision, std::move(done)); });
  };
  return std::make_unique<rhino::AutoCompaction>(std::move(schedule), std::move(target));
}

// The socket of --store-copy-socket, while it lives.
class Copies {
 public:
  static Result<std::unique_ptr<Copies>> start(const rhino::Flags& flags,
                                               storage::sqlite::SqliteStore& store) {
    if (flags.store_copy_socket.empty()) return nullptr;
    auto copies = std::make_unique<Copies>(flags, store);
    if (auto done = copies->server_.start(flags.store_copy_socket); !done)
      return Status(500, "InternalError", "--store-copy-socket: " + done.error().message);
    return copies;
  }
  Copies(const rhino::Flags& flags, storage::sqlite::SqliteStore& store)
      : server_(thread_.executor(), flags.data_dir,
                [&store](const std::string& path) { return store.copy_to(path); }) {}
  ~Copies() { run_blocking(thread_.executor(), server_.stop()); }

 private:
  EventThread thread_{"store-copy"};
  storage::CopyServer server_;
};

int serve(rhino::Flags flags, const sigset_t& signals) {
  auto store = open_store(flags);
  if (!store) return fail(store.error());
  if (auto made = rhino::ensure_self_signed(flags); !made) return fail(made.error());
  auto services = rhino::Services::make(**store, services_options(flags));
  if (!services) return fail(services.error());
  rhino::Server::Options options;
  options.flags = flags;
  options.endpoints = endpoints_options(flags, **services, **store);
  options.add_services = [&services](grpc::ServerBuilder& builder) { (*services)->add_to(builder); };
  options.end_streams = [&services] { (*services)->stop(); };
  auto server = rhino::Server::start(std::move(options));
  if (!server) return fail(server.error());
  auto copies = Copies::start(flags, **store);
  if (!copies) return fail(copies.error());
  auto compaction = start_compaction(flags, **store);
  const MemoryTrim memory("rhino", {});
  log::info("rhino", "ready: serving {} at revision {} on {}", flags.data_dir, (*store)->current_revision(),
            rhino::join(rhino::texts((*server)->urls()), ", "));
  notify("READY=1");
  int received = 0;
  ::sigwait(&signals, &received);
  log::info("rhino", "stopping: {}", ::strsignal(received));
  notify("STOPPING=1");
  copies->reset();
  compaction.reset();
  (*server)->stop();
  return 0;
}

int run_server(const std::vector<std::string>& arguments, const sigset_t& signals) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry; ++entry) environment.emplace_back(*entry);
  auto outcome = rhino::parse_flags(arguments, environment);
  std::cout << outcome.out << std::flush;
  std::cerr << outcome.err;
  if (outcome.exit_code) return *outcome.exit_code;
  if (auto done = redirect_log(outcome.flags.log_output); !done) return fail(done.error());
  log::set_level(outcome.flags.log_level);
  for (const auto& warning : outcome.warnings) log::warn("rhino", "{}", warning);
  if (auto done = rhino::restrict_tls(outcome.flags.tls); !done) return fail(done.error());
  return serve(std::move(outcome.flags), signals);
}

int run_snapshot(int argc, char** argv) {
  CLI::App app{"An etcd v3 server on one SQLite file", "rhino"};
  rhino::SnapshotCommand command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return command.run().value_or(1);
}

}  // namespace

int main(int argc, char** argv) {
  // A word that is no flag is a command; etcd's own command line has flags alone.
  if (argc > 1 && std::string_view(argv[1]) == "snapshot") return run_snapshot(argc, argv);
  raise_open_files();
  // An arena a thread would keep what each of gRPC's threads once needed. What one answer needed is kept for
  // the next, not given back and cleared anew each time; once it is calm, MemoryTrim gives it back.
  ::mallopt(M_ARENA_MAX, 4);
  ::mallopt(M_TRIM_THRESHOLD, 32 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return run_server(std::vector<std::string>(argv + 1, argv + argc), signals);
}
