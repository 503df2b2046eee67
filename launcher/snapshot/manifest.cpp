#include "launcher/snapshot/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <set>

#include "launcher/snapshot/errors.h"

namespace rusternetes::launcher::snapshot {
namespace {

namespace json = boost::json;

// 1970 to 9999: what a four-figure year can say.
constexpr std::int64_t last_second = 253'402'300'799;

bool is_name_character(char one) {
  return (one >= 'a' && one <= 'z') || (one >= 'A' && one <= 'Z') || (one >= '0' && one <= '9') ||
         one == '.' || one == '_' || one == '-';
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

Status wrong(std::string_view field) {
  return failed(reason::damaged, fmt::format("{}: {} is missing or wrong", manifest_name, field));
}

Result<std::string> text_of(const json::object& object, std::string_view field) {
  const json::value* found = object.if_contains(field);
  if (found == nullptr || !found->is_string()) return wrong(field);
  const std::string text(found->get_string());
  // They are shown on terminals.
  const auto is_control = [](unsigned char one) { return one < 0x20 || one == 0x7f; };
  if (text.size() > 255 || std::any_of(text.begin(), text.end(), is_control)) return wrong(field);
  return text;
}

Result<std::int64_t> number_of(const json::object& object, std::string_view field) {
  const json::value* found = object.if_contains(field);
  if (found == nullptr || !found->is_int64() || found->get_int64() < 0) return wrong(field);
  return found->get_int64();
}

Result<std::int64_t> seconds_of(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = 0;
    for (const char digit : text.substr(at, length)) value = value * 10 + (digit - '0');
    return value;
  };
  if (text.size() != 20) return wrong("created_at");
  const std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  if (!day.ok()) return wrong("created_at");
  const std::chrono::sys_seconds time = std::chrono::sys_days(day) + std::chrono::hours(number(11, 2)) +
                                        std::chrono::minutes(number(14, 2)) +
                                        std::chrono::seconds(number(17, 2));
  const std::int64_t seconds = time.time_since_epoch().count();
  // Whatever else it was is not what this time is written as.
  if (seconds < 0 || seconds > last_second || time_text(seconds) != text) return wrong("created_at");
  return seconds;
}

Result<Member> member_of(const json::value& value) {
  if (!value.is_object()) return wrong("members");
  Member member;
  RN_TRY(member.name, text_of(value.get_object(), "name"));
  RN_TRY(const std::int64_t size, number_of(value.get_object(), "size"));
  RN_TRY(member.sha256, text_of(value.get_object(), "sha256"));
  member.size = static_cast<std::uint64_t>(size);
  if (!is_member_name(member.name) || !is_digest(member.sha256)) return wrong("members");
  return member;
}

}  // namespace

std::string_view name_of(StoreKind kind) { return kind == StoreKind::sqlite ? "sqlite" : "etcd"; }

bool is_member_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || name == manifest_name) return false;
  while (true) {
    const std::string_view part = name.substr(0, name.find('/'));
    if (part.empty() || part == "." || part == ".." ||
        !std::all_of(part.begin(), part.end(), is_name_character))
      return false;
    if (part.size() == name.size()) return true;
    name.remove_prefix(part.size() + 1);
  }
}

bool can_stand_together(const std::vector<Member>& members) {
  if (members.size() > most_members) return false;
  std::set<std::string_view> names;
  for (const Member& member : members)
    if (!names.insert(member.name).second) return false;
  for (const std::string_view name : names) {
    for (std::size_t at = name.find('/'); at != name.npos; at = name.find('/', at + 1))
      if (names.contains(name.substr(0, at))) return false;
    if (name.starts_with(manifest_name) && name.substr(manifest_name.size()).starts_with('/')) return false;
  }
  return true;
}

std::string time_text(std::int64_t seconds) {
  const auto time =
      std::chrono::sys_seconds(std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, last_second)));
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string to_json(const Manifest& manifest) {
  json::array members;
  for (const Member& member : manifest.members)
    members.push_back({{"name", member.name}, {"size", member.size}, {"sha256", member.sha256}});
  const Description& is = manifest.description;
  json::object out{{"format", manifest.format},
                   {"id", is.id},
                   {"cluster", is.cluster},
                   {"mode", is.mode},
                   {"release", is.release},
                   {"created_at", time_text(is.created_at_s)},
                   {"store", std::string(name_of(is.store))},
                   {"revision", is.revision},
                   {"object_count", is.object_count},
                   {"members", std::move(members)}};
  if (!is.note.empty()) out["note"] = is.note;
  return json::serialize(out);
}

Result<Manifest> parse_manifest(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object())
    return failed(reason::damaged, fmt::format("{} is not a JSON object", manifest_name));
  const json::object& object = value.get_object();
  Manifest manifest;
  Description& is = manifest.description;
  RN_TRY(const std::int64_t format, number_of(object, "format"));
  if (format < 1 || format > 65'535) return wrong("format");
  manifest.format = static_cast<int>(format);
  RN_TRY(is.id, text_of(object, "id"));
  RN_TRY(is.cluster, text_of(object, "cluster"));
  RN_TRY(is.mode, text_of(object, "mode"));
  RN_TRY(is.release, text_of(object, "release"));
  RN_TRY(const std::string created, text_of(object, "created_at"));
  RN_TRY(is.created_at_s, seconds_of(created));
  RN_TRY(const std::string store, text_of(object, "store"));
  if (store != "sqlite" && store != "etcd") return wrong("store");
  is.store = store == "sqlite" ? StoreKind::sqlite : StoreKind::etcd;
  RN_TRY(is.revision, number_of(object, "revision"));
  RN_TRY(is.object_count, number_of(object, "object_count"));
  if (object.contains("note")) {
    RN_TRY(is.note, text_of(object, "note"));
  }
  const json::value* members = object.if_contains("members");
  if (members == nullptr || !members->is_array()) return wrong("members");
  for (const json::value& one : members->get_array()) {
    RN_TRY(Member member, member_of(one));
    manifest.members.push_back(std::move(member));
  }
  if (!can_stand_together(manifest.members)) return wrong("members");
  return manifest;
}

}  // namespace rusternetes::launcher::snapshot
