#pragma once
// The images of a cluster's containers, made from the programs of this build: what they are called, known
// without reading a program again that has not changed, and an archive of those that an engine lacks.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/image_builder.h"
#include "engine/types.h"

namespace rusternetes::launcher::images {

// On every image that is made here.
inline constexpr char label_component[] = "io.rusternetes.component";
inline constexpr char label_version[] = "io.rusternetes.version";
inline constexpr char label_content[] = "io.rusternetes.content";  // Image::content

struct Sources {
  std::filesystem::path binary_dir;              // build/PRESET/bin, or where the release is installed
  std::filesystem::path etcd = "/usr/bin/etcd";  // Debian's etcd-server; not in the binary folder
  std::string version;                           // of this release
  std::filesystem::path cache;                   // a small file, made if missing; empty: none
};

struct Image {
  std::string component;
  std::string reference;    // local_reference()
  std::string content;      // "sha256:...": layers and configuration but for labels
  std::string id;           // "sha256:...": the engines' id of it
  std::uint64_t bytes = 0;  // of its own layer
};

class Plan {
 public:
  // `components`: of component_names(). The layer of libraries is the same whichever of them are asked for.
  // BadRequest: an unknown one; BinaryMissing, EtcdMissing: what it is made from is not there. Runs the
  // dynamic loader of a program that the cache does not know, and blocks.
  static Result<Plan> make(const Sources& sources, const std::vector<std::string>& components);
  ~Plan();
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;

  const std::vector<Image>& images() const;             // in the order asked for
  const Image* find(std::string_view component) const;  // null: not asked for
  std::uint64_t shared_bytes() const;                   // of the layer that all but a static etcd share

  // The images of these references in the layout of `docker save`, in pieces of at most 1 MiB; each layer
  // once. Conflict when a program changed since the plan was made: make another one.
  Result<> write(const std::vector<std::string>& references, const engine::ByteSink& sink) const;
  // Into a file with mode 0600, which is there whole or not at all.
  Result<> write_file(const std::vector<std::string>& references, const std::filesystem::path& archive) const;

 private:
  struct State;
  explicit Plan(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// An image that is not of this build, though its component is in the plan.
struct OldImage {
  std::string component, version;
  std::vector<std::string> references;  // what to remove it by: its names, or its id when it has none
};
// Among what an engine has (Engine::list_images). Somebody else's containers may use one: an engine refuses
// to remove that without force, as it should be.
std::vector<OldImage> old_images(const std::vector<engine::ImageSummary>& all, const Plan& plan);

}  // namespace rusternetes::launcher::images
