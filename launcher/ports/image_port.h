#pragma once
// Images of a cluster's components, made of the programs beside rusternetes-ctl. Calls block.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

class ImagePort {
 public:
  virtual ~ImagePort() = default;
  // What the images of these components are called; the name tells the content. `cache` is a file that may be
  // missing or useless: then it takes longer. BinaryMissing, EtcdMissing.
  virtual Result<std::map<std::string, std::string>> references(const std::vector<std::string>& components,
                                                                const std::filesystem::path& cache) = 0;
  // An archive of these, as an engine loads it. The file is new.
  virtual Result<> write_archive(const std::vector<std::string>& components, const std::filesystem::path& cache,
                                 const std::filesystem::path& archive) = 0;
};

}  // namespace rusternetes::launcher
