#include "launcher/rotation.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <system_error>

#include "launcher/settings.h"

namespace rusternetes::launcher {

using certs::RotationPhase;

Result<std::vector<RotatedSubject>> rotation_of(const std::filesystem::path& pki) {
  std::vector<RotatedSubject> out;
  for (const char* name : {"ca", "etcd/ca", "front-proxy-ca", "sa"}) {
    std::error_code ignored;
    if (!std::filesystem::exists(pki / (std::string(name) + ".key"), ignored)) continue;
    RN_TRY(const RotationPhase phase, certs::rotation_phase(pki, name));
    out.push_back({name, phase});
  }
  return out;
}

std::vector<std::string> names_in(const std::vector<RotatedSubject>& all, RotationPhase phase) {
  std::vector<std::string> out;
  for (const RotatedSubject& one : all)
    if (one.phase == phase) out.push_back(one.name);
  return out;
}

std::string rotation_text(const std::string& cluster, const std::vector<RotatedSubject>& all) {
  std::string out;
  if (const auto names = names_in(all, RotationPhase::both_trusted); !names.empty())
    out += fmt::format(
        "A rotation was cut off: of {} a new one is trusted, and the old one signs. The next command that "
        "changes something finishes or undoes it.\n",
        joined(names, ", "));
  if (const auto names = names_in(all, RotationPhase::new_signs); !names.empty())
    out += fmt::format(
        "A rotation is under way: of {} the new one signs, and what the old one signed is trusted on. Once "
        "nobody needs that any more, end it: rusternetes-ctl certs rotate {} --drop-old\n",
        joined(names, ", "), cluster);
  return out;
}

boost::json::object rotation_json(const std::vector<RotatedSubject>& all) {
  boost::json::object out;
  for (const RotatedSubject& one : all)
    out[one.name] = one.phase == RotationPhase::none           ? "None"
                    : one.phase == RotationPhase::both_trusted ? "BothTrusted"
                                                               : "NewSigns";
  return out;
}

}  // namespace rusternetes::launcher
