#pragma once
// The launcher's memory: one SQLite file in its home. The file carries an application id and a format number
// (user_version); what is not ours, newer than we can read, or damaged is refused in one sentence and left as
// it is.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "state/journal.h"
#include "state/sqlite.h"

namespace rusternetes::state {

// "RNst" in the file's header, and the only format so far.
inline constexpr std::uint32_t application_id = 0x524e7374;
inline constexpr int format_version = 1;

// Reasons of the Status that State::open refuses with.
inline constexpr std::string_view reason_foreign = "StateForeign";
inline constexpr std::string_view reason_newer = "StateNewer";
inline constexpr std::string_view reason_damaged = "StateDamaged";

struct Cluster {
  std::string name;
  std::string mode;      // "all-in-one"
  std::string engine;    // "podman" or "docker"
  std::string phase;     // "creating", "running", "stopping", "stopped", "deleting"
  std::string settings;  // JSON, the launcher's own
  std::int64_t created_at_ms = 0;
};

// Something that no other cluster may use. `kind` is one of "pod-cidr", "service-cidr", "node-link",
// "engine-network", "api-port", "published-port"; `value` its text.
struct Reservation {
  std::string cluster;
  std::string kind;
  std::string value;
};

class State {
 public:
  // Opens the file and makes it when it is missing. NotFound when it is missing and `may_create` is false.
  static Result<std::unique_ptr<State>> open(const std::filesystem::path& path, bool may_create);

  Result<std::vector<Cluster>> clusters();  // by name
  Result<std::optional<Cluster>> find(std::string_view name);
  Result<std::vector<Reservation>> reservations();

  // Writes cluster and reservations in one transaction, in place of those that it had (the same step done twice,
  // or a cluster that has changed).
  // A value that another cluster holds is a Conflict.
  Result<> record(const Cluster& cluster, const std::vector<Reservation>& reservations);
  Result<> set_phase(std::string_view name, std::string_view phase);
  // With its reservations; absent is no error.
  Result<> forget(std::string_view name);

  Journal& journal() { return journal_; }

 private:
  explicit State(std::unique_ptr<Database> database) : database_(std::move(database)), journal_(*database_) {}
  std::unique_ptr<Database> database_;
  Journal journal_;
};

}  // namespace rusternetes::state
