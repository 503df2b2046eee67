#include "launcher/components/images.h"

#include "engine/host_facts.h"
#include "base/release.h"
#include "launcher/images/plan.h"

namespace rusternetes::launcher {
namespace {

Result<images::Plan> plan_of(const std::filesystem::path& binary_dir, const std::vector<std::string>& components,
                             const std::filesystem::path& cache) {
  images::Sources sources{.binary_dir = binary_dir, .version = std::string(release_version()), .cache = cache};
  if (const std::string etcd = engine::find_program("etcd"); !etcd.empty()) sources.etcd = etcd;
  return images::Plan::make(sources, components);
}

}  // namespace

Result<std::map<std::string, std::string>> LocalImages::references(const std::vector<std::string>& components,
                                                                   const std::filesystem::path& cache) {
  RN_TRY(const images::Plan plan, plan_of(binary_dir_, components, cache));
  std::map<std::string, std::string> out;
  for (const images::Image& image : plan.images()) out[image.component] = image.reference;
  return out;
}

Result<> LocalImages::write_archive(const std::vector<std::string>& components,
                                    const std::filesystem::path& cache, const std::filesystem::path& archive) {
  RN_TRY(const images::Plan plan, plan_of(binary_dir_, components, cache));
  std::vector<std::string> references;
  for (const images::Image& image : plan.images()) references.push_back(image.reference);
  return plan.write_file(references, archive);
}

}  // namespace rusternetes::launcher
