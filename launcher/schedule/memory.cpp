#include "launcher/schedule/memory.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "certs/file.h"
#include "launcher/snapshots.h"

namespace rusternetes::launcher {

namespace json = boost::json;
namespace {
constexpr std::size_t most_bytes = 1 << 16;
using Milliseconds = std::chrono::milliseconds;
}  // namespace

ScheduleMemory read_memory(const ClusterPaths& paths) {
  ScheduleMemory out;
  const auto text = certs::read_text(paths.schedule_memory(), most_bytes);
  boost::system::error_code error;
  const json::value value = text ? json::parse(*text, error) : json::value();
  if (error || !value.is_object()) return out;
  const json::object& object = value.get_object();
  const auto integer = [&](const char* key) {
    const auto* found = object.if_contains(key);
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
  };
  const auto string = [&](const char* key) {
    const auto* found = object.if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  };
  out.tried_at = SystemTime(Milliseconds(integer("triedAtMs")));
  out.failures = static_cast<int>(integer("failures"));
  out.is_under_way = integer("underWay") != 0;
  out.failure_id = string("failureId");
  out.failure = string("failure");
  return out;
}

Result<> write_memory(const ClusterPaths& paths, const ScheduleMemory& memory) {
  const auto tried_at = std::chrono::duration_cast<Milliseconds>(memory.tried_at.time_since_epoch()).count();
  return certs::write_atomically(paths.schedule_memory(),
                                 json::serialize(json::object{{"triedAtMs", tried_at},
                                                              {"underWay", memory.is_under_way ? 1 : 0},
                                                              {"failures", memory.failures},
                                                              {"failureId", memory.failure_id},
                                                              {"failure", memory.failure}}) +
                                     "\n",
                                 certs::private_mode);
}

Result<std::vector<SystemTime>> scheduled_times(const Home& home, const std::string& cluster) {
  RN_TRY(const auto known, known_snapshots(home, cluster));
  std::vector<SystemTime> out;
  for (const KnownSnapshot& one : known)
    if (const auto time = scheduled_time(one.id)) out.push_back(*time);
  return out;
}

}  // namespace rusternetes::launcher
