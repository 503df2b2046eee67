#include "launcher/snapshots.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <tuple>

#include "base/nearest.h"
#include "certs/file.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/report.h"
#include "launcher/snapshot/errors.h"
#include "launcher/snapshot/file.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view suffix = ".snapshot";
constexpr std::string_view scheduled_suffix = "-scheduled";

bool is_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

// A DNS subdomain, as far as it matters here.
bool is_node_name(std::string_view name) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 253 && is_plain(name.front()) && is_plain(name.back()) &&
         name.find("..") == name.npos &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_plain(c) || c == '-' || c == '.'; });
}

Result<> add_folder(const fs::path& folder, std::vector<KnownSnapshot>& out) {
  std::error_code error;
  fs::directory_iterator files(folder, error);
  if (error == std::errc::no_such_file_or_directory) return {};
  for (; !error && files != fs::directory_iterator(); files.increment(error)) {
    const std::string name = files->path().filename().string();
    if (!name.ends_with(suffix)) continue;
    const std::string id = name.substr(0, name.size() - suffix.size());
    std::error_code ignored;
    if (is_snapshot_id(id) && files->is_regular_file(ignored))
      out.push_back({id, folder.filename().string(), files->path()});
  }
  if (error) return internal_error(fmt::format("read {}: {}", folder.string(), error.message()));
  return {};
}

}  // namespace

bool is_snapshot_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && id.front() != '.' &&
         std::all_of(id.begin(), id.end(), is_id_character);
}

Result<std::vector<KnownSnapshot>> known_snapshots(const Home& home, const std::string& cluster) {
  std::vector<KnownSnapshot> out;
  if (!cluster.empty()) {
    RN_CHECK(add_folder(home.snapshots() / cluster, out));
  } else {
    std::error_code error;
    fs::directory_iterator folders(home.snapshots(), error);
    if (error == std::errc::no_such_file_or_directory) return out;
    for (; !error && folders != fs::directory_iterator(); folders.increment(error)) {
      std::error_code ignored;
      if (folders->is_directory(ignored)) RN_CHECK(add_folder(folders->path(), out));
    }
    if (error) return internal_error(fmt::format("read {}: {}", home.snapshots().string(), error.message()));
  }
  std::sort(out.begin(), out.end(), [](const KnownSnapshot& a, const KnownSnapshot& b) {
    return std::tie(a.cluster, a.id) < std::tie(b.cluster, b.id);
  });
  return out;
}

Result<KnownSnapshot> find_snapshot(const Home& home, const std::string& cluster, const std::string& id) {
  RN_TRY(const auto all, known_snapshots(home, cluster));
  std::vector<std::string> ids;
  std::vector<KnownSnapshot> found;
  for (const KnownSnapshot& one : all) {
    if (one.id == id) found.push_back(one);
    ids.push_back(one.id);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1)
    return failure("BadRequest",
                   fmt::format("\"{}\" and \"{}\" both have a snapshot {}: name its file by --file",
                               found[0].cluster, found[1].cluster, id));
  std::string message = cluster.empty() ? fmt::format("there is no snapshot {}", id)
                                        : fmt::format("cluster \"{}\" has no snapshot {}", cluster, id);
  if (const std::string near = nearest(id, ids); !near.empty())
    message += fmt::format("; did you mean {}?", near);
  else if (!ids.empty())
    message += fmt::format("; the newest is {}", *std::max_element(ids.begin(), ids.end()));
  return failure("SnapshotNotFound", message);
}

fs::path snapshot_path(const Home& home, const std::string& cluster, const std::string& id) {
  return home.snapshots() / cluster / (id + std::string(suffix));
}

std::optional<SystemTime> scheduled_time(std::string_view id) {
  constexpr std::size_t length = std::string_view("20261122-082015").size();
  if (!id.substr(std::min(id.size(), length)).starts_with(scheduled_suffix)) return std::nullopt;
  std::tm parts{};
  const std::string text(id.substr(0, length));
  const char* end = ::strptime(text.c_str(), "%Y%m%d-%H%M%S", &parts);
  if (end == nullptr || *end != 0) return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

Result<std::string> new_snapshot_id(const Home& home, SystemTime time, bool is_scheduled) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  const std::string base =
      fmt::format("{:04}{:02}{:02}-{:02}{:02}{:02}{}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                  parts.tm_hour, parts.tm_min, parts.tm_sec, is_scheduled ? scheduled_suffix : "");
  RN_TRY(const auto all, known_snapshots(home));
  std::set<std::string> taken;
  for (const KnownSnapshot& one : all) taken.insert(one.id);
  std::string id = base;
  for (int number = 2; taken.contains(id); ++number) id = fmt::format("{}-{}", base, number);
  return id;
}

Result<std::vector<std::string>> remove_oldest_snapshots(const Home& home, const std::string& cluster,
                                                         std::size_t count, bool is_scheduled,
                                                         SystemTime now) {
  RN_TRY(auto known, known_snapshots(home, cluster));
  const std::int64_t now_s = std::chrono::system_clock::to_time_t(now);
  struct Aged {
    bool is_past;
    std::int64_t created_at_s;
    KnownSnapshot snapshot;
    // Of one second, the one with the longer number behind its id is the newer one.
    auto age() const {
      return std::tuple(is_past, created_at_s, snapshot.id.size(), std::string_view(snapshot.id));
    }
  };
  std::vector<Aged> by_age;
  for (KnownSnapshot& one : known) {
    if (is_scheduled && !scheduled_time(one.id)) continue;
    if (const auto overview = snapshot::inspect(one.file))
      by_age.push_back({overview->created_at_s <= now_s, overview->created_at_s, std::move(one)});
  }
  std::sort(by_age.begin(), by_age.end(), [](const Aged& a, const Aged& b) { return a.age() > b.age(); });
  std::vector<std::string> removed;
  for (std::size_t i = count; i < by_age.size(); ++i) {
    const fs::path& file = by_age[i].snapshot.file;
    std::error_code error;
    fs::remove(file, error);
    if (error) return internal_error(fmt::format("remove {}: {}", file.string(), error.message()));
    removed.push_back(by_age[i].snapshot.id);
  }
  return removed;
}

std::string to_json(const SnapshotCluster& cluster) {
  boost::system::error_code ignored;
  return json::serialize(json::object{{"settings", json::parse(to_json(cluster.settings), ignored)},
                                      {"release", cluster.release},
                                      {"kubernetes", cluster.kubernetes}});
}

Result<SnapshotCluster> snapshot_cluster_from_json(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* settings = object == nullptr ? nullptr : object->if_contains("settings");
  if (settings == nullptr || !settings->is_object())
    return failure("SnapshotDamaged",
                   fmt::format("the snapshot's {} does not say what the cluster was", cluster_member));
  SnapshotCluster out;
  RN_TRY(out.settings, settings_from_json(json::serialize(*settings)));
  // It becomes an argument, a subject of certificates and part of paths.
  std::vector<std::string> nodes = node_names(out.settings);
  if (nodes.empty() || !std::all_of(nodes.begin(), nodes.end(), is_node_name))
    return failure("SnapshotDamaged", fmt::format("the snapshot's {} names no node", cluster_member));
  const auto text_of = [&](const char* key) {
    const auto* field = object->if_contains(key);
    return field != nullptr && field->is_string() ? std::string(field->get_string()) : std::string();
  };
  out.release = text_of("release");
  out.kubernetes = text_of("kubernetes");
  return out;
}

Result<SnapshotCluster> read_cluster(const snapshot::Reader& reader) {
  RN_TRY(const std::string text, reader.read(cluster_member, 1 << 20));
  return snapshot_cluster_from_json(text);
}

bool can_take_store_of(const ClusterSettings& cluster, const ClusterSettings& snapshot) {
  // Nodes that are containers have the same names in either mode.
  return cluster.name == snapshot.name && cluster.has_containers() == snapshot.has_containers() &&
         cluster.node_name == snapshot.node_name && cluster.node_network == snapshot.node_network &&
         cluster.service_cidrs == snapshot.service_cidrs && cluster.pod_cidrs == snapshot.pod_cidrs;
}

StoreSource store_source(const StepContext& context) {
  const fs::path data = context.paths.data();
  const fs::path pki = context.paths.pki();
  if (context.settings.mode == "etcd")
    return {.kind = snapshot::StoreKind::etcd,
            .socket = {},
            .file = {},
            .endpoints = store_urls(context.settings),
            .authority = pki / "etcd/ca.crt",
            .certificate = pki / "apiserver-etcd-client.crt",
            .key = pki / "apiserver-etcd-client.key",
            .tool = context.environment.binary_dir / "rhino"};
  const fs::path folder = context.settings.mode == "sqlite" ? data / "rhino" : data;
  return {.kind = snapshot::StoreKind::sqlite,
          .socket = folder / "store.sock",
          .file = folder / "store.db",
          .endpoints = {},
          .authority = {},
          .certificate = {},
          .key = {},
          .tool = {}};
}

Distance distance(std::int64_t from, std::int64_t to) {
  if (to <= from) return {};
  return {(to - from) % restore_bump, (to - from) / restore_bump};
}

Result<> copy_to_new(const fs::path& from, const fs::path& to) {
  const fs::path partial = to.string() + ".partial";
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(to, ignored))) return snapshot::in_the_way(to);
  const auto copy = [&]() -> Result<> {
    RN_TRY(const auto source, snapshot::File::open(from));
    fs::remove(partial, ignored);
    const int fd = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return snapshot::file_error("make", partial, errno);
    snapshot::File target(fd, partial);
    std::vector<std::uint8_t> piece(snapshot::piece_size);
    for (std::uint64_t at = 0;;) {
      RN_TRY(const std::size_t got, source.read_at(at, piece));
      if (got == 0) break;
      RN_CHECK(target.write(snapshot::Bytes(piece).first(got)));
      at += got;
    }
    if (::fsync(fd) != 0) return snapshot::file_error("write", partial, errno);
    if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0)
      return errno == EEXIST ? snapshot::in_the_way(to) : snapshot::file_error("rename", partial, errno);
    return sync_folder(to.parent_path());
  };
  auto copied = copy();
  if (!copied) fs::remove(partial, ignored);
  return copied;
}

Result<> sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return snapshot::file_error("open", folder, errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error == 0 ? Result<>() : Result<>(snapshot::file_error("write", folder, error));
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  if (bytes < 1024ULL * 1024 * 1024)
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024 * 1024));
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * 1024 * 1024));
}

std::string duration_text(std::int64_t seconds) {
  seconds = std::max<std::int64_t>(seconds, 0);
  const auto of = [](std::int64_t count, const char* unit) {
    return fmt::format("{} {}{}", count, unit, count == 1 ? "" : "s");
  };
  if (seconds < 120) return of(seconds, "second");
  if (seconds < 7200) return of(seconds / 60, "minute");
  if (seconds < 172'800) return of(seconds / 3600, "hour");
  return of(seconds / 86'400, "day");
}

}  // namespace rusternetes::launcher
