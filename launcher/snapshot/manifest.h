#pragma once
// snapshot.json, the first member of every snapshot: what it is of, and each other member with its size and
// digest.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher::snapshot {

inline constexpr std::string_view manifest_name = "snapshot.json";
inline constexpr std::size_t most_members = 10'000;
inline constexpr std::size_t longest_manifest = 4 << 20;

struct Member {
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;  // lower-case hex
  friend bool operator==(const Member&, const Member&) = default;
};

enum class StoreKind { sqlite, etcd };
std::string_view name_of(StoreKind kind);

struct Description {
  std::string id;
  std::string cluster;
  std::string mode;               // all-in-one, sqlite, etcd
  std::string release;            // that wrote it
  std::int64_t created_at_s = 0;  // since 1970
  StoreKind store = StoreKind::sqlite;
  std::int64_t revision = 0;
  std::int64_t object_count = 0;
  std::string note = {};  // what its maker says about it; may be empty
  friend bool operator==(const Description&, const Description&) = default;
};

struct Manifest {
  int format = 0;
  Description description;
  std::vector<Member> members;  // in the archive's order
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// A relative path of letters, digits, '.', '_', '-' and '/' without empty, "." and ".." parts, at most 255
// bytes, and not snapshot.json.
bool is_member_name(std::string_view name);
// No two alike, none a folder of another, not too many.
bool can_stand_together(const std::vector<Member>& members);

// As 2026-11-22T06:00:00Z.
std::string time_text(std::int64_t seconds);

std::string to_json(const Manifest& manifest);
// An error says what is wrong with the text. Fields that are not known are passed over.
Result<Manifest> parse_manifest(std::string_view text);

}  // namespace rusternetes::launcher::snapshot
