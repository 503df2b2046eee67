#include "rhino/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/release.h"
#include "rhino/flags_table.h"
#include "rhino/services.h"

namespace rusternetes::rhino {
namespace {

constexpr std::string_view usage = R"(Usage:

  rhino [flags]
    Start the server.

  rhino snapshot save|restore|status|get|export|import
    Data to and from etcd's snapshot files; rhino snapshot --help.

  rhino --version
  rhino --help
)";

std::string environment_name(std::string_view flag) {
  std::string name = "ETCD_";
  for (const char c : flag)
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

bool is_boolean(const FlagSpec& spec) {
  return spec.kind == FlagKind::boolean || spec.kind == FlagKind::ignored;
}

// The command line as Go's flag package reads it: -name or --name, =value or the next word, and =value alone
// for booleans. Returns what is wrong.
std::string read_arguments(const std::vector<std::string>& arguments, FlagValues& given, bool& wants_help) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const bool is_flag = word.size() > 1 && word.front() == '-';
    if (!is_flag || word == "--") {
      const bool is_end = is_flag && i + 1 == arguments.size();
      return is_end ? "" : fmt::format("{} is not a valid flag", quoted(is_flag ? arguments[i + 1] : word));
    }
    const std::string_view rest = std::string_view(word).substr(word.starts_with("--") ? 2 : 1);
    if (rest.front() == '-' || rest.front() == '=') return fmt::format("bad flag syntax: {}", word);
    const auto equals = rest.find('=');
    const std::string name(rest.substr(0, equals));
    const FlagSpec* spec = find_flag(name);
    if (!spec && (name == "help" || name == "h")) {
      wants_help = true;
      return {};
    }
    if (!spec) return fmt::format("flag provided but not defined: -{}", name);
    std::string value = "true";
    if (equals != rest.npos)
      value = rest.substr(equals + 1);
    else if (!is_boolean(*spec) && i + 1 == arguments.size())
      return fmt::format("flag needs an argument: -{}", name);
    else if (!is_boolean(*spec))
      value = arguments[++i];
    if (const std::string problem = check_value(name, value); !problem.empty()) {
      if (spec->kind == FlagKind::boolean)
        return fmt::format("invalid boolean value {} for -{}: {}", quoted(value), name, problem);
      return fmt::format("invalid value {} for flag -{}: {}", quoted(value), name, problem);
    }
    given[name] = value;
  }
  return {};
}

std::string read_environment(const std::vector<std::string>& environment, FlagValues& given,
                             std::vector<std::string>& warnings) {
  for (const auto& entry : environment) {
    const auto equals = entry.find('=');
    if (!entry.starts_with("ETCD_") || equals == std::string::npos) continue;
    const std::string variable = entry.substr(0, equals), value = entry.substr(equals + 1);
    const auto table = flag_table();
    const auto spec = std::find_if(table.begin(), table.end(), [&](const FlagSpec& each) {
      return environment_name(each.name) == variable;
    });
    if (spec == table.end()) {
      if (variable != "ETCD_UNSUPPORTED_ARCH")
        warnings.push_back("unrecognized environment variable " + variable);
      continue;
    }
    if (value.empty()) continue;
    if (given.contains(spec->name)) {
      warnings.push_back(fmt::format("--{} on the command line goes before {}", spec->name, variable));
      continue;
    }
    if (spec->name == "version") continue;
    if (const auto problem = check_value(spec->name, value); !problem.empty())
      return fmt::format("invalid value {} for {}: {}", quoted(value), variable, problem);
    given[std::string(spec->name)] = value;
  }
  return {};
}

std::string config_file_of(const FlagValues& given, const std::vector<std::string>& environment) {
  if (const auto found = given.find("config-file"); found != given.end() && !found->second.empty())
    return found->second;
  constexpr std::string_view variable = "ETCD_CONFIG_FILE=";
  for (const auto& entry : environment)
    if (entry.starts_with(variable)) return entry.substr(variable.size());
  return {};
}

FlagsOutcome failed(FlagsOutcome outcome, int code, const std::string& problem) {
  outcome.exit_code = code;
  outcome.err = fmt::format("rhino: {}\n", problem);
  return outcome;
}

}  // namespace

std::string check_value(std::string_view name, const std::string& value) {
  const FlagSpec* spec = find_flag(name);
  if (!spec) return "no such flag";
  const char* unreadable = "parse error";
  switch (spec->kind) {
    case FlagKind::boolean: return parse_go_bool(value) ? "" : unreadable;
    case FlagKind::integer: return parse_go_int(value) ? "" : unreadable;
    case FlagKind::duration: return value.empty() || parse_go_duration(value) ? "" : unreadable;
    case FlagKind::unsigned_integer: {
      const auto number = parse_go_uint(value);
      if (!number) return unreadable;
      return name == "max-concurrent-streams" && *number > 0xffffffff ? "value out of range" : "";
    }
    case FlagKind::urls: return value.empty() ? "" : parse_urls(value).error;
    default: break;
  }
  if (name == "initial-cluster-state" && value != "new" && value != "existing") return "invalid value";
  if (name == "discovery-fallback" && value != "exit" && value != "proxy") return "invalid value";
  return "";
}

FlagsOutcome parse_flags(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment) {
  FlagsOutcome outcome;
  FlagValues given;
  bool wants_help = false;
  if (const auto problem = read_arguments(arguments, given, wants_help); !problem.empty()) {
    outcome = failed(std::move(outcome), problem.ends_with("is not a valid flag") ? 1 : 2, problem);
    outcome.err += "rhino --help lists the flags\n";
    return outcome;
  }
  if (wants_help || (given.contains("version") && *parse_go_bool(given["version"]))) {
    outcome.exit_code = 0;
    outcome.out = wants_help ? help_text() : version_text();
    return outcome;
  }
  const std::string file = config_file_of(given, environment);
  if (!file.empty()) {
    auto read = read_config_file(file, outcome.warnings);
    if (!read) return failed(std::move(outcome), 1, read.error().message);
    if (given.size() > 1)
      outcome.warnings.push_back("only the configuration file is looked at, no other flag: " + file);
    given = std::move(*read);
  } else if (const auto problem = read_environment(environment, given, outcome.warnings); !problem.empty()) {
    return failed(std::move(outcome), 1, problem);
  }
  auto flags = to_flags(given, !file.empty());
  if (!flags) return failed(std::move(outcome), 1, flags.error().message);
  outcome.flags = std::move(*flags);
  return outcome;
}

std::string help_text() {
  std::string text(usage);
  text += "\nThe flags are etcd's own, as are the environment variables: ETCD_NAME stands for --name.\n";
  std::string_view section;
  for (const auto& spec : flag_table()) {
    if (spec.fate == FlagFate::refused) continue;
    if (spec.section != section) text += fmt::format("\n{}:\n", section = spec.section);
    text += fmt::format("  --{} '{}'\n", spec.name, spec.fallback);
    if (!spec.help.empty()) text += fmt::format("    {}\n", spec.help);
    if (spec.fate == FlagFate::no_effect && !spec.help.empty()) text += "    (of no effect)\n";
  }
  text += "\nRefused, as rhino has nothing like it:\n";
  for (const auto& spec : flag_table())
    if (spec.fate == FlagFate::refused) text += fmt::format("  --{}: {}\n", spec.name, spec.help);
  return text;
}

std::string version_text() {
  return fmt::format(
      "etcd Version: {}\n"
      "Git SHA: none, this is rhino {} of R\xc5\xabsternetes\n"
      "Go Version: none, this is C++\n"
      "Go OS/Arch: linux/{}\n",
      etcd_version, release_version(),
#if defined(__aarch64__)
      "arm64"
#else
      "amd64"
#endif
  );
}

}  // namespace rusternetes::rhino
