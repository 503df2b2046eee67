#pragma once
// Images out of local files, in the layout of `docker save`, which both engines' /images/load takes. The same
// input gives the same bytes and so the same image id, on every host.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::engine {

// Takes bytes in order; an error ends the writing and is what the writer returns.
using ByteSink = std::function<Result<void>(std::string_view)>;

struct LayerEntry {
  enum class Kind { file, directory, symlink };
  Kind kind = Kind::file;
  std::string path;  // in the image, with or without the leading slash
  std::uint32_t mode = 0644;
  std::int64_t uid = 0, gid = 0;
  std::string content;    // of a file, if `host_path` is empty; of a symlink its target
  std::string host_path;  // a file's bytes are read from there while the layer is written

  static LayerEntry file(std::string path, std::string content, std::uint32_t mode = 0644);
  static LayerEntry from_host(std::string path, std::string host_path, std::uint32_t mode = 0755);
  static LayerEntry directory(std::string path, std::uint32_t mode = 0755);
  static LayerEntry symlink(std::string path, std::string target);
};

// A finished layer; images that share it share it in the engine too.
struct Layer {
  std::string tar;         // empty: made anew from `entries` whenever it is written
  std::string digest;      // "sha256:...", of the tar
  std::uint64_t size = 0;  // of the tar
  std::vector<LayerEntry> entries;
};

struct ImageSpec {
  std::vector<std::string> tags;  // fully qualified, with a tag: "localhost/rusternetes/pause:1"
  std::vector<std::string> entrypoint, cmd, env;
  std::string working_dir, user, stop_signal;
  std::vector<std::string> volumes;
  std::map<std::string, std::string> labels;
  std::vector<const Layer*> layers;  // lowest first; must outlive the call
};

struct ImageArchive {
  std::string tar;
  std::vector<std::string> ids;  // "sha256:...", as the specs were given
};

// Parent directories that are not named are added with 0755. Sorted by path. The tar is in memory.
Result<Layer> build_layer(std::vector<LayerEntry> entries);
// The same layer, read and hashed in pieces; nothing of it is kept.
Result<Layer> measure_layer(std::vector<LayerEntry> entries);
// The same again for who knows from before what measure_layer says of these entries.
Result<Layer> known_layer(std::vector<LayerEntry> entries, std::string digest, std::uint64_t size);

// The image's name by content: of its configuration, labels among it, and so of all its layers.
std::string image_id(const ImageSpec& image);
// One archive for all; each layer is in it once. Of a layer without its tar a piece at a time is in memory.
// Returns the ids. Status Invalid when a tag is no reference, Conflict when a file of a layer is not any more
// what its digest says.
Result<std::vector<std::string>> write_archive(const std::vector<ImageSpec>& images, const ByteSink& sink);
// The same in memory.
Result<ImageArchive> build_archive(const std::vector<ImageSpec>& images);
// The sandbox's image: one static program that is its entrypoint.
Result<ImageArchive> build_pause_image(std::string pause_program, std::string tag);

std::string sha256_hex(std::string_view bytes);

}  // namespace rusternetes::engine
