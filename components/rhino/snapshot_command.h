#pragma once
// `rhino snapshot export | import | status`: between a store that no process has open and the snapshots of
// etcd.

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace rusternetes::rhino {

class SnapshotCommand {
 public:
  // Adds the words to the program's command line; lives as long as that.
  explicit SnapshotCommand(CLI::App& program);
  SnapshotCommand(const SnapshotCommand&) = delete;
  // After parsing: the exit code if one of the words was given. Prints its result, or why not.
  std::optional<int> run();

 private:
  Result<std::string> export_store() const;
  Result<std::string> import_store() const;
  Result<std::string> status() const;

  CLI::App *export_, *import_, *status_;
  std::string data_dir_, from_, to_, output_ = "table";
  std::int64_t bump_revision_ = 1'000'000'000;
  bool skips_hash_check_ = false;
};

}  // namespace rusternetes::rhino
