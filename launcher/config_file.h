#pragma once
// A cluster's settings as a file, for `create --config`: every flag of `create` that says what the cluster is
// has its field. Read strictly: what is not understood would silently not be done.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

enum class ConfigType { text, number, boolean, on_off, duration, text_list, text_map };

struct ConfigField {
  std::string_view path;  // "networking.podCIDR"
  std::string_view flag;  // "--pod-cidr"; empty for the cluster's name
  ConfigType type;
};

std::span<const ConfigField> config_fields();

struct ConfigFile {
  struct Place {
    std::string path;
    int line = 0;
  };
  std::string file;  // as messages name it
  std::string name;  // metadata.name; empty: not given
  // As if they were typed; a boolean is "true" or "false".
  std::map<std::string, std::vector<std::string>, std::less<>> flags;
  std::map<std::string, Place, std::less<>> places;  // of those flags
};

// ConfigBroken: one sentence with the line and, for a field that is not known, the nearest one that is.
Result<ConfigFile> read_config_file(std::string_view text, const std::string& file);

// A refusal that begins with a flag, "--mode \"x\" is ...", about a value that this file gave: told with the
// field and its line. Others stay as they are.
Status told_of_file(const ConfigFile& config, Status status);

}  // namespace rusternetes::launcher
