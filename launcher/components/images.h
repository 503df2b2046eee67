#pragma once
// ImagePort on launcher/images: of the programs beside rusternetes-ctl, and the host's etcd.

#include "launcher/ports/image_port.h"

namespace rusternetes::launcher {

class LocalImages final : public ImagePort {
 public:
  explicit LocalImages(std::filesystem::path binary_dir) : binary_dir_(std::move(binary_dir)) {}
  Result<std::map<std::string, std::string>> references(const std::vector<std::string>& components,
                                                        const std::filesystem::path& cache) override;
  Result<> write_archive(const std::vector<std::string>& components, const std::filesystem::path& cache,
                         const std::filesystem::path& archive) override;

 private:
  std::filesystem::path binary_dir_;
};

}  // namespace rusternetes::launcher
