#include "launcher/images/cache.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "certs/file.h"

namespace rusternetes::launcher::images {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr int format = 1;
constexpr std::size_t most_layers = 200;  // of builds long gone; beyond, all are forgotten
constexpr std::size_t most_bytes = 1 << 20;

// The program, its loader, where that one looks, and what it found. A library that comes to stand before
// another in the search is seen by ld.so.cache, which ldconfig writes anew.
std::string state_of(const fs::path& program, const ProgramNeeds& needs) {
  std::string text = file_state(program) + "\n" + file_state("/etc/ld.so.cache");
  for (const std::string& library : needs.libraries) text += "\n" + file_state(library);
  return engine::sha256_hex(text);
}

std::string sum_of(const json::value& entries) { return engine::sha256_hex(json::serialize(entries)); }

}  // namespace

std::string file_state(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "";
  return fmt::format("{}:{}:{}:{}.{}:{}.{}", info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
}

std::string layer_key(const std::vector<engine::LayerEntry>& entries) {
  std::string text;
  for (const engine::LayerEntry& entry : entries)
    text += fmt::format("{} {} {:o} {} {} {} {} {}\n", static_cast<int>(entry.kind), entry.path, entry.mode,
                        entry.uid, entry.gid, engine::sha256_hex(entry.content), entry.host_path,
                        entry.host_path.empty() ? "" : file_state(entry.host_path));
  return engine::sha256_hex(text);
}

Cache::Cache(fs::path path) : path_(std::move(path)) {
  if (path_.empty()) return;
  const auto text = certs::read_text(path_, most_bytes);
  if (!text) return;
  boost::system::error_code error;
  const json::value document = json::parse(*text, error);
  if (error) return;
  try {
    const json::object& root = document.as_object();
    const json::value& entries = root.at("entries");
    // Its sum finds what was cut off or damaged, where a wrong digest would look like a right one.
    if (root.at("format").as_int64() != format || root.at("sum").as_string() != sum_of(entries)) return;
    for (const auto& [program, value] : entries.at("programs").as_object()) {
      Needs& needs = needs_[program];
      needs.state = value.at("state").as_string().c_str();
      needs.needs.interpreter = value.at("interpreter").as_string().c_str();
      for (const auto& library : value.at("libraries").as_array())
        needs.needs.libraries.emplace_back(library.as_string().c_str());
    }
    for (const auto& [key, value] : entries.at("layers").as_object())
      layers_[key] = {value.at("digest").as_string().c_str(), value.at("size").to_number<std::uint64_t>()};
  } catch (const std::exception&) {
    needs_.clear();
    layers_.clear();
  }
}

std::optional<ProgramNeeds> Cache::needs(const fs::path& program) const {
  const auto found = needs_.find(program.string());
  if (found == needs_.end() || found->second.state != state_of(program, found->second.needs)) return {};
  return found->second.needs;
}

void Cache::remember(const fs::path& program, const ProgramNeeds& needs) {
  needs_[program.string()] = {state_of(program, needs), needs};
  is_changed_ = true;
}

std::optional<LayerFacts> Cache::layer(const std::string& key) const {
  const auto found = layers_.find(key);
  return found == layers_.end() ? std::nullopt : std::optional(found->second);
}

void Cache::remember(const std::string& key, const LayerFacts& facts) {
  if (layers_.size() >= most_layers) layers_.clear();
  layers_[key] = facts;
  is_changed_ = true;
}

void Cache::save() {
  if (path_.empty() || !is_changed_) return;
  json::object programs, layers;
  for (const auto& [program, needs] : needs_)
    programs[program] = {
        {"state", needs.state},
        {"interpreter", needs.needs.interpreter},
        {"libraries", json::array(needs.needs.libraries.begin(), needs.needs.libraries.end())}};
  for (const auto& [key, facts] : layers_) layers[key] = {{"digest", facts.digest}, {"size", facts.size}};
  const json::value entries{{"programs", std::move(programs)}, {"layers", std::move(layers)}};
  const json::value document{{"format", format}, {"sum", sum_of(entries)}, {"entries", entries}};
  const Result<> written =
      certs::write_atomically(path_, json::serialize(document) + "\n", certs::private_mode);
  is_changed_ = !written.has_value();
}

void Cache::drop() {
  needs_.clear();
  layers_.clear();
  std::error_code ignored;
  if (!path_.empty()) fs::remove(path_, ignored);
}

}  // namespace rusternetes::launcher::images
