#include "launcher/home.h"

namespace rusternetes::launcher {

Home find_home(const std::string& flag,
               const std::function<std::optional<std::string>(const char*)>& variable) {
  const auto set = [&](const char* name) {
    auto value = variable(name);
    return value && !value->empty() ? value : std::nullopt;
  };
  std::filesystem::path root;
  if (!flag.empty())
    root = flag;
  else if (const auto own = set("RUSTERNETES_HOME"))
    root = *own;
  else if (const auto data = set("XDG_DATA_HOME");
           data && data->starts_with('/'))  // relative ones are invalid (XDG)
    root = std::filesystem::path(*data) / "rusternetes";
  else
    root = std::filesystem::path(set("HOME").value_or("/root")) / ".local/share/rusternetes";
  root = std::filesystem::absolute(root).lexically_normal();
  if (!root.has_filename()) root = root.parent_path();  // a trailing slash
  return {root};
}

}  // namespace rusternetes::launcher
