#include "launcher/release.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "certs/file.h"
#include "launcher/containers/compose.h"
#include "launcher/failure.h"
#include "launcher/hold.h"
#include "launcher/snapshot/file.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// Enough to tell two builds of one release apart.
constexpr std::size_t digest_length = 12;

std::optional<std::array<int, 3>> numbers_of(std::string_view version) {
  std::array<int, 3> out{};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return std::nullopt;
    const auto [next, error] = std::from_chars(at, end, out[i]);
    if (error != std::errc() || out[i] < 0) return std::nullopt;
    at = next;
  }
  return at == end ? std::optional(out) : std::nullopt;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> out;
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (!error && value.is_array())
    for (const json::value& word : value.get_array())
      if (word.is_string()) out.emplace_back(word.get_string());
  return out;
}

std::string text_of(const std::vector<std::string>& words) {
  json::array out;
  for (const std::string& word : words) out.emplace_back(word);
  return json::serialize(out);
}

// One word a family, as flags take lists.
std::vector<std::string> command_of(const StepContext& context) {
  const ClusterSettings& s = context.settings;
  const ClusterPaths& p = context.paths;
  std::vector<std::string> words{
      s.program.empty() ? (context.environment.binary_dir / "rusternetes").string() : s.program,
      "--data-dir",
      p.data().string(),
      "--cluster-name",
      s.name,
      "--pki-dir",
      p.pki().string(),
      "--bind-address",
      s.bind_address,
      "--secure-port",
      std::to_string(s.api_port),
      "--pod-cidr",
      joined(s.pod_cidrs),
      "--service-cluster-ip-range",
      joined(s.service_cidrs),
      "--node-name",
      s.node_name,
      "--node-network",
      s.node_network,
      "--node-address",
      joined(s.node_addresses),
      "--host-address",
      joined(s.host_addresses),
      "--engine",
      s.engine.kind,
      "--engine-socket",
      s.engine.socket,
      "--root-dir",
      p.kubelet().string(),
  };
  for (const std::string& port : s.published_ports) words.insert(words.end(), {"--publish", port});
  if (!s.has_network_policy) words.push_back("--network-policy=false");
  if (s.has_own_node()) words.insert(words.end(), {"--node-netns", "{node-netns}"});
  return words;
}

// What another release made and nothing was written over.
std::optional<std::string> foreign_manifest(const StepContext& context, const fs::path& file) {
  if (!context.settings.manifest.empty()) return context.settings.manifest;  // also of one that is to be put back
  if (is_of_this_release(context)) return std::nullopt;
  const auto text = certs::read_text(file);
  return text ? std::optional(*text) : std::nullopt;
}

fs::path command_file(const StepContext& context) { return command_file_of(context.paths.run() / "released"); }

}  // namespace

bool is_of_this_release(const StepContext& context) {
  return context.settings.release.empty() || context.settings.release == context.environment.release;
}

Result<> check_this_release(const StepContext& context, std::string_view what) {
  if (is_of_this_release(context) && context.settings.manifest.empty()) return {};
  return failure("ReleaseDiffers",
                 fmt::format("{} needs a cluster of this release, {}, and \"{}\" runs {}", what,
                             context.environment.release, context.settings.name, context.settings.release));
}

Result<std::string> manifest_text(const StepContext& context) {
  if (const auto kept = foreign_manifest(context, context.paths.manifest())) return *kept;
  return render_manifest(context.settings, context.paths, context.settings.images);
}

std::vector<std::string> process_words(const StepContext& context) {
  if (const auto kept = foreign_manifest(context, command_file(context)))
    if (auto words = words_of(*kept); !words.empty()) return words;
  return command_of(context);
}

Result<std::string> kept_manifest(const StepContext& context) {
  const bool has_containers = context.settings.has_containers();
  // What was written down is what runs, whichever release wrote it.
  if (auto text = certs::read_text(has_containers ? context.paths.manifest() : command_file(context))) return text;
  return has_containers ? manifest_text(context) : Result<std::string>(text_of(process_words(context)));
}

int compare_releases(std::string_view a, std::string_view b) {
  const auto left = numbers_of(a), right = numbers_of(b);
  if (!left || !right) return a == b ? 0 : 1;
  return *left < *right ? -1 : *left == *right ? 0 : 1;
}

std::optional<int> kubernetes_minor(std::string_view version) {
  constexpr std::string_view major = "v1.";
  int minor = 0;
  if (!version.starts_with(major)) return std::nullopt;
  version.remove_prefix(major.size());
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), minor);
  return error == std::errc() ? std::optional(minor) : std::nullopt;
}

Result<fs::path> kept_program(const fs::path& program, const ClusterPaths& paths, std::string_view release) {
  const auto missing = [&] { return failure("BinaryMissing", fmt::format("{} is not there", program.string())); };
  const auto file = snapshot::File::open(program);
  if (!file) return missing();
  snapshot::Sha256 sum;
  std::vector<std::uint8_t> piece(snapshot::piece_size);
  for (std::uint64_t at = 0;;) {
    RN_TRY(const std::size_t got, file->read_at(at, piece));
    if (got == 0) break;
    sum.add(snapshot::Bytes(piece).first(got));
    at += got;
  }
  const std::string digest = snapshot::hex(sum.finish()).substr(0, digest_length);
  return paths.programs() / fmt::format("{}-{}", release, digest) / program.filename();
}

}  // namespace rusternetes::launcher
