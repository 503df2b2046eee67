#include "launcher/config_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/nearest.h"
#include "launcher/failure.h"
#include "launcher/settings.h"

namespace rusternetes::launcher {
namespace {

constexpr std::string_view api_version = "rusternetes.io/v1alpha1", kind = "Cluster";

constexpr std::array fields{
    ConfigField{"metadata.name", "", ConfigType::text},
    ConfigField{"mode", "--mode", ConfigType::text},
    ConfigField{"highlyAvailable", "--ha", ConfigType::boolean},
    ConfigField{"nodes", "--nodes", ConfigType::number},
    ConfigField{"engine", "--engine", ConfigType::text},
    ConfigField{"networking.podCIDR", "--pod-cidr", ConfigType::text},
    ConfigField{"networking.serviceCIDR", "--service-cidr", ConfigType::text},
    ConfigField{"networking.networkCIDR", "--network-cidr", ConfigType::text},
    ConfigField{"networking.apiPort", "--api-port", ConfigType::number},
    ConfigField{"networking.nodeNetwork", "--node-network", ConfigType::text},
    ConfigField{"networking.networkPolicy", "--network-policy", ConfigType::on_off},
    ConfigField{"networking.publish", "--publish", ConfigType::text_list},
    ConfigField{"keyAlgorithm", "--key-algorithm", ConfigType::text},
    ConfigField{"images.registry", "--registry", ConfigType::text},
    ConfigField{"images.overrides", "--image", ConfigType::text_map},
    ConfigField{"wait", "--wait", ConfigType::duration},
};

// Stops reading; yaml-cpp ends in exceptions, too, and both become a Status in one place.
struct Broken {
  std::string message;
};

int line_of(const YAML::Node& node) { return node.Mark().is_null() ? 0 : node.Mark().line + 1; }

[[noreturn]] void refuse(const YAML::Node& at, const std::string& what) {
  throw Broken{line_of(at) == 0 ? what : fmt::format("line {}: {}", line_of(at), what)};
}

// What is next below `prefix`, which is empty or ends in a dot: "name" for a field, "networking" for a
// mapping.
std::vector<std::string> children_of(std::string_view prefix) {
  std::vector<std::string> out;
  if (prefix.empty()) out = {"apiVersion", "kind"};
  for (const ConfigField& field : fields) {
    if (!field.path.starts_with(prefix)) continue;
    const std::string_view rest = field.path.substr(prefix.size());
    const std::string child(rest.substr(0, rest.find('.')));
    if (std::find(out.begin(), out.end(), child) == out.end()) out.push_back(child);
  }
  return out;
}

// "; did you mean ...": a sibling, or the field of that name elsewhere.
std::string suggestion(const std::string& word, std::string_view prefix) {
  const std::vector<std::string> siblings = children_of(prefix);
  if (const std::string near = nearest(word, siblings); !near.empty())
    return fmt::format("; did you mean \"{}\"?", near);
  std::vector<std::string> last_words;
  for (const ConfigField& field : fields)
    last_words.emplace_back(field.path.substr(field.path.rfind('.') + 1));
  if (const std::string near = nearest(word, last_words); !near.empty())
    for (const ConfigField& field : fields)
      if (field.path.ends_with("." + near)) return fmt::format("; did you mean \"{}\"?", field.path);
  return fmt::format("; there are {}", joined(siblings, ", "));
}

enum class Plain { text, number, boolean, null };

// What a scalar is by YAML's core schema; a quoted one is text.
Plain plain_of(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() != "?") return Plain::text;
  if (text == "true" || text == "false") return Plain::boolean;
  if (text.empty() || text == "~" || text == "null") return Plain::null;
  const bool is_number = text.find_first_not_of("0123456789") == std::string::npos;
  return is_number ? Plain::number : Plain::text;
}

[[noreturn]] void refuse_type(const YAML::Node& node, std::string_view path, std::string_view wanted) {
  refuse(node, node.IsScalar() ? fmt::format("{} is {}, not \"{}\"", path, wanted, node.Scalar())
                               : fmt::format("{} is {}", path, wanted));
}

std::string text_of(const YAML::Node& node, std::string_view path, std::string_view wanted = "a text") {
  if (!node.IsScalar() || plain_of(node) != Plain::text) refuse_type(node, path, wanted);
  return node.Scalar();
}

std::string scalar_of(const YAML::Node& node, const ConfigField& field) {
  const auto is = [&](Plain what) { return node.IsScalar() && plain_of(node) == what; };
  switch (field.type) {
    case ConfigType::number:
      if (!is(Plain::number)) refuse_type(node, field.path, "a number");
      return node.Scalar();
    case ConfigType::boolean:
      if (!is(Plain::boolean)) refuse_type(node, field.path, "true or false");
      return node.Scalar();
    case ConfigType::on_off:
      if (is(Plain::boolean)) return node.Scalar() == "true" ? "on" : "off";
      if (!is(Plain::text) || (node.Scalar() != "on" && node.Scalar() != "off"))
        refuse_type(node, field.path, "on or off");
      return node.Scalar();
    case ConfigType::duration:
      if (is(Plain::number) && node.Scalar() == "0") return "0";
      return text_of(node, field.path, "a duration such as 60s");
    default:
      return text_of(node, field.path);
  }
}

class Reader {
 public:
  explicit Reader(ConfigFile& out) : out_(out) {}

  void read(const YAML::Node& root) {
    if (!root.IsMap()) throw Broken{fmt::format("it is not a {} of {}", kind, api_version)};
    // First of all, so that a file of something else is called that.
    require(root, "apiVersion", api_version);
    require(root, "kind", kind);
    read_mapping(root, "");
  }

 private:
  static void require(const YAML::Node& root, const char* field, std::string_view value) {
    const YAML::Node node = root[field];
    if (!node || node.IsNull())
      throw Broken{fmt::format("its field {} is missing, which is \"{}\"", field, value)};
    if (!node.IsScalar() || node.Scalar() != value) refuse_type(node, field, fmt::format("\"{}\"", value));
  }

  void read_mapping(const YAML::Node& node, const std::string& prefix) {
    const std::string what = prefix.empty() ? "the file" : prefix.substr(0, prefix.size() - 1);
    if (!node.IsMap()) refuse_type(node, what, "a mapping");
    const std::vector<std::string> known = children_of(prefix);
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) refuse(entry.first, "the name of a field is expected");
      const std::string key = entry.first.Scalar();
      if (std::find(known.begin(), known.end(), key) == known.end())
        refuse(entry.first, fmt::format("{} has no field \"{}\"{}", what, key, suggestion(key, prefix)));
      if (!seen.insert(key).second) refuse(entry.first, fmt::format("{} has two fields \"{}\"", what, key));
      if (entry.second.IsNull()) continue;  // as in Kubernetes: not given
      if (prefix.empty() && (key == "apiVersion" || key == "kind")) continue;
      read_field(entry.second, prefix + key);
    }
  }

  void read_field(const YAML::Node& node, const std::string& path) {
    const auto* field =
        std::find_if(fields.begin(), fields.end(), [&](const ConfigField& one) { return one.path == path; });
    if (field == fields.end()) return read_mapping(node, path + ".");
    if (field->flag.empty()) {
      out_.name = text_of(node, path);
      return;
    }
    std::vector<std::string> values;
    if (field->type == ConfigType::text_list) {
      if (!node.IsSequence()) refuse_type(node, path, "a list");
      for (const auto& each : node) values.push_back(text_of(each, "each of " + path));
    } else if (field->type == ConfigType::text_map) {
      values = pairs_of(node, path);
    } else {
      values = {scalar_of(node, *field)};
    }
    if (values.empty()) return;
    out_.flags.emplace(field->flag, std::move(values));
    out_.places.emplace(field->flag, ConfigFile::Place{path, line_of(node)});
  }

  static std::vector<std::string> pairs_of(const YAML::Node& node, const std::string& path) {
    if (!node.IsMap()) refuse_type(node, path, "a mapping");
    std::vector<std::string> out;
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = text_of(entry.first, "a key of " + path);
      if (!seen.insert(key).second) refuse(entry.first, fmt::format("{} has two fields \"{}\"", path, key));
      out.push_back(key + "=" + text_of(entry.second, path + "." + key));
    }
    return out;
  }

  ConfigFile& out_;
};

}  // namespace

std::span<const ConfigField> config_fields() { return fields; }

Result<ConfigFile> read_config_file(std::string_view text, const std::string& file) {
  ConfigFile out;
  out.file = file;
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.empty() || documents[0].IsNull()) throw Broken{"it is empty"};
    if (documents.size() > 1) refuse(documents[1], "it has a second document, but one file is one cluster");
    Reader(out).read(documents[0]);
    return out;
  } catch (const Broken& broken) {
    return failure("ConfigBroken", fmt::format("{}: {}", file, broken.message));
  } catch (const YAML::Exception& error) {
    return failure("ConfigBroken", error.mark.is_null() ? fmt::format("{} is not YAML: {}", file, error.msg)
                                                        : fmt::format("{}: line {}: it is not YAML: {}", file,
                                                                      error.mark.line + 1, error.msg));
  }
}

Status told_of_file(const ConfigFile& config, Status status) {
  if (!status.message.starts_with("--")) return status;
  const std::string flag = status.message.substr(0, status.message.find_first_of(" :"));
  const auto place = config.places.find(flag);
  if (place == config.places.end()) return status;
  status.message = fmt::format("{}: line {}: {}{}", config.file, place->second.line, place->second.path,
                               status.message.substr(flag.size()));
  if (status.is("BadRequest")) status.reason = "ConfigBroken";
  return status;
}

}  // namespace rusternetes::launcher
