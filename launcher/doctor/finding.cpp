#include "launcher/doctor/finding.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace rusternetes::launcher::doctor {
namespace {

long count(const Findings& findings, Level level) {
  return std::count_if(findings.begin(), findings.end(),
                       [&](const Finding& one) { return one.level == level; });
}

std::string shown_name(const Finding& one) {
  return one.cluster.empty() ? one.what : one.cluster + "/" + one.what;
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::warning:
      return "warning";
    case Level::problem:
      return "problem";
    case Level::unknown:
      break;
  }
  return "unknown";
}

std::string summary(const Findings& findings) {
  const auto counted = [&](Level level) {
    const long number = count(findings, level);
    return fmt::format("{} {}{}", number, to_string(level), number == 1 ? "" : "s");
  };
  return fmt::format("{}, {}, {} unknown, {} ok", counted(Level::problem), counted(Level::warning),
                     count(findings, Level::unknown), count(findings, Level::ok));
}

bool has_problem(const Findings& findings) { return count(findings, Level::problem) > 0; }

std::string text_of(const Findings& findings) {
  std::size_t width = 0;
  for (const Finding& one : findings) width = std::max(width, shown_name(one).size());
  std::string out;
  for (const Finding& one : findings) {
    out += fmt::format("{:<8} {:<{}}  {}\n", to_string(one.level), shown_name(one), width, one.finding);
    if (!one.fix.empty()) out += fmt::format("{:9}fix: {}\n", "", one.fix);
  }
  return out + summary(findings) + "\n";
}

boost::json::object json_of(const Findings& findings) {
  boost::json::array list;
  for (const Finding& one : findings)
    list.push_back(boost::json::object{{"level", std::string(to_string(one.level))},
                                       {"what", one.what},
                                       {"finding", one.finding},
                                       {"fix", one.fix},
                                       {"cluster", one.cluster}});
  boost::json::object counts;
  for (const Level level : {Level::ok, Level::warning, Level::problem, Level::unknown})
    counts[std::string(to_string(level))] = count(findings, level);
  return {{"findings", std::move(list)}, {"summary", std::move(counts)}};
}

}  // namespace rusternetes::launcher::doctor
