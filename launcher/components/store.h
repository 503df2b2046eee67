#pragma once
// StorePort on storage/sqlite: a running cluster's store by its socket, a stopped one's by its file.

#include "launcher/ports/store_port.h"

namespace rusternetes::launcher {

class SqliteStorePort final : public StorePort {
 public:
  Result<> copy_running(const StoreSource& source, const std::filesystem::path& to,
                        const std::function<void(std::uint64_t bytes)>& on_progress) override;
  Result<> copy_stopped(const StoreSource& source, const std::filesystem::path& to) override;
  Result<StoreFacts> facts(const std::filesystem::path& copy) override;
  Result<> raise(const std::filesystem::path& copy, std::int64_t revision) override;
  Result<> make_member(const std::filesystem::path& copy, const EtcdMember& member,
                       const std::filesystem::path& tool, const std::filesystem::path& to) override;
  Result<> adapt(const std::filesystem::path& copy, const Adaptation& adaptation) override;
  Result<ForeignCluster> read_foreign(const std::filesystem::path& file,
                                      const std::filesystem::path& tool) override;
  Result<> import_foreign(const std::filesystem::path& file, const std::filesystem::path& tool,
                          const std::filesystem::path& to) override;
};

}  // namespace rusternetes::launcher
