#pragma once
// What `doctor` says: one finding a check, with what to do about it, as lines or as JSON.

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace rusternetes::launcher::doctor {

// unknown: the check could not be done; the finding says why.
enum class Level { ok, warning, problem, unknown };
std::string_view to_string(Level level);

struct Finding {
  Level level = Level::ok;
  std::string what;     // a stable word for scripts: "oci-runtime"
  std::string finding;  // what is so
  std::string fix;      // what to do; never empty for a warning and a problem
  std::string cluster;  // whose it is; empty for the host
};
using Findings = std::vector<Finding>;

// "2 problems, 1 warning, 0 unknown, 20 ok"
std::string summary(const Findings& findings);
bool has_problem(const Findings& findings);
// A line each, the fix below it, and the summary as the last line.
std::string text_of(const Findings& findings);
// {"findings":[{"level","what","finding","fix","cluster"}],"summary":{"ok":N,…}}
boost::json::object json_of(const Findings& findings);

}  // namespace rusternetes::launcher::doctor
