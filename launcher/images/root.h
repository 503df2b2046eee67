#pragma once
// The files that all components share: libraries at the paths they have on this host, and the little of /etc
// that the C library asks for.

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/image_builder.h"
#include "launcher/images/program.h"

namespace rusternetes::launcher::images {

struct SharedRoot {
  std::vector<engine::LayerEntry> entries;
  // Folders of libraries that the loader does not look into by itself; the host's ld.so.cache names them.
  std::string library_path;  // as LD_LIBRARY_PATH; usually empty
};

Result<SharedRoot> shared_root(const std::vector<ProgramNeeds>& programs);

// A host's path as entries of an image: the symbolic links on the way, and the file they end in.
class PathMirror {
 public:
  // Where the path really is. Errors: it is not there, no file, or goes round in circles.
  Result<std::string> add(const std::string& path);
  std::vector<engine::LayerEntry> take();

 private:
  std::map<std::string, engine::LayerEntry> entries_;
};

}  // namespace rusternetes::launcher::images
