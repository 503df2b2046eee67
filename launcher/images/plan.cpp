#include "launcher/images/plan.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "launcher/images/cache.h"
#include "launcher/images/errors.h"
#include "launcher/images/reference.h"
#include "launcher/images/root.h"

namespace rusternetes::launcher::images {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view etcd = "etcd";
constexpr const char* default_path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t buffer_bytes = 1 << 20;

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

Result<ProgramNeeds> cached_needs(Cache& cache, const fs::path& program) {
  if (auto known = cache.needs(program)) return *std::move(known);
  RN_TRY(ProgramNeeds needs, needs_of(program));
  cache.remember(program, needs);
  return needs;
}

Result<std::unique_ptr<engine::Layer>> cached_layer(Cache& cache, std::vector<engine::LayerEntry> entries) {
  const std::string key = layer_key(entries);
  if (const auto known = cache.layer(key)) {
    RN_TRY(auto layer, engine::known_layer(std::move(entries), known->digest, known->size));
    return std::make_unique<engine::Layer>(std::move(layer));
  }
  RN_TRY(auto layer, engine::measure_layer(std::move(entries)));
  cache.remember(key, {layer.digest, layer.size});
  return std::make_unique<engine::Layer>(std::move(layer));
}

// The libraries of some programs as a layer.
struct Shared {
  std::unique_ptr<engine::Layer> layer;
  std::string library_path;
};
Result<Shared> shared_layer(Cache& cache, const std::vector<fs::path>& programs) {
  std::vector<ProgramNeeds> needs;
  for (const fs::path& program : programs) {
    RN_TRY(auto one, cached_needs(cache, program));
    needs.push_back(std::move(one));
  }
  RN_TRY(SharedRoot root, shared_root(needs));
  Shared out;
  out.library_path = std::move(root.library_path);
  RN_TRY(out.layer, cached_layer(cache, std::move(root.entries)));
  return out;
}

// Gathers what is written, so that the file gets it in large pieces.
class FileWriter {
 public:
  explicit FileWriter(std::string path)
      : path_(std::move(path)),
        fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)),
        error_(errno) {
    buffer_.reserve(buffer_bytes);
  }
  ~FileWriter() {
    if (fd_ < 0) return;
    ::close(fd_);
    if (!is_kept_) ::unlink(path_.c_str());
  }
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  Result<> check_open() const {
    if (fd_ < 0) return errno_error("create " + path_, error_);
    return {};
  }
  Result<> append(std::string_view bytes) {
    buffer_.append(bytes);
    if (buffer_.size() < buffer_bytes) return {};
    return flush();
  }
  Result<> keep_as(const fs::path& name) {
    RN_CHECK(flush());
    if (::rename(path_.c_str(), name.c_str()) != 0) return errno_error("rename " + path_, errno);
    is_kept_ = true;
    return {};
  }

 private:
  Result<> flush() {
    for (std::string_view rest = buffer_; !rest.empty();) {
      const ssize_t written = ::write(fd_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno_error("write " + path_, errno);
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    buffer_.clear();
    return {};
  }
  std::string path_, buffer_;
  int fd_, error_;  // of opening
  bool is_kept_ = false;
};

}  // namespace

struct Plan::State {
  explicit State(const Sources& wanted) : sources(wanted), cache(wanted.cache) {}

  Sources sources;
  mutable Cache cache;
  std::vector<std::unique_ptr<engine::Layer>> layers;  // what `specs` point to
  std::vector<engine::ImageSpec> specs;                // as `images`
  std::vector<Image> images;
  std::uint64_t shared_bytes = 0;

  fs::path program(const std::string& component) const {
    return component == etcd ? sources.etcd : sources.binary_dir / component;
  }

  Result<> check(const std::string& component) const {
    const auto& names = component_names();
    if (std::find(names.begin(), names.end(), component) == names.end())
      return bad_request(fmt::format("there is no component \"{}\"", component));
    const fs::path path = program(component);
    if (is_there(path)) return {};
    if (component == etcd)
      return etcd_missing(
          fmt::format("there is no etcd at {}: install etcd-server, or name an image of it with "
                      "--image etcd=REFERENCE",
                      path.string()));
    return binary_missing(fmt::format("{} does not exist", path.string()));
  }

  Result<> add(const std::string& component, const Shared& shared) {
    RN_TRY(auto layer, cached_layer(cache, {engine::LayerEntry::from_host("usr/local/bin/" + component,
                                                                          program(component).string())}));
    engine::ImageSpec spec;
    spec.entrypoint = {"/usr/local/bin/" + component};
    if (!shared.library_path.empty()) spec.env = {default_path, "LD_LIBRARY_PATH=" + shared.library_path};
    spec.layers = {shared.layer.get(), layer.get()};
    Image image{.component = component, .content = engine::image_id(spec), .bytes = layer->size};
    // The host's etcd stays the same through our releases, and so does its image: an upgrade leaves it alone.
    const std::string version = component == etcd ? "host" : sources.version;
    image.reference = local_reference(component, version, image.content);
    spec.tags = {image.reference};
    spec.labels = {
        {label_component, component}, {label_version, version}, {label_content, image.content}};
    image.id = engine::image_id(spec);
    layers.push_back(std::move(layer));
    specs.push_back(std::move(spec));
    images.push_back(std::move(image));
    return {};
  }
};

Plan::Plan(std::unique_ptr<State> state) : state_(std::move(state)) {}
Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

Result<Plan> Plan::make(const Sources& sources, const std::vector<std::string>& components) {
  auto state = std::make_unique<State>(sources);
  for (const std::string& component : components) RN_CHECK(state->check(component));
  // Of all programs that are there, whichever are asked for: what is loaded for one topology serves the next.
  std::vector<fs::path> programs;
  for (const std::string& component : component_names())
    if (component != etcd && is_there(state->program(component)))
      programs.push_back(state->program(component));
  RN_TRY(Shared shared, shared_layer(state->cache, programs));
  state->shared_bytes = shared.layer->size;
  for (const std::string& component : components) {
    if (component != etcd) {
      RN_CHECK(state->add(component, shared));
      continue;
    }
    // Not of our build: what it needs must not change our own images.
    RN_TRY(Shared own, shared_layer(state->cache, {sources.etcd}));
    RN_CHECK(state->add(component, own));
    state->layers.push_back(std::move(own.layer));
  }
  state->layers.push_back(std::move(shared.layer));
  state->cache.save();
  return Plan(std::move(state));
}

const std::vector<Image>& Plan::images() const { return state_->images; }
std::uint64_t Plan::shared_bytes() const { return state_->shared_bytes; }

const Image* Plan::find(std::string_view component) const {
  const auto found = std::find_if(images().begin(), images().end(),
                                  [&](const Image& image) { return image.component == component; });
  return found == images().end() ? nullptr : &*found;
}

Result<> Plan::write(const std::vector<std::string>& references, const engine::ByteSink& sink) const {
  std::vector<engine::ImageSpec> wanted;
  for (const std::string& reference : references) {
    const auto found = std::find_if(images().begin(), images().end(),
                                    [&](const Image& image) { return image.reference == reference; });
    if (found == images().end()) return bad_request(fmt::format("\"{}\" is no image of the plan", reference));
    wanted.push_back(state_->specs[static_cast<std::size_t>(found - images().begin())]);
  }
  auto written = engine::write_archive(wanted, sink);
  if (written) return {};
  // A program was replaced, or the cache is wrong about one: the next plan has to look for itself.
  if (written.error().is("Conflict")) state_->cache.drop();
  return std::move(written).error();
}

Result<> Plan::write_file(const std::vector<std::string>& references, const fs::path& archive) const {
  FileWriter file(archive.string() + ".partial");
  RN_CHECK(file.check_open());
  RN_CHECK(write(references, [&file](std::string_view bytes) { return file.append(bytes); }));
  return file.keep_as(archive);
}

std::vector<OldImage> old_images(const std::vector<engine::ImageSummary>& all, const Plan& plan) {
  std::vector<OldImage> out;
  const auto label = [](const engine::ImageSummary& image, const char* name) {
    const auto found = image.labels.find(name);
    return found == image.labels.end() ? std::string() : found->second;
  };
  for (const engine::ImageSummary& image : all) {
    const Image* current = plan.find(label(image, label_component));
    if (current == nullptr || label(image, label_content) == current->content) continue;
    OldImage old{current->component, label(image, label_version), image.repo_tags};
    if (old.references.empty()) old.references.push_back(image.id);
    out.push_back(std::move(old));
  }
  return out;
}

}  // namespace rusternetes::launcher::images
