#include "state/state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace rusternetes::state {
namespace {

constexpr const char* schema = R"sql(
CREATE TABLE clusters(
  name TEXT PRIMARY KEY, mode TEXT NOT NULL, engine TEXT NOT NULL, phase TEXT NOT NULL, settings TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE reservations(
  kind TEXT NOT NULL, value TEXT NOT NULL, cluster TEXT NOT NULL, PRIMARY KEY(kind,value)) STRICT;
CREATE TABLE plans(
  id INTEGER PRIMARY KEY AUTOINCREMENT, cluster TEXT NOT NULL, kind TEXT NOT NULL, arguments TEXT NOT NULL,
  started_at_ms INTEGER NOT NULL, ended_at_ms INTEGER, outcome TEXT) STRICT;
CREATE TABLE steps(
  plan INTEGER NOT NULL, position INTEGER NOT NULL, step TEXT NOT NULL, phase TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY(plan,position)) STRICT;
)sql";

constexpr std::size_t header_size = 100;

std::uint32_t big_endian(const unsigned char* bytes) {
  return (std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) | (std::uint32_t{bytes[2]} << 8) |
         bytes[3];
}

Status refused(std::string_view reason, const std::filesystem::path& path, std::string_view why) {
  return Status(500, std::string(reason), fmt::format("{} {}", path.string(), why));
}

// Looks at the first bytes before SQLite does: SQLite would roll back journals of a file that is not ours.
// Offsets are those of SQLite's file format, section 1.3.
Result<> check_header(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_error("open " + path.string(), errno);
  std::array<unsigned char, header_size> header{};
  const ssize_t got = ::pread(fd, header.data(), header.size(), 0);
  ::close(fd);
  if (got != static_cast<ssize_t>(header_size) || std::memcmp(header.data(), "SQLite format 3", 16) != 0)
    return refused(reason_damaged, path, "is damaged or not a state file of rusternetes-ctl");
  if (big_endian(header.data() + 68) != application_id)
    return refused(reason_foreign, path, "is a database of another program");
  const std::uint32_t format = big_endian(header.data() + 60);
  if (format > static_cast<std::uint32_t>(format_version))
    return refused(reason_newer, path,
                   fmt::format("has format {}, written by a newer release; this one reads up to {}", format,
                               format_version));
  return {};
}

// A connection that cannot write: a damaged file stays as it is, byte for byte.
Result<> check_content(const std::filesystem::path& path) {
  std::string verdict;
  auto database = Database::open(path.string(), SQLITE_OPEN_READONLY);
  Result<> checked =
      database ? (*database)->run("PRAGMA quick_check(1)", {}, [&](const Row& row) { verdict = row.text(0); })
               : Result<>(std::move(database).error());
  if (!checked || verdict != "ok") return refused(reason_damaged, path, "is damaged");
  return {};
}

// Made aside and renamed, so that no half-made file is ever found at `path`.
Result<> create(const std::filesystem::path& path) {
  const std::string temporary = path.string() + ".new";
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error("create " + temporary, errno);
  ::close(fd);
  {
    RN_TRY(auto database, Database::open(temporary, SQLITE_OPEN_READWRITE));
    RN_CHECK(database->script(
        fmt::format("PRAGMA synchronous=FULL; PRAGMA application_id={}; PRAGMA user_version={};",
                    application_id, format_version)
            .c_str()));
    RN_CHECK(database->transaction([&] { return database->script(schema); }));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error("rename " + path.string(), errno);
  return {};
}

Cluster cluster_from(const Row& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.integer(5)};
}

}  // namespace

Result<std::unique_ptr<State>> State::open(const std::filesystem::path& path, bool may_create) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return errno_error("stat " + path.string(), errno);
    if (!may_create) return Status(404, "NotFound", fmt::format("{} does not exist", path.string()));
    RN_CHECK(create(path));
  }
  RN_CHECK(check_header(path));
  RN_CHECK(check_content(path));
  RN_TRY(auto database, Database::open(path.string(), SQLITE_OPEN_READWRITE));
  // One sync a commit instead of three; an acknowledged intent is on disk (synchronous=FULL).
  RN_CHECK(database->script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"));
  return std::unique_ptr<State>(new State(std::move(database)));
}

Result<std::vector<Cluster>> State::clusters() {
  std::vector<Cluster> out;
  RN_CHECK(database_->run("SELECT name,mode,engine,phase,settings,created_at_ms FROM clusters ORDER BY name",
                          {}, [&](const Row& row) { out.push_back(cluster_from(row)); }));
  return out;
}

Result<std::optional<Cluster>> State::find(std::string_view name) {
  std::optional<Cluster> out;
  RN_CHECK(database_->run("SELECT name,mode,engine,phase,settings,created_at_ms FROM clusters WHERE name=?",
                          {name}, [&](const Row& row) { out = cluster_from(row); }));
  return out;
}

Result<std::vector<Reservation>> State::reservations() {
  std::vector<Reservation> out;
  RN_CHECK(database_->run("SELECT cluster,kind,value FROM reservations ORDER BY cluster,kind,value", {},
                          [&](const Row& row) {
                            out.push_back({row.text(0), row.text(1), row.text(2)});
                          }));
  return out;
}

Result<> State::record(const Cluster& cluster, const std::vector<Reservation>& reservations) {
  return database_->transaction([&]() -> Result<> {
    RN_CHECK(database_->run(
        "INSERT OR REPLACE INTO clusters(name,mode,engine,phase,settings,created_at_ms) VALUES(?,?,?,?,?,?)",
        {cluster.name, cluster.mode, cluster.engine, cluster.phase, cluster.settings,
         cluster.created_at_ms}));
    RN_CHECK(database_->run("DELETE FROM reservations WHERE cluster=?", {cluster.name}));
    for (const Reservation& wanted : reservations) {
      std::string holder;
      RN_CHECK(database_->run("SELECT cluster FROM reservations WHERE kind=? AND value=?",
                              {wanted.kind, wanted.value}, [&](const Row& row) { holder = row.text(0); }));
      if (!holder.empty() && holder != cluster.name)
        return Status(409, "Conflict",
                      fmt::format("{} {} belongs to cluster \"{}\"", wanted.kind, wanted.value, holder));
      RN_CHECK(database_->run("INSERT OR REPLACE INTO reservations(kind,value,cluster) VALUES(?,?,?)",
                              {wanted.kind, wanted.value, cluster.name}));
    }
    return {};
  });
}

Result<> State::set_phase(std::string_view name, std::string_view phase) {
  return database_->run("UPDATE clusters SET phase=? WHERE name=?", {phase, name});
}

Result<> State::forget(std::string_view name) {
  return database_->transaction([&]() -> Result<> {
    RN_CHECK(database_->run("DELETE FROM reservations WHERE cluster=?", {name}));
    return database_->run("DELETE FROM clusters WHERE name=?", {name});
  });
}

}  // namespace rusternetes::state
