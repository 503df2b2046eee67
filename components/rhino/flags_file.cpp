// etcd's configuration file: YAML with the flags' names as keys, the TLS flags in two maps of their own.

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>

#include "rhino/flags.h"
#include "rhino/flags_table.h"

namespace rusternetes::rhino {
namespace {

struct Renamed {
  std::string_view section, key, flag;
};

constexpr std::array<Renamed, 21> renamed{{
    {"client-transport-security", "cert-file", "cert-file"},
    {"client-transport-security", "key-file", "key-file"},
    {"client-transport-security", "client-cert-file", "client-cert-file"},
    {"client-transport-security", "client-key-file", "client-key-file"},
    {"client-transport-security", "client-cert-auth", "client-cert-auth"},
    {"client-transport-security", "trusted-ca-file", "trusted-ca-file"},
    {"client-transport-security", "auto-tls", "auto-tls"},
    {"client-transport-security", "allowed-hostname", "client-cert-allowed-hostname"},
    {"peer-transport-security", "cert-file", "peer-cert-file"},
    {"peer-transport-security", "key-file", "peer-key-file"},
    {"peer-transport-security", "client-cert-file", "peer-client-cert-file"},
    {"peer-transport-security", "client-key-file", "peer-client-key-file"},
    {"peer-transport-security", "client-cert-auth", "peer-client-cert-auth"},
    {"peer-transport-security", "trusted-ca-file", "peer-trusted-ca-file"},
    {"peer-transport-security", "auto-tls", "peer-auto-tls"},
    {"peer-transport-security", "allowed-cn", "peer-cert-allowed-cn"},
    {"peer-transport-security", "allowed-hostname", "peer-cert-allowed-hostname"},
    {"peer-transport-security", "skip-client-san-verification", "peer-skip-client-san-verification"},
    {"socket-options", "reuse-port", "socket-reuse-port"},
    {"socket-options", "reuse-address", "socket-reuse-address"},
    {"", "experimental-snapshot-catch-up-entries", "experimental-snapshot-catchup-entries"},
}};

Status bad(const std::string& path, const std::string& what) {
  return Status(400, "BadRequest", fmt::format("--config-file {}: {}", path, what));
}

std::string_view flag_of(std::string_view section, std::string_view key) {
  for (const auto& each : renamed)
    if (each.section == section && each.key == key) return each.flag;
  return section.empty() ? key : std::string_view();
}

// A scalar or a list of scalars, as the flag would be written.
std::string value_of(const YAML::Node& node, FlagKind kind) {
  if (node.IsSequence()) {
    std::vector<std::string> parts;
    for (const auto& part : node) parts.push_back(part.as<std::string>());
    return join(parts, ",");
  }
  auto text = node.as<std::string>();
  // Durations are numbers of nanoseconds in etcd's files.
  if (kind == FlagKind::duration && !text.empty() &&
      text.find_first_not_of("0123456789") == std::string::npos)
    text += "ns";
  return text;
}

class FileReader {
 public:
  FileReader(const std::string& path, std::vector<std::string>& warnings)
      : path_(path), warnings_(warnings) {}

  Result<void> read(const YAML::Node& map, std::string_view section) {
    for (const auto& entry : map) {
      const auto key = entry.first.as<std::string>();
      const YAML::Node& node = entry.second;
      const bool is_section = section.empty() && (key == "client-transport-security" ||
                                                  key == "peer-transport-security" ||
                                                  key == "socket-options");
      if (node.IsNull()) continue;
      if (section.empty() && key == "discovery-config")
        return bad(path_, "discovery-config is not supported: a cluster of one has nobody to discover");
      if (is_section && !node.IsMap()) return bad(path_, fmt::format("invalid {}", key));
      if (is_section) {
        RN_CHECK(read(node, key));
        continue;
      }
      RN_CHECK(take(section, key, node));
    }
    return {};
  }

  FlagValues values;

 private:
  Result<void> take(std::string_view section, const std::string& key, const YAML::Node& node) {
    const auto name = flag_of(section, key);
    const FlagSpec* spec = find_flag(name);
    if (!spec) {
      warnings_.push_back(fmt::format("{}: there is no key {}{}{}", path_, section,
                                      section.empty() ? "" : ".", key));
      return {};
    }
    if (node.IsMap()) return bad(path_, fmt::format("{} is not a map", key));
    const auto value = value_of(node, spec->kind);
    if (const auto problem = check_value(name, value); !problem.empty())
      return bad(path_, fmt::format("{}: {}: {}", key, quoted(value), problem));
    // An empty text is what etcd has when the key is absent.
    if (!value.empty()) values[std::string(name)] = value;
    return {};
  }

  const std::string& path_;
  std::vector<std::string>& warnings_;
};

}  // namespace

Result<FlagValues> read_config_file(const std::string& path, std::vector<std::string>& warnings) {
  FileReader reader(path, warnings);
  try {
    const YAML::Node root = YAML::LoadFile(path);
    if (root.IsNull()) return FlagValues();
    if (!root.IsMap()) return bad(path, "is not a map of flags");
    RN_CHECK(reader.read(root, ""));
  } catch (const YAML::BadFile&) {
    return bad(path, "cannot be read");
  } catch (const YAML::Exception& error) {
    return bad(path, error.what());
  }
  return std::move(reader.values);
}

}  // namespace rusternetes::rhino
